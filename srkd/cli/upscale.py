"""Super-resolve images, folders and videos, at any width.

  srkd upscale photo.png                                       (×2, by the network that comes with srkd: photo_x2.png)
  srkd upscale photo.png -m switchable-x4 --width 0.25
  srkd upscale photos/ -m net_g_latest.pth -o out/ --width 0.5
  srkd upscale clip.mp4 -m net_g_latest.pth -o out/ --latency-ms 40

Grey, colour and alpha, 8 and 16 bits stay what they are. A budget of time or memory picks the widest network that
keeps it on this machine, from a short calibration for each size of image. Videos keep their
sound where ffmpeg is installed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from srkd.types import InputError, WorkError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from rich.console import Console

    from srkd.inference.upscaler import Upscaler


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Inputs, model, output, width or budget, and how to compute."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="image, video, or folder of images")
    parser.add_argument(
        "-m",
        "--model",
        default="switchable-x2",
        metavar="MODEL",
        help="checkpoint, or switchable-x2 (default) or switchable-x4, which come with srkd",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="folder; for one input, a file (default: NAME_x2 beside it)"
    )
    parser.add_argument("--width", help="share of the channels, such as 0.5 or 1/3 (default 1.0)")
    parser.add_argument("--latency-ms", type=float, metavar="T", help="pick the widest network within T ms an image")
    parser.add_argument("--memory-mb", type=float, metavar="M", help="pick the widest within M MiB; with --width: tile")
    parser.add_argument(
        "--tile", default="auto", metavar="N", help="windows of N × N pixels; 0 for none (default auto)"
    )
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16", "fp16"), help="default auto")
    parser.add_argument("--self-ensemble", action="store_true", help="mean over 8 flips and rotations, 8 × the time")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist instead of skipping them")
    parser.add_argument("--suffix", default="", help="put after each name, such as _x4")
    parser.add_argument("--format", metavar="EXT", help="image format in a folder (default png)")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")


def run(args: argparse.Namespace) -> int:
    """Upscale everything; 1 where a file failed."""

    from srkd.cli.display import show_line, stdout_console, telling
    from srkd.imaging.files import left_out
    from srkd.inference.files import plan_jobs, upscale_files
    from srkd.inference.upscaler import Upscaler
    from srkd.signature import parse_width

    if args.width is not None and args.latency_ms is not None:
        raise InputError("--width fixes the width and --latency-ms chooses it: give one or the other.")
    for name, value in (("--latency-ms", args.latency_ms), ("--memory-mb", args.memory_mb)):
        if value is not None and not value > 0:
            raise InputError(f"{name} is above 0, not {value:g}.")
    limits = {"latency_ms": args.latency_ms, "memory_mb": args.memory_mb} if args.width is None else {}
    budget = {name: value for name, value in limits.items() if value is not None}
    upscaler = Upscaler(
        args.model,
        width=parse_width(args.width or "1.0"),
        device=args.device,
        precision=args.precision,
        tile=_tile(args.tile),
        self_ensemble=args.self_ensemble,
        memory_mb=args.memory_mb,
    )
    output = args.output or _beside(args.inputs, upscaler.scale)
    jobs = plan_jobs(args.inputs, output, suffix=args.suffix, extension=args.format)
    existing = [] if args.overwrite else [target for _, target in jobs if target.exists()]
    jobs = [job for job in jobs if job.target not in existing]
    console = stdout_console()
    prepare = _chooser(upscaler, budget, console) if budget else _nothing
    with telling(console, "srkd.inference", "srkd.imaging"), _progress(len(jobs)) as progress:
        failures = upscale_files(upscaler, jobs, prepare=prepare, progress=progress)
    show_line(
        console,
        f"{len(jobs) - len(failures)} of {len(jobs) + len(existing)} files written to {output} "
        f"(×{upscaler.scale}, {'widths within the budget' if budget else f'width {upscaler.width:.4g}'}).",
    )
    if others := [other for path in dict.fromkeys(args.inputs) if path.is_dir() for other in left_out(path)]:
        show_line(console, f"Left out: {len(others)} in the folders that are no images, such as {others[0]}.")
    if existing:
        show_line(console, f"{len(existing)} skipped as they exist (--overwrite replaces them).")
    if failures:
        raise WorkError(f"{len(failures)} of {len(jobs)} files failed:\n" + "\n".join(f"  {line}" for line in failures))
    return 0


def _beside(inputs: Sequence[Path], scale: int) -> Path:
    """Where the result of a single input goes by default: `photo_x2.png`, `clip_x2.mp4`, `folder_x2/`."""
    from srkd.inference.video import is_video

    if len(inputs) > 1:
        raise InputError("several inputs need a folder for the results: -o OUT.")
    source = inputs[0] if inputs[0].name not in ("", "..") else inputs[0].resolve()
    if not source.name:
        raise InputError(f"beside {source} there is nothing: name a folder for the results (-o OUT).")
    ending = "" if source.is_dir() else ".mp4" if is_video(source) else ".png"
    return source.with_name(f"{source.name if source.is_dir() else source.stem}_x{scale}{ending}")


def _tile(given: str) -> Any:
    if given == "auto":
        return "auto"
    if not given.isdecimal():
        raise InputError(f"--tile is a number of pixels, 0 for none, or auto; it is {given!r}.")
    return int(given)


def _nothing(image: NDArray[Any]) -> None:
    del image


def _chooser(upscaler: Upscaler, budget: dict[str, float], console: Console) -> Callable[[NDArray[Any]], None]:
    """Sets the width for each image's size; the reason is printed once a size."""
    from srkd.cli.display import show_line
    from srkd.inference.budget import Plan, fit

    plans: dict[tuple[int, ...], Plan] = {}

    def choose(image: NDArray[Any]) -> None:
        size = image.shape[:2]
        first = size not in plans
        plans[size] = fit(upscaler, *size, image=image, **budget)
        if first:
            show_line(console, str(plans[size]))

    return choose


@contextmanager
def _progress(count: int) -> Generator[Callable[[Path, float], None]]:
    """A bar over all files, and the function that moves it."""
    from srkd.cli.display import progress_bar

    with progress_bar() as progress:
        task = progress.add_task("upscale", total=count)
        done: set[Path] = set()

        def show(source: Path, share: float) -> None:
            progress.update(task, description=source.name, completed=len(done) + share)
            if share >= 1:
                done.add(source)

        yield show
