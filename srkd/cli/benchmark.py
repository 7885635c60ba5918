"""PSNR and SSIM of networks on test sets, at any width; bicubic interpolation is always among them.

  srkd benchmark net_g_latest.pth --sets Set5 Urban100 --widths 1.0,0.5,1/4 -o results/mine.json
  srkd benchmark bicubic --sets photos/ --scale 4
  srkd benchmark -opt options/test/x.yml key.path=value        (BasicSR's test files)

A set is a folder of images (directly, in HR/ or in GTmod12/), or a name such as Set5 below datasets/ or $SRKD_DATASETS.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from srkd.types import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from srkd.evaluation.models import Model
    from srkd.evaluation.protocols import Protocol
    from srkd.evaluation.results import Row
    from srkd.evaluation.sets import TestSet


@dataclass(frozen=True)
class Job:
    """Everything a benchmark needs, wherever it was read."""

    models: Sequence[Model]
    sets: Sequence[TestSet]
    protocol: Protocol
    widths: Sequence[float] | None
    device: str
    output: Path | None
    picture: Callable[[Row], Path | None]
    """Where the image of a row goes; None: nowhere."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Models and sets, or an option file."""
    parser.add_argument("models", nargs="*", metavar="MODEL", help="checkpoint, or the word bicubic")
    parser.add_argument("--sets", nargs="+", metavar="SET", help="folders, or names of known sets")
    parser.add_argument("--scale", type=int, help="default: the networks' own")
    parser.add_argument("--widths", metavar="W,W", help="such as 1.0,0.5,1/3; default: those that were trained")
    parser.add_argument("--protocol", help="y (default), paper-y or rgb")
    parser.add_argument("--save-images", type=Path, metavar="DIR", help="write DIR/<set>/<image>_<model>_w<width>.png")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="result; .csv and .md are put beside it")
    parser.add_argument("--device", help="auto (default), cpu, cuda, cuda:1, mps")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images of each set")
    parser.add_argument("-opt", metavar="FILE", help="test file as BasicSR's; then MODEL are overrides key.path=value")
    parser.add_argument("--force_yml", nargs="+", default=[], metavar="a:b=c", help="overrides in BasicSR's form")


def run(args: argparse.Namespace) -> int:
    """Evaluate, show, write; 1 where an image had to be left out."""
    if args.limit is not None and args.limit < 1:
        raise InputError(f"--limit is at least 1, not {args.limit}.")
    return perform(_from_file(args) if args.opt else _from_arguments(args))


def perform(job: Job) -> int:
    """Run a benchmark with a progress bar."""
    import numpy as np
    from numpy.typing import NDArray

    from srkd.cli.display import progress_bar, show_result, stdout_console, warn
    from srkd.evaluation.benchmark import benchmark
    from srkd.evaluation.models import untrained_widths
    from srkd.evaluation.tables import result_path, write_result
    from srkd.imaging.files import write_image
    from srkd.inference.device import choose_device

    if job.output:
        result_path(job.output)  # a wrong name is known before the work, not after it
    device = choose_device(job.device)
    console = stdout_console()
    for line in untrained_widths(job.models, job.widths):
        warn(console, line)
    with progress_bar() as progress:
        each = 1 + sum(len(job.widths or model.trained_widths()) for model in job.models)
        task = progress.add_task("benchmark", total=each * sum(len(test_set.images) for test_set in job.sets))

        def on_image(row: Row, sr: NDArray[np.uint8] | NDArray[np.float64]) -> None:
            progress.update(task, advance=1, description=f"{row.set}/{row.image}")
            path = job.picture(row)
            if path:
                write_image(path, np.clip(np.floor(sr + 0.5), 0, 255).astype(np.uint8))

        result = benchmark(
            job.models, job.sets, protocol=job.protocol, widths=job.widths, device=device, on_image=on_image
        )
    show_result(console, result, write_result(job.output, result) if job.output else [])
    result.raise_failures()
    return 0


