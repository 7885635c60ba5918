"""Write LR images, sub-images, lists and caches for a folder of high-resolution images, in BasicSR's names and places.

  srkd data prepare datasets/DIV2K/DIV2K_train_HR --scale 2,4 -o datasets/DIV2K
      DIV2K_train_LR_bicubic/X2/0001x2.png, … X4/0001x4.png: MATLAB's bicubic, rounded to 8 bits
  … --sub-images 480 --step 240
      DIV2K_train_HR_sub/0001_s001.png, DIV2K_train_LR_bicubic/X2_sub/0001_s001.png: overlapping pieces
  … --cache /fast/disk
      the pairs decoded, in the file that io_backend: {type: cache, path: /fast/disk} will use
  … --meta-info
      meta_info_DIV2K_train_HR_sub.txt: `0001_s001.png (480,480,3)`

You need none of this for srkd: training makes LR images by itself. Files that exist are left alone, so the same command
goes on after an interruption. A folder that holds something else is refused.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from srkd.cli.common import add_list
from srkd.cli.display import bar, say
from srkd.types import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to write, from what."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="high-resolution images")
    add_list(parser, "--scale", required=True, metavar="S", help="scales of the LR images, for example 2 3 4")
    parser.add_argument("--sub-images", type=int, metavar="SIDE", help="also cut pieces of this side (BasicSR: 480)")
    parser.add_argument("--step", type=int, default=240, metavar="N", help="pixels from one piece to the next (240)")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="also write the decoded pairs there")
    parser.add_argument("--meta-info", action="store_true", help="also write BasicSR's list of the images")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="where the new folders go")


def run(args: argparse.Namespace) -> int:
    """Prepare."""
    from srkd.data.paired_image import IOBackend, PairedImageDataset
    from srkd.data.prepare import Preparation, prepare, write_meta_info

    wanted = Preparation(args.folder, args.output, _scales(args.scale), args.sub_images, args.step)
    with bar("preparing") as progress:
        images, made = prepare(wanted, progress)
    say(f"{images} images: {made} worked on, {images - made} were complete already.")
    with_pieces = args.sub_images is not None
    gt = wanted.hr_sub if with_pieces else args.folder
    pieces = [gt, *(wanted.lr(scale, sub=True) for scale in wanted.scales)] if with_pieces else []
    say(*map(str, [*pieces[:1], *(wanted.lr(scale) for scale in wanted.scales), *pieces[1:]]))
    if args.meta_info:
        file = args.output / f"meta_info_{gt.resolve().name}.txt"
        say(f"{file} ({write_meta_info(gt, file)} images)")
    if args.cache:
        for scale in wanted.scales:
            lq = wanted.lr(scale, sub=with_pieces)
            backend = IOBackend("cache", str(args.cache))
            data = PairedImageDataset(scale=scale, dataroot_gt=str(gt), dataroot_lq=str(lq), io_backend=backend)
            with bar(f"decoding ×{scale}") as progress:
                data.prepare(progress)
            say(f"{len(data)} decoded pairs ×{scale} in {args.cache}")
    return 0


def _scales(words: list[str]) -> list[int]:
    if wrong := [word for word in words if not word.isdecimal()]:
        raise InputError(f"--scale takes whole numbers, for example 2 3 4; {wrong[0]!r} is none.")
    return [int(word) for word in words]
