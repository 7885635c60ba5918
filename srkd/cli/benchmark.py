"""PSNR, SSIM and LPIPS of networks on test sets, at any width; bicubic and teachers are always added.

  srkd benchmark net_g_latest.pth --sets Set5 Urban100 --widths 1.0,0.5,1/4 -o results/mine.json
  srkd benchmark a.pth b.pth --sets Set5 --protocol y,rgb --lpips alex --self-ensemble -o results/all.json
  srkd benchmark bicubic --sets photos/ --scale 4
  srkd benchmark -opt options/test/x.yml key.path=value        (BasicSR's test files)

A set is a folder of images (directly, in HR/ or in GTmod12/), or a name such as Set5 below datasets/ or $SRKD_DATASETS.
With -o, a run that was interrupted goes on where it was, and what an earlier run found is not computed again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from srkd.cli.common import add_device, add_models, add_sets, add_widths, sort_out
from srkd.types import InputError, located

if TYPE_CHECKING:
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
    device: str
    output: Path | None
    picture: Callable[[Row], Path | None]
    """Where the image of a row goes; None: nowhere."""
    tile: int | Literal["auto"] = 0
    lpips: str | None = None
    overwrite: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Models and sets, or an option file."""
    add_models(parser, required=False, text="checkpoint, or the word bicubic")
    add_sets(parser)
    parser.add_argument("--scale", type=int, help="default: the networks' own")
    add_widths(parser)
    parser.add_argument("--protocol", metavar="P,P", help="y (default), paper-y, rgb, or several: y,rgb")
    parser.add_argument("--self-ensemble", action="store_true", default=None, help="mean over 8 flips and rotations")
    parser.add_argument("--tile", metavar="N", help="windows of N × N low-resolution pixels; auto; 0: none (default)")
    parser.add_argument("--lpips", metavar="alex|vgg", help="a column LPIPS; its weights: srkd data get-model")
    parser.add_argument(
        "--given-lr", action="store_true", default=None, help="take LR images beside the set (LRbicx4/, LR_bicubic/X4/)"
    )
    parser.add_argument(
        "--degradation", metavar="KIND", help="LR images by BD[:σ], DN[:σ] or JPEG:quality, not bicubic"
    )
    parser.add_argument("--no-teacher", action="store_true", default=None, help="no rows for the networks' teachers")
    parser.add_argument("--save-images", type=Path, metavar="DIR", help="write DIR/<set>/<image>_<model>_w<width>.png")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE.json", help="result; .csv, .md and .tex are put beside it"
    )
    parser.add_argument("--overwrite", action="store_true", help="compute anew what FILE.json holds already")
    add_device(parser, default=None)
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N images of each set")
    parser.add_argument(
        "-opt", "--opt", metavar="FILE", help="test file as BasicSR's; then MODEL are overrides key.path=value"
    )
    parser.add_argument("--force_yml", nargs="+", default=[], metavar="a:b=c", help="overrides in BasicSR's form")


def run(args: argparse.Namespace) -> int:
    """Evaluate, show, write; 1 where an image had to be left out."""
    sort_out(args)
    if args.limit is not None and args.limit < 1:
        raise InputError(f"--limit is at least 1, not {args.limit}.")
    return perform(_from_file(args) if args.opt else _from_arguments(args))


