"""PSNR, SSIM and LPIPS of networks on test sets, at any width. Rows for bicubic and teachers are added.

  srkd benchmark net_g_latest.pth --sets Set5 Urban100 --widths 1.0,0.5,1/4 -o results/mine.json
  srkd benchmark a.pth b.pth --sets Set5 --protocol y,rgb --lpips alex --self-ensemble -o results/all.json
  srkd benchmark a.pth a_int8.onnx --sets Set5 --precision fp32,bf16 --runtime torch,openvino     (a row for each)
  srkd benchmark bicubic --sets photos/ --scale 4
  srkd benchmark -opt options/test/x.yml key.path=value        (BasicSR's test files)

A training leaves its network in experiments/NAME/models/net_g_latest.pth. A set is a folder of images (directly, in
HR/ or in GTmod12/), or a name such as Set5 of a folder below datasets/ or $SRKD_DATASETS.
With -o, an interrupted run goes on where it was, and rows of an earlier run are not computed again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from srkd.cli.common import (
    add_device,
    add_list,
    add_models,
    add_overwrite,
    add_sets,
    add_ways,
    add_widths,
    sort_out,
    tile,
    widths,
)
from srkd.cli.display import bar, kept_in, say, show_json, show_result
from srkd.types import InputError

if TYPE_CHECKING:
    import torch

    from srkd.evaluation.models import Model
    from srkd.evaluation.protocols import Protocol
    from srkd.evaluation.result import Row
    from srkd.evaluation.sets import TestSet


@dataclass(frozen=True)
class Job:
    """Everything a benchmark needs, wherever it was read."""

    models: Sequence[Model]
    sets: Sequence[TestSet]
    protocols: Sequence[Protocol]
    widths: Sequence[float] | None
    device: torch.device
    output: Path | None
    picture: Callable[[Row], Path | None]
    """Where the image of a row goes; None: nowhere."""
    tile: int | Literal["auto"] = 0
    lpips: str | None = None
    overwrite: bool = False

    def outputs(self) -> list[Path]:
        """The result file of each protocol: the one that was named, with several `x_y.json`, `x_rgb.json`; or no file.

        Raises:
            InputError: it does not end in `.json`.
        """
        from srkd.evaluation.tables import result_path

        if self.output is None:
            return []
        path = result_path(self.output)
        if len(self.protocols) == 1:
            return [path]
        return [path.with_name(f"{path.stem}_{protocol.name}.json") for protocol in self.protocols]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Models and sets, or an option file."""
    add = parser.add_argument
    add_models(parser, text="checkpoint or .onnx file, or the word bicubic")
    add_sets(parser)
    add("--scale", type=int, help="how many times to enlarge (default: as the networks do)")
    add_widths(parser)
    add_list(parser, "--protocol", metavar="P", help="how images are compared: y (default), paper-y, rgb, or several")
    add("--self-ensemble", action="store_true", default=None, help="mean over 8 flips and rotations")
    add("--tile", metavar="N", help="windows of N × N low-resolution pixels; auto; 0: none (default)")
    add_ways(parser)
    add("--lpips", metavar="alex|vgg", help="add LPIPS; `srkd data get-model` gets its weights")
    given_lr = "take LR images beside the set (LRbicx4/, LR_bicubic/X4/)"
    add("--given-lr", action="store_true", default=None, help=given_lr)
    add("--degradation", metavar="KIND", help="LR images by BD[:σ], DN[:σ] or JPEG:quality, not bicubic")
    add("--no-teacher", action="store_true", default=None, help="no rows for the networks' teachers")
    add("--save-images", type=Path, metavar="DIR", help="write DIR/<set>/<image>_<model>_w<width>.png")
    add("-o", "--output", type=Path, metavar="FILE.json", help="result file; .csv, .md and .tex are written beside it")
    paper = "write the .tex file as in papers: methods down, sets across"
    add("--format", choices=("paper-tex",), metavar="paper-tex", default=None, help=paper)
    add_overwrite(parser, "compute again what FILE.json holds already")
    add_device(parser, default=None)
    add("--limit", type=int, metavar="N", help="only the first N images of each set")
    add("-opt", "--opt", metavar="FILE", help="test file as BasicSR's; then key.path=value in place of MODEL")
    add("--force_yml", nargs="+", default=[], metavar="a:b=c", help="overrides in BasicSR's form")


def run(args: argparse.Namespace) -> int:
    """Evaluate, show, write; 1 where an image had to be left out."""
    sort_out(args)
    if args.limit is not None and args.limit < 1:
        raise InputError(f"--limit is at least 1, not {args.limit}.")
    if args.format and not (args.output or args.opt):
        raise InputError("--format paper-tex is for the file beside -o FILE.json: name one.")
    job = _from_file(args) if args.opt else _from_arguments(args)
    status = perform(job)
    for path in job.outputs() if args.format else ():
        _write_paper(path)
    return status


