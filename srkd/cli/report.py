"""One HTML page of benchmark results: table, charts, pictures, training curves, options. It needs no network.

  srkd report results/mine.json -o report.html
  srkd report a.json b.json --images 3 -o report.html --strips strips/     (the pictures as PNG files too)
  srkd report 'scratch=runs/scratch_*.json' 'csd=runs/csd_*.json' -o report.html

Runs whose names differ only in _seed0, _seed1, … are one arm. So are the runs of NAME=FILE,FILE or NAME=FOLDER.

Result files hold numbers only. For the pictures the models run once more, on the few images of each set that show most.
If a checkpoint or a set is gone, its pictures are missing and the page says so. Training curves and options are found
beside the checkpoints.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from srkd.cli.common import add_device
from srkd.cli.display import bar, say, warn
from srkd.types import InputError

if TYPE_CHECKING:
    from srkd.evaluation.report.page import Report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Result files, and where to find what they do not hold."""
    add = parser.add_argument
    add("results", nargs="+", metavar="ARM", help="result file, or NAME=FILE… as in compare; of one protocol")
    add("--baseline", metavar="NAME", help="the control (default: the first arm with the most runs)")
    add("-o", "--output", type=Path, metavar="FILE.html", help="the page")
    add("--strips", type=Path, metavar="FOLDER", help="write the details of each image as one PNG")
    add("--images", type=int, default=6, metavar="N", help="pictures of N images of each set (6)")
    add("--experiment", nargs="+", default=[], type=Path, metavar="DIR", help="also show the curves of these runs")
    add("--sets-root", nargs="+", default=[], type=Path, metavar="DIR", help="folders that hold the sets")
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Read, take the pictures, write."""
    from srkd.atomic import atomic_write_text
    from srkd.evaluation.report.gather import gather
    from srkd.evaluation.report.page import Report, find_experiments, render
    from srkd.evaluation.report.pictures import take_pictures
    from srkd.inference.device import choose_device

    if args.output is None and args.strips is None:
        raise InputError("say what to write: -o FILE.html, --strips FOLDER, or both.")
    if args.output is not None and args.output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"the report {args.output} must end in .html.")
    if args.images < 0:
        raise InputError(f"--images is at least 0, not {args.images}.")
    results = gather(args.results, args.baseline)
    experiments, amiss = find_experiments(results, args.experiment)
    with bar("pictures") as progress:
        scenes, missing = take_pictures(
            results, limit=args.images, roots=args.sets_root, device=str(choose_device(args.device)),
            on_scene=lambda name: progress(name=name),
        )  # fmt: skip
    report = Report(results, scenes, experiments, [*amiss, *missing])
    warn(*report.notes)
    written = _write_strips(report, args.strips) if args.strips else []
    if args.output is not None:
        atomic_write_text(args.output, render(report))
        written.insert(0, args.output)
    say(f"Written: {', '.join(map(str, written)) or 'nothing, as there are no pictures'}")
    return 0


def _write_strips(report: Report, folder: Path) -> list[Path]:
    """`<folder>/<set>_<image>.png` for each scene: the detail through every model, enlarged, with captions."""
    from srkd.imaging.crops import captioned, cut, enlarged
    from srkd.imaging.files import write_image

    written = list[Path]()
    for scene in report.scenes:
        factor = max(1, -(-200 // scene.detail.width))
        pictures = [enlarged(cut(shot.pixels, scene.detail), factor) for shot in scene.shots]
        captions = [f"{shot.label}\n{shot.caption}" for shot in scene.shots]
        path = folder / f"{scene.set}_{scene.image}.png".replace("/", "_")
        write_image(path, captioned(pictures, captions))
        written.append(path)
    return written