def perform(job: Job) -> int:
    """Run a benchmark with a progress bar."""
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from srkd.cli.display import progress_bar, show_json, show_line, show_result, stdout_console, warn
    from srkd.evaluation.benchmark import benchmarks, columns_of
    from srkd.evaluation.journal import Journal, plain
    from srkd.evaluation.perceptual import perceptual_column
    from srkd.evaluation.result import BICUBIC
    from srkd.evaluation.tables import write_result
    from srkd.imaging.files import write_image
    from srkd.inference.device import choose_device

    device = choose_device(job.device)
    paths = output_paths(job)  # a wrong name is known before the work, not after it
    journals = [Journal(path, reuse=not job.overwrite) for path in paths]
    lpips = perceptual_column(job.lpips, device=device) if job.lpips else None
    if lpips and lpips.reason:
        warn(stdout_console(), f"the column LPIPS will be empty: {lpips.reason}.")
    if journals:
        contenders = [(BICUBIC, 1.0), *((plain(m.name), width) for m in job.models for width in m.widths(job.widths))]
        wanted = {(s.name, image, *who) for s in job.sets for image in s.images for who in contenders}
        for journal, protocol in zip(journals, job.protocols, strict=True):
            columns = [*columns_of(protocol, lpips), *(["lpips"] if lpips else [])]
            journal.keep(wanted, columns, str(protocol.record()["description"]))
        # pictures are those of the first protocol
        journals[0].wanted = lambda row: (path := job.picture(row)) is None or path.exists()
    try:
        with progress_bar() as progress:
            each = 1 + sum(len(model.widths(job.widths)) for model in job.models)
            task = progress.add_task("benchmark", total=each * sum(len(test_set.images) for test_set in job.sets))

            def on_image(row: Row, sr: NDArray[Any] | None) -> None:
                progress.update(task, advance=1, description=f"{row.set}/{row.image}")
                path = job.picture(row)
                if path and sr is not None:
                    write_image(path, np.clip(np.floor(sr + 0.5), 0, 255).astype(np.uint8))

            results = benchmarks(
                job.models,
                job.sets,
                protocols=job.protocols,
                widths=job.widths,
                device=device,
                tile=job.tile,
                lpips=lpips,
                journals=journals,
                on_image=on_image,
            )
    except KeyboardInterrupt:
        for journal in journals:
            if journal.path.exists():
                show_line(Console(stderr=True), f"What was found is kept in {journal.path}; the same command goes on.")
        raise
    console = stdout_console()
    for journal in journals:
        if journal.notice:
            show_line(console, f"{journal.result_path}: {journal.notice}")
    for index, result in enumerate(results):
        written = write_result(paths[index], result) if paths else []
        show_result(console, result, written)
    texts = [result.to_json() for result in results]
    show_json(texts[0] if len(texts) == 1 else f"[{','.join(texts)}]")
    for journal in journals:
        journal.close()
    for result in results:
        result.raise_failures()
    return 0


def output_paths(job: Job) -> list[Path]:
    """The result file of each protocol: the one that was named, with several `x_y.json`, `x_rgb.json`; or no file.

    Raises:
        InputError: it does not end in `.json`.
    """
    from srkd.evaluation.tables import result_path

    if job.output is None:
        return []
    path = result_path(job.output)
    if len(job.protocols) == 1:
        return [path]
    return [path.with_name(f"{path.stem}_{protocol.name}.json") for protocol in job.protocols]


def _from_arguments(args: argparse.Namespace) -> Job:
    from srkd.cli.display import show_line, stdout_console
    from srkd.cli.teachers import teachers_of
    from srkd.evaluation.models import common_scale, load_models
    from srkd.evaluation.protocols import degradation_of, protocol_of
    from srkd.evaluation.sets import find_set
    from srkd.inference.forward import takes_luma
    from srkd.signature import parse_width

    if not args.models or not args.sets:
        raise InputError("say what to evaluate, and on what: srkd benchmark MODEL… --sets SET… (or -opt FILE).")
    if args.given_lr and args.degradation:
        raise InputError("--given-lr takes the LR images as they are, --degradation makes them: give one of the two.")
    if args.force_yml:
        raise InputError("--force_yml changes an option file; give one with -opt.")
    models = load_models(args.models)
    scale = common_scale(models, args.scale)
    names = dict.fromkeys((args.protocol or "y").split(","))
    made = degradation_of(args.degradation) if args.degradation else None
    protocols = [protocol_of(name, scale, self_ensemble=bool(args.self_ensemble), degradation=made) for name in names]
    if not args.no_teacher:
        teachers, notices = teachers_of(models)
        only_luma = any(protocol.for_luma_networks for protocol in protocols)
        models += [model for model in teachers if model.network and (takes_luma(model.network) or not only_luma)]
        for notice in notices:
            show_line(stdout_console(), notice)
    folder: Path | None = args.save_images

    def picture(row: Row) -> Path | None:
        name = f"{row.image}_{row.model.replace('/', '_')}_w{row.width:.4g}.png"
        return folder / row.set / name if folder else None

    return Job(
        models,
        [find_set(name, given_lr=scale if args.given_lr else None).first(args.limit) for name in args.sets],
        protocols,
        [parse_width(text) for text in args.widths] if args.widths else None,
        args.device or "auto",
        args.output,
        picture,
        _tile(args.tile or "0"),
        args.lpips,
        args.overwrite,
    )