def _write_paper(path: Path) -> None:
    from srkd.atomic import atomic_write_text
    from srkd.evaluation.arms import read_arms
    from srkd.evaluation.paper import paper_table

    arms = read_arms([str(path)], keep_bicubic=True)
    result, sets = arms[0].runs[0].file, list(dict.fromkeys(name for arm in arms for name in arm.sets))
    metrics = [(name, result.metric(name)) for name in result.columns()]
    atomic_write_text(path.with_suffix(".tex"), paper_table(arms, sets, metrics, str(result.protocol["description"])))


def perform(job: Job) -> int:
    """Run a benchmark with a progress bar."""
    from itertools import count

    import numpy as np
    from numpy.typing import NDArray

    from srkd.evaluation.benchmark import benchmarks
    from srkd.evaluation.journal import Journal
    from srkd.evaluation.lpips import perceptual_column
    from srkd.evaluation.tables import write_result
    from srkd.imaging.files import write_image

    paths = job.outputs()  # a wrong name is known before the work, not after it
    journals = [Journal(path, reuse=not job.overwrite) for path in paths]
    lpips = perceptual_column(job.lpips, device=job.device) if job.lpips else None
    for journal in journals[:1]:  # pictures are those of the first protocol
        journal.wanted = lambda row: (path := job.picture(row)) is None or path.exists()
    contenders = 1 + sum(len(model.widths(job.widths)) for model in job.models)
    done, total = count(1), contenders * sum(len(test_set.images) for test_set in job.sets)
    with kept_in(*(journal.path for journal in journals)), bar("benchmark") as progress:

        def on_image(row: Row, sr: NDArray[Any] | None) -> None:
            progress(next(done), total, f"{row.set}/{row.image}")
            path = job.picture(row)
            if path and sr is not None:
                write_image(path, np.clip(np.floor(sr + 0.5), 0, 255).astype(np.uint8))

        results = benchmarks(
            job.models, job.sets, protocols=job.protocols, widths=job.widths, device=job.device, tile=job.tile,
            lpips=lpips, journals=journals, on_image=on_image,
        )  # fmt: skip
    say(*(f"{journal.result_path}: {journal.notice}" for journal in journals if journal.notice))
    for index, result in enumerate(results):
        show_result(result, write_result(paths[index], result) if paths else [])
    texts = [result.to_json() for result in results]
    show_json(texts[0] if len(texts) == 1 else f"[{','.join(texts)}]")
    for journal in journals:
        journal.close()
    for result in results:
        result.raise_failures()
    return 0


def _from_arguments(args: argparse.Namespace) -> Job:
    from srkd.engine.teachers import teachers_of
    from srkd.evaluation.models import common_scale, in_ways, load_models
    from srkd.evaluation.protocols import degradation_of, protocol_of
    from srkd.evaluation.sets import find_set
    from srkd.inference.device import choose_device
    from srkd.inference.forward import takes_luma

    if not args.models or not args.sets:
        raise InputError("say what to evaluate, and on what: srkd benchmark MODEL… --sets SET… (or -opt FILE).")
    if args.given_lr and args.degradation:
        raise InputError("--given-lr takes the LR images as they are, --degradation makes them: give one of the two.")
    if args.force_yml:
        raise InputError("--force_yml changes an option file; give one with -opt.")
    models = load_models(args.models)
    scale = common_scale(models, args.scale)
    names = dict.fromkeys(args.protocol or ["y"])
    made = degradation_of(args.degradation) if args.degradation else None
    protocols = [protocol_of(name, scale, self_ensemble=bool(args.self_ensemble), degradation=made) for name in names]
    if not args.no_teacher:
        teachers, notices = teachers_of(models)
        only_luma = any(protocol.for_luma_networks for protocol in protocols)
        models += [model for model in teachers if model.network and (takes_luma(model.network) or not only_luma)]
        say(*notices)
    folder: Path | None = args.save_images

    def picture(row: Row) -> Path | None:
        name = f"{row.image}_{row.model.replace('/', '_')}_w{row.width:.4g}.png"
        return folder / row.set / name if folder else None

    device = choose_device(args.device or "auto")
    models = in_ways(models, args.runtime or ["torch"], args.precision or ["fp32"], device)
    sets = [find_set(name, given_lr=scale if args.given_lr else None).first(args.limit) for name in args.sets]
    window = tile(args.tile or "0")
    return Job(
        models, sets, protocols, widths(args.widths), device, args.output, picture, window, args.lpips, args.overwrite
    )


def _from_file(args: argparse.Namespace) -> Job:
    from srkd.engine.test_file import read_test_file
    from srkd.inference.device import choose_device

    given = "sets scale widths protocol save_images output device self_ensemble tile lpips given_lr degradation "
    given += "no_teacher precision runtime"
    both = [f"--{name.replace('_', '-')}" for name in given.split() if getattr(args, name) is not None]
    if both:
        raise InputError(f"with -opt the file says it all: {', '.join(both)} cannot be given; use key.path=value.")
    test = read_test_file(args.opt, [*args.models, *args.force_yml])
    say(*test.notices)
    sets = [test_set.first(args.limit) for test_set in test.sets]
    output = test.folder / "results.json"
    device = choose_device(test.device)
    return Job([test.model], sets, [test.protocol], test.widths, device, output, test.picture)
