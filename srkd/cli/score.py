"""PSNR and SSIM of images that another program made.

  srkd score their_results/ datasets/Set5/HR --scale 4 -o results/theirs.json

A result is named like its ground truth, with or without a suffix: baby.png, baby_x4.png, babyx4.png, baby_theirs.png.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from srkd.cli.common import add_overwrite
from srkd.cli.display import keep_existing, show_result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Two folders and the scale."""
    parser.add_argument("sr_dir", type=Path, metavar="SR_DIR", help="folder of enlarged images")
    parser.add_argument("gt_dir", metavar="GT_DIR", help="folder of ground truth, or a known set")
    parser.add_argument("--scale", type=int, required=True, help="how many times the images were enlarged")
    parser.add_argument("--protocol", choices=["y", "rgb"], default="y", help="default: y")
    parser.add_argument("--name", help="name of the model in tables (default: the folder's)")
    add_overwrite(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="result file; .csv and .md go beside it")


def run(args: argparse.Namespace) -> int:
    """Score, show, write; 1 where an image could not be read."""

    from srkd.evaluation.protocols import protocol_of
    from srkd.evaluation.scoring import score_folder
    from srkd.evaluation.tables import result_path, write_result

    if args.output:
        path = result_path(args.output)
        keep_existing([path.with_suffix(suffix) for suffix in (".json", ".csv", ".md", ".tex")], args.overwrite)
    result = score_folder(args.sr_dir, args.gt_dir, protocol=protocol_of(args.protocol, args.scale), name=args.name)
    show_result(result, write_result(args.output, result) if args.output else [])
    result.raise_failures()
    return 0
