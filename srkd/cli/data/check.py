"""What is wrong with a folder of training images.

  srkd data check datasets/DIV2K/DIV2K_train_HR
      damaged files, unusual kinds, duplicates; benchmark images (of the known sets that are there) among them
  srkd data check HR --lq LR_bicubic/X4 --scale 4
      also: pairs, sizes, and whether the LR images are MATLAB's bicubic ones
  srkd data check HR --against Set5 /my/tests
      benchmark images of these sets or folders: resized, cropped, mirrored, rotated, or part of a larger image

Exit status 1 where a training or its results would be wrong: damaged or unpaired images, another kernel, leaks.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from srkd.cli.common import add_list
from srkd.cli.display import bar, say
from srkd.types import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from srkd.data.check import Finding
    from srkd.data.leaks import Picture
    from srkd.evaluation.sets import TestSet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which folder, and what to compare it with."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="high-resolution images (or an .lmdb)")
    parser.add_argument("--lq", type=Path, metavar="FOLDER", help="their low-resolution images")
    parser.add_argument("--scale", type=int, metavar="S", help="high resolution / low resolution")
    leaks = parser.add_mutually_exclusive_group()
    against = "sets or folders that must not be in FOLDER (default: the known sets that are there)"
    add_list(leaks, "--against", metavar="SET", help=against)
    leaks.add_argument("--no-leaks", action="store_true", help="don't look for benchmark images")


def run(args: argparse.Namespace) -> int:
    """Check; 1 where something serious was found."""
    from srkd.data.check import Finding, check_kernel, check_pairs, duplicates, survey

    if (args.lq is None) != (args.scale is None):
        raise InputError("--lq and --scale belong together: the low-resolution folder, and how much smaller it is.")
    if args.scale is not None and args.scale < 1:
        raise InputError(f"--scale is {args.scale}; it must be at least 1.")
    against = [] if args.no_leaks else _benchmarks(args.folder, args.against)
    with bar("reading") as progress:
        found = survey(args.folder, progress)
    findings = list(found.findings)
    if found.sizes:
        high, wide = (sorted(lengths) for lengths in zip(*found.sizes, strict=True))
        sizes = f"{_range(high)} pixels high, {_range(wide)} wide"
        say(f"{args.folder}: {len(found.names)} images, {sizes}.")
    findings += [
        Finding(False, f"{later} is {first} again, perhaps resized, mirrored or rotated.")
        for first, later in duplicates(found.names, found.thumbnails)
    ]
    if args.lq is not None and args.scale is not None:
        pairs, wrong = check_pairs(args.folder, args.lq, args.scale)
        findings += wrong
        if pairs:
            say(f"{len(pairs)} pairs with {args.lq} at scale {args.scale}.")
            findings += check_kernel(pairs, args.scale)
    if against:
        findings += _leaks(args.folder, set(found.names), against)
    elif not args.no_leaks:
        findings.append(Finding(False, "no benchmark set is there to look for leaks: name some with --against."))
    for finding in sorted(findings, key=lambda finding: not finding.serious):
        say(f"{'problem' if finding.serious else 'note'}: {finding.text}")
    serious = sum(finding.serious for finding in findings)
    say(f"{serious} problem{'s' if serious > 1 else ''}." if serious else "No problems.")
    return 1 if serious else 0


def _leaks(folder: Path, readable: set[str], against: list[Picture]) -> list[Finding]:
    from srkd.data.check import Finding
    from srkd.data.leaks import Benchmarks, Picture, find_leaks
    from srkd.data.storage import first_few, stored_images

    with bar("benchmark images") as progress:
        benchmarks = Benchmarks(against, progress)
    training = [Picture(name, image.read) for name, image in stored_images(folder).items() if name in readable]
    with bar("looking for leaks") as progress:
        leaks = find_leaks(training, benchmarks, progress)
    findings = [Finding(True, f"leak: {leak.describe()}.") for leak in leaks]
    if benchmarks.unrecognisable:
        names = first_few(benchmarks.unrecognisable)
        findings.append(Finding(False, f"too little structure to be recognised in other images: {names}."))
    looked = f"{len(training)} images against {len(against)} of benchmarks: {len(leaks)} leaks."
    return [*findings, Finding(False, looked)]


def _benchmarks(folder: Path, named: list[str] | None) -> list[Picture]:
    """The images of the sets; without names, of the known ones that are there and don't contain the folder."""
    from srkd.data.leaks import Picture
    from srkd.evaluation.sets import find_set, known_sets

    if named is None:
        here = folder.resolve()
        named = [name for name, place in known_sets().items() if not here.is_relative_to(place.resolve())]
    sets = [find_set(name) for name in named]
    return [
        Picture(f"{test.name}/{image}", functools.partial(_ground_truth, test, index))
        for test in sets
        for index, image in enumerate(test.images)
    ]


def _ground_truth(test: TestSet, index: int) -> NDArray[np.uint8]:
    from srkd.imaging.files import to_rgb8

    return to_rgb8(test.read(index)[0])


def _range(ascending: list[int]) -> str:
    least, most = ascending[0], ascending[-1]
    return str(least) if least == most else f"{least} to {most}"