def _tile(given: str) -> int | Literal["auto"]:
    if given == "auto":
        return "auto"
    if not given.isdecimal():
        raise InputError(f"--tile is a number of pixels, 0 for none, or auto; it is {given!r}.")
    return int(given)


def _from_file(args: argparse.Namespace) -> Job:

    from srkd.cli.display import show_line, stdout_console, warn
    from srkd.engine.build import build_dataset
    from srkd.evaluation.models import model_of
    from srkd.evaluation.protocols import Chosen, protocol_of
    from srkd.evaluation.result import BICUBIC
    from srkd.evaluation.sets import TestSet
    from srkd.networks.weights import build_network, load_params, read_weights
    from srkd.options import load_test_options

    given = (
        *("sets", "scale", "widths", "protocol", "save_images", "output", "device"),
        *("self_ensemble", "tile", "lpips", "given_lr", "degradation", "no_teacher"),
    )
    both = [f"--{name.replace('_', '-')}" for name in given if getattr(args, name) is not None]
    if both:
        raise InputError(f"with -opt the file says it all: {', '.join(both)} cannot be given; use key.path=value.")
    opt = load_test_options(args.opt, [*args.models, *args.force_yml])
    console = stdout_console()
    for notice in [*opt.notices, *opt.warnings]:
        show_line(console, notice)
    if opt.path.pretrain_network_g is None:
        raise InputError(f"{args.opt}: path.pretrain_network_g is missing: the weights to evaluate.")
    network = build_network(opt.network_g.type, opt.network_g.args)
    if network.scale != opt.scale:
        raise InputError(f"{args.opt}: network_g is a ×{network.scale} network, but scale is {opt.scale}.")
    with located("path.pretrain_network_g"):
        weights = read_weights(opt.path.pretrain_network_g, opt.path.param_key_g)
        skipped = load_params(network, weights, strict=opt.path.strict_load_g)
    if skipped:
        warn(console, f"{weights.path}: {len(skipped)} tensors do not fit and keep random values: {', '.join(skipped)}")
    trained = weights.meta.get("widths")
    network.trained_widths = tuple(trained) if trained else None
    model = model_of(network, weights, name=opt.name)

    metrics = {name: (block.type, block.args) for name, block in opt.val.metrics.items()}
    better = {name: block.better for name, block in opt.val.metrics.items()}
    protocol = Chosen(opt.scale, metrics, better) if metrics else protocol_of("y", opt.scale)

    def open_set(name: str) -> TestSet:
        dataset = build_dataset(f"datasets.{name}", opt.datasets[name].component, opt.scale)
        images = [Path(image).stem for image in dataset.names]
        origin = str(opt.datasets[name].component.args.get("dataroot_gt", ""))
        return TestSet(name, images, lambda index: dataset.pair(index)[::-1], origin).first(
            args.limit
        )  # lq, gt reversed

    folder = Path(opt.path.results_root or "results") / opt.name
    widths = opt.val.widths or model.trained_widths()

    def picture(row: Row) -> Path | None:
        if not opt.val.save_img or row.model == BICUBIC:
            return None
        at = f"_w{row.width:.4g}" if len(widths) > 1 else ""
        return folder / "visualization" / row.set / f"{row.image}_{opt.val.suffix or opt.name}{at}.png"

    sets = [open_set(name) for name in opt.datasets]
    device = "cpu" if opt.num_gpu == 0 else opt.device
    return Job([model], sets, [protocol], widths, device, folder / "results.json", picture)
