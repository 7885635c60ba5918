"""Make the teacher's pictures of the training images ahead of a training.

  srkd data render-teacher -opt options/train/OutputKD/my.yml
  srkd data render-teacher -opt FILE 'method.teacher_cache={keep: outputs, self_ensemble: true, bits: 16}'

FILE is the option file of the training. If it has no `method.teacher_cache`, the pictures are made as by
`teacher_cache: outputs`. The training then starts at once, and an iteration costs the student alone. After an
interruption the same command goes on: pictures that exist are not made again.
"""

from __future__ import annotations

import argparse

from srkd.cli.display import bar, say
from srkd.types import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """As `srkd train`."""
    parser.add_argument("-opt", required=True, metavar="FILE", help="option file (YAML)")
    parser.add_argument("overrides", nargs="*", metavar="key.path=value", help="override an option")


def run(args: argparse.Namespace) -> int:
    """Make what is missing."""
    from srkd.data.teacher_cache import TeacherCache
    from srkd.engine.build import build_dataset
    from srkd.engine.networks import build_teachers
    from srkd.engine.targets import render, targets_of
    from srkd.inference.device import choose_device
    from srkd.options import load_train_options

    opt = load_train_options(args.opt, args.overrides)
    teachers = build_teachers(opt)
    if not teachers:
        raise InputError(f"{args.opt} names no network_g_teacher.")
    given = opt.method.args.get("teacher_cache")
    cache = given if isinstance(given, TeacherCache) else TeacherCache("outputs")
    if "features" in (given, cache.keep):
        raise InputError(
            "method.teacher_cache: which features are kept, the method's taps say: the training makes them."
        )
    dataset = build_dataset("datasets.train", opt.datasets.train.component, opt.scale)
    with bar("decoding") as progress:
        dataset.prepare(progress)
    device = choose_device("cpu" if opt.num_gpu == 0 else opt.device)
    for teacher in teachers.values():
        teacher.to(device).eval()
        targets = targets_of(teacher, dataset, cache)
        with bar("drawing") as progress:
            made = render(targets, teacher, cache, progress)
        size = sum(targets.file(index).stat().st_size for index in range(len(targets.names)))
        say(
            f"{made} pictures made, {len(set(targets.names))} there ({size / 1e6:,.0f} MB, decoded "
            f"{targets.num_bytes / 1e6:,.0f} MB): {targets.folder}",
        )
    return 0