def _from_arguments(args: argparse.Namespace) -> Job:
    from srkd.evaluation.models import common_scale, load_models
    from srkd.evaluation.protocols import protocol_of
    from srkd.evaluation.sets import find_set
    from srkd.registry import parse_width

    if not args.models or not args.sets:
        raise InputError("say what to evaluate, and on what: srkd benchmark MODEL… --sets SET… (or -opt FILE).")
    if args.force_yml:
        raise InputError("--force_yml changes an option file; give one with -opt.")
    models = load_models(args.models)
    folder: Path | None = args.save_images

    def picture(row: Row) -> Path | None:
        name = f"{row.image}_{row.model.replace('/', '_')}_w{row.width:.4g}.png"
        return folder / row.set / name if folder else None

    return Job(
        models,
        [find_set(name).first(args.limit) for name in args.sets],
        protocol_of(args.protocol or "y", common_scale(models, args.scale)),
        [parse_width(text) for text in args.widths.split(",")] if args.widths else None,
        args.device or "auto",
        args.output,
        picture,
    )


def _from_file(args: argparse.Namespace) -> Job:

    from srkd.cli.display import show_line, stdout_console, warn
    from srkd.engine.build import build_dataset
    from srkd.evaluation.models import BICUBIC, model_of
    from srkd.evaluation.protocols import Chosen, protocol_of
    from srkd.evaluation.sets import TestSet
    from srkd.networks.weights import build_network, load_params, read_weights
    from srkd.options import load_test_options

    given = ("sets", "scale", "widths", "protocol", "save_images", "output", "device")
    both = [f"--{name.replace('_', '-')}" for name in given if getattr(args, name) is not None]
    if both:
        raise InputError(f"with -opt the file says it all: {', '.join(both)} cannot be given; use key.path=value.")
    opt = load_test_options(args.opt, [*args.models, *args.force_yml])
    console = stdout_console()
    for notice in opt.notices:
        show_line(console, notice)
    if opt.path.pretrain_network_g is None:
        raise InputError(f"{args.opt}: path.pretrain_network_g is missing: the weights to evaluate.")
    network = build_network(opt.network_g.type, opt.network_g.args)
    if network.scale != opt.scale:
        raise InputError(f"{args.opt}: network_g is a ×{network.scale} network, but scale is {opt.scale}.")
    weights = read_weights(opt.path.pretrain_network_g, opt.path.param_key_g)
    skipped = load_params(network, weights, strict=opt.path.strict_load_g)
    if skipped:
        warn(console, f"{weights.path}: {len(skipped)} tensors do not fit and keep random values: {', '.join(skipped)}")
    trained = weights.meta.get("widths")
    network.trained_widths = tuple(trained) if trained else None
    model = model_of(network, weights, name=opt.name)

    metrics = {name: (block.type, block.args) for name, block in opt.val.metrics.items()}
    protocol = Chosen(opt.scale, metrics) if metrics else protocol_of("y", opt.scale)
    if isinstance(protocol, Chosen) and protocol.unlike_tables():
        warn(
            console,
            f"{', '.join(protocol.unlike_tables())}: not comparable with papers' tables, which have "
            f"crop_border: {opt.scale} and test_y_channel: true.",
        )

    def open_set(name: str) -> TestSet:
        dataset = build_dataset(f"datasets.{name}", opt.datasets[name].component, opt.scale)
        images = [Path(image).stem for image in dataset.names]
        return TestSet(name, images, lambda index: dataset.pair(index)[::-1]).first(args.limit)  # (lq, gt) reversed

    folder = Path(opt.path.results_root or "results") / opt.name
    widths = opt.val.widths or model.trained_widths()

    def picture(row: Row) -> Path | None:
        if not opt.val.save_img or row.model == BICUBIC:
            return None
        at = f"_w{row.width:.4g}" if len(widths) > 1 else ""
        return folder / "visualization" / row.set / f"{row.image}_{opt.val.suffix or opt.name}{at}.png"

    sets = [open_set(name) for name in opt.datasets]
    device = "cpu" if opt.num_gpu == 0 else opt.device
    return Job([model], sets, protocol, widths, device, folder / "results.json", picture)
