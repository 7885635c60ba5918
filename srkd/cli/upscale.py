"""Super-resolve images, folders and videos, at any width.

  srkd upscale photo.png                                       (×2, by a network that comes with srkd: photo_x2.png)
  srkd upscale photo.png -m switchable-x4 --width 0.25
  srkd upscale photos/ -m net_g_latest.pth -o out/ --width 0.5
  srkd upscale photos/ -o out/ --latency-ms 40                 (the widest network within 40 ms an image)
  srkd upscale clip.mp4 -m net_g_latest.pth -o out/ --latency-ms 40

Grey, colour and alpha, 8 and 16 bits stay what they are. With --latency-ms or --memory-mb the widest network is taken
that keeps the limit on this machine; a short measurement for each size of image finds it. Videos keep their sound if
ffmpeg is installed.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from srkd.cli.common import add_device, add_overwrite, add_width, tile, widths
from srkd.cli.display import bar, say, telling
from srkd.types import InputError, WorkError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Inputs, model, output, width or budget, and how to compute."""
    add = parser.add_argument
    add("inputs", nargs="+", type=Path, metavar="IN", help="image, video, or folder of images")
    model = "checkpoint or .onnx file, or what comes with srkd: switchable-x2, -x2-photo or -x4 (default: an ×2)"
    add("-m", "--model", metavar="MODEL", help=model)
    output = "folder, or a file for one input (default: NAME_x2 beside the input)"
    add("-o", "--output", type=Path, metavar="OUT", help=output)
    add_width(parser)
    add("--latency-ms", type=float, metavar="T", help="take the widest network within T ms an image")
    add("--memory-mb", type=float, metavar="M", help="take the widest within M MiB; with --width: use windows")
    add("--tile", default="auto", metavar="N", help="windows of N × N pixels; 0 for none (default auto)")
    add("--precision", default="auto", choices=("auto", "fp32", "bf16", "fp16"), help="default auto")
    runtime = "on a CPU; auto: the fastest that is installed and exact (default torch, for .onnx files onnxruntime)"
    add("--runtime", default="torch", choices=("auto", "torch", "onnxruntime", "openvino"), help=runtime)
    add("--self-ensemble", action="store_true", help="mean over 8 flips and rotations, 8 × the time")
    add_overwrite(parser, "replace files that exist instead of skipping them")
    add("--suffix", default="", help="put after each name, such as _x4")
    add("--format", metavar="EXT", help="image format in a folder (default png)")
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Upscale everything; 1 where a file failed."""
    from srkd.imaging.files import left_out
    from srkd.inference.budget import chooser
    from srkd.inference.files import beside, plan_jobs, sources, upscale_files
    from srkd.inference.upscaler import Upscaler
    from srkd.networks.pretrained import fitting

    if args.width is not None and args.latency_ms is not None:
        raise InputError("--width fixes the width and --latency-ms chooses it: give one or the other.")
    for name, value in (("--latency-ms", args.latency_ms), ("--memory-mb", args.memory_mb)):
        if value is not None and not value > 0:
            raise InputError(f"{name} is above 0, not {value:g}.")
    model, reason = (args.model, "") if args.model else fitting(sources(args.inputs))
    upscaler = Upscaler(
        model, width=widths([args.width or "1"])[0], device=args.device, precision=args.precision,
        tile=tile(args.tile), self_ensemble=args.self_ensemble, memory_mb=args.memory_mb,
        runtime=args.runtime,
    )  # fmt: skip
    limits = {"latency_ms": args.latency_ms, "memory_mb": args.memory_mb}
    budget = {name: value for name, value in limits.items() if value is not None and args.width is None}
    if reason:
        say(_why(model, reason, args.width, budget))
    output = args.output or beside(args.inputs, upscaler.scale)
    planned = plan_jobs(args.inputs, output, suffix=args.suffix, extension=args.format)
    jobs = [job for job in planned if args.overwrite or not job.target.exists()]
    with telling("srkd.inference", "srkd.imaging"), bar("upscale") as progress:
        done: set[Path] = set()

        def show(source: Path, share: float) -> None:
            progress(len(done - {source}) + share, len(jobs), source.name)
            if share >= 1:
                done.add(source)

        failures = upscale_files(
            upscaler, jobs, prepare=chooser(upscaler, budget, say) if budget else lambda image: None, progress=show
        )
    at = "widths within the budget" if budget else f"width {upscaler.width:.4g}"
    say(f"{len(jobs) - len(failures)} of {len(planned)} files written to {output} (×{upscaler.scale}, {at}).")
    if others := [other for path in dict.fromkeys(args.inputs) if path.is_dir() for other in left_out(path)]:
        say(f"Left out: {len(others)} in the folders that are no images, such as {others[0]}.")
    if existing := len(planned) - len(jobs):
        say(f"{existing} skipped as they exist (--overwrite replaces them).")
    if failures:
        raise WorkError(f"{len(failures)} of {len(jobs)} files failed:\n" + "\n".join(f"  {line}" for line in failures))
    return 0


def _why(name: str, reason: str, width: str | None, budget: Mapping[str, float]) -> str:
    """Which network is taken where none is named, and why; at which width, and how another is chosen."""
    from srkd.networks.pretrained import CURRENT, PRETRAINED

    units = {"latency_ms": "ms", "memory_mb": "MiB"}
    limits = " and ".join(f"{value:g} {units[name]}" for name, value in budget.items())
    at = "full width, the best; --width 0.25 or --latency-ms T is faster"
    if width or limits:
        at = f"width {width}, as asked" if width else f"the widest width within {limits} on this machine"
    chosen = PRETRAINED[name]
    others = {other: PRETRAINED[other] for other in CURRENT if other != name}
    ways = "; ".join(f"-m {other} for {shipped.images}, ×{shipped.scale}" for other, shipped in others.items())
    return (
        f"Network: {name}, which comes with srkd (×{chosen.scale}, for {chosen.images}: {reason}), at {at}. "
        f"Others: {ways}; -m FILE for your own."
    )
