"""Find what is wrong with a folder of training images.

  srkd data check datasets/DIV2K/DIV2K_train_HR
      damaged files, unusual kinds, duplicates; benchmark images (of the known sets that are there) among them
  srkd data check HR --lq LR_bicubic/X4 --scale 4
      also: pairs, sizes, and whether the LR images are MATLAB's bicubic ones
  srkd data check HR --against Set5 /my/tests
      benchmark images of these sets or folders: resized, cropped, mirrored, rotated, or part of a larger image

Exit status 1 if a training or its results would be wrong: damaged or unpaired images, another kernel, leaks.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from srkd.cli.common import add_list
from srkd.cli.display import bar, say
from srkd.types import InputError

if TYPE_CHECKING:
    from srkd.data.leaks import Picture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which folder, and what to compare it with."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="high-resolution images (or an .lmdb)")
    parser.add_argument("--lq", type=Path, metavar="FOLDER", help="their low-resolution images")
    parser.add_argument("--scale", type=int, metavar="S", help="how many times smaller they are")
    leaks = parser.add_mutually_exclusive_group()
    against = "sets or folders that must not be in FOLDER (default: the known sets that are there)"
    add_list(leaks, "--against", metavar="SET", help=against)
    leaks.add_argument("--no-leaks", action="store_true", help="don't look for benchmark images")


def run(args: argparse.Namespace) -> int:
    """Check; 1 where something serious was found."""
    from srkd.data.check import examine

    if (args.lq is None) != (args.scale is None):
        raise InputError("--lq and --scale belong together: the low-resolution folder, and how much smaller it is.")
    if args.scale is not None and args.scale < 1:
        raise InputError(f"--scale is {args.scale}; it must be at least 1.")
    against = None if args.no_leaks else _benchmarks(args.folder, args.against)
    facts, findings = examine(args.folder, lq=args.lq, scale=args.scale, against=against, bar=bar)
    say(*facts)
    say(*(f"{'problem' if finding.serious else 'note'}: {finding.text}" for finding in findings))
    serious = sum(finding.serious for finding in findings)
    say(f"{serious} problem{'s' if serious > 1 else ''}." if serious else "No problems.")
    return 1 if serious else 0


def _benchmarks(folder: Path, named: list[str] | None) -> list[Picture]:
    """The images of the sets; without names, of the known ones that are there and don't contain the folder."""
    from srkd.data.leaks import Picture
    from srkd.evaluation.sets import find_set, known_sets
    from srkd.imaging.files import to_rgb8

    if named is None:
        here = folder.resolve()
        named = [name for name, place in known_sets().items() if not here.is_relative_to(place.resolve())]
    return [
        Picture(f"{test.name}/{image}", lambda test=test, index=index: to_rgb8(test.read(index)[0]))
        for test in map(find_set, named)
        for index, image in enumerate(test.images)
    ]
