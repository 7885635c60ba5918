"""Super-resolve images or folders, at any width.

  srkd upscale photos/ -m net_g_latest.pth -o out/ --width 0.5
  srkd upscale small.png -m net_g_latest.pth -o large.png

Grey, colour and alpha, 8 and 16 bits stay what they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from srkd.types import InputError, WorkError

if TYPE_CHECKING:
    from srkd.inference.upscaler import Upscaler


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Inputs, model, output."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="IN", help="image, or folder of images")
    parser.add_argument("-m", "--model", type=Path, metavar="MODEL", help="checkpoint")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder; for one image, a file")
    parser.add_argument("--width", default="1.0", help="share of the channels, such as 0.5 or 1/3 (default 1.0)")
    parser.add_argument("--overwrite", action="store_true", help="replace images that exist instead of skipping them")
    parser.add_argument("--suffix", default="", help="put after each name, such as _x4")
    parser.add_argument("--format", metavar="EXT", help="file format in a folder (default png)")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, mps")


def run(args: argparse.Namespace) -> int:
    """Upscale everything; 1 where an image failed."""

    from srkd.cli.display import show_line, stdout_console
    from srkd.inference.upscaler import Upscaler
    from srkd.registry import parse_width

    if args.model is None:
        raise InputError("say which network to use: -m MODEL, a .pth or .safetensors file such as net_g_latest.pth.")
    jobs = plan(args.inputs, args.output, suffix=args.suffix, extension=args.format)
    upscaler = Upscaler(args.model, width=parse_width(args.width), device=args.device)
    existing = [] if args.overwrite else [target for _, target in jobs if target.exists()]
    jobs = [(source, target) for source, target in jobs if target not in existing]
    failures = upscale_files(upscaler, jobs)
    console = stdout_console()
    show_line(
        console,
        f"{len(jobs) - len(failures)} of {len(jobs) + len(existing)} images written to {args.output} "
        f"(×{upscaler.scale}, width {upscaler.width:.4g}).",
    )
    if existing:
        show_line(console, f"{len(existing)} skipped as they exist (--overwrite replaces them).")
    if failures:
        raise WorkError(
            f"{len(failures)} of {len(jobs)} images failed:\n" + "\n".join(f"  {line}" for line in failures)
        )
    return 0


def plan(inputs: list[Path], output: Path, *, suffix: str, extension: str | None) -> list[tuple[Path, Path]]:
    """Each image with the file it becomes.

    Raises:
        InputError: nothing to read, an unknown format, two images for one file, or an image that would replace itself.
    """
    from srkd.imaging.files import IMAGE_SUFFIXES, list_images

    if len(inputs) == 1 and output.suffix.lower() in IMAGE_SUFFIXES and not inputs[0].is_dir() and not output.is_dir():
        if suffix or extension:
            raise InputError(f"-o {output} names the file: --suffix and --format are for folders.")
        jobs = [(inputs[0], output)]
    else:
        ending = f".{(extension or 'png').lower().lstrip('.')}"
        if ending not in IMAGE_SUFFIXES:
            raise InputError(f"unknown image format {extension!r}; allowed: {', '.join(IMAGE_SUFFIXES)}.")
        if output.exists() and not output.is_dir():
            raise InputError(f"-o {output} is a file; several images need a folder.")
        sources = [path for given in inputs for path in (list_images(given) if given.is_dir() else [given])]
        jobs = [(source, output / f"{source.stem}{suffix}{ending}") for source in dict.fromkeys(sources)]
    for source, _ in jobs:
        if not source.exists():
            raise InputError(f"{source} does not exist.")
    origin: dict[Path, Path] = {}
    for source, target in jobs:
        if target in origin:
            raise InputError(f"{origin[target]} and {source} would both become {target}; upscale them to two folders.")
        if target.exists() and target.samefile(source):
            raise InputError(f"{source} would be replaced by its own result; choose another -o or a --suffix.")
        origin[target] = source
    return jobs


def upscale_files(upscaler: Upscaler, jobs: list[tuple[Path, Path]]) -> list[str]:
    """Upscale each file with a progress bar; returns a line for each that failed."""
    from srkd.cli.display import progress_bar
    from srkd.imaging.files import read_image, write_image

    failures: list[str] = []
    with progress_bar() as progress:
        task = progress.add_task("upscale", total=len(jobs))
        for source, target in jobs:
            progress.update(task, description=source.name)
            try:
                write_image(target, upscaler(read_image(source)))
            except (InputError, RuntimeError) as error:  # RuntimeError: out of memory, for one
                failures.append(f"{source}: {error}")
            progress.advance(task)
    return failures
