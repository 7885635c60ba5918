"""Make a small network for your device from a large one: plan, distillation, files, report.

srkd compress craft_x4.pth --data photos/ --latency-ms 30 --minutes 20 -o out/
srkd compress edsr.pth --data photos/ --latency-ms 15 --size 180x320 --formats pth,onnx,int8 --test Set5 -o out/
srkd compress edsr.pth --data photos/ --parameters 50000 --minutes 60 -o out/

TEACHER is any network that srkd opens: its own, BasicSR's, and those that spandrel recognises. Photographs lie in the
folder or in folders in it. Some hundred are good; ten is the least. First a plan is printed: which students keep the
budget on this machine. Then the teacher draws the photographs once, and the student learns from these pictures and from
the originals. Then the files are written, checked and measured. Ctrl-C stops it; the same command goes on.

OUT/ gets the files, report.md, README.md (the model card), train.yml (for srkd train), and the training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from srkd.cli.common import add_device, add_list
from srkd.cli.display import OUTPUT, height_width, kept_in, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Teacher, photographs, budget, time and formats."""
    parser.add_argument("teacher", type=Path, metavar="TEACHER", help="weights of the large network")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="folder for everything")
    parser.add_argument("--data", type=Path, required=True, metavar="PHOTOS", help="folder of photographs")
    budget = parser.add_argument_group("what the device allows (at least one)")
    budget.add_argument("--latency-ms", type=float, metavar="MS", help="time for one image of --size on this machine")
    budget.add_argument("--size", default="180x320", metavar="HxW", help="size of that image (default %(default)s)")
    budget.add_argument("--parameters", type=int, metavar="N", help="parameters of the network")
    budget.add_argument("--file-kb", type=float, metavar="KB", help="size of the smallest file")
    work = parser.add_argument_group("the work")
    minutes = "time for the teacher's pictures and the training together (default %(default)s)"
    work.add_argument("--minutes", type=float, default=20, metavar="MIN", help=minutes)
    formats = "pth, safetensors, onnx, pt2, int8 (onnx in 8-bit integers) (default: pth,onnx)"
    add_list(work, "--formats", "--format", metavar="F,F", help=formats)
    work.add_argument("--max-loss", type=float, default=0.1, metavar="DB", help="for int8 (default %(default)s dB)")
    tests = "folders or known sets to measure on, besides the photographs held out"
    add_list(work, "--test", "--sets", default=[], metavar="SET", help=tests)
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Compress."""
    from srkd.compression.request import Request
    from srkd.compression.run import run
    from srkd.compression.students import Budget

    size = height_width(args.size)
    assert size is not None
    budget = Budget(args.latency_ms, size, args.parameters, args.file_kb)
    formats = tuple(dict.fromkeys(name.lower().lstrip(".") for name in args.formats or ("pth", "onnx")))
    more = args.minutes, formats, tuple(args.test), args.device, args.max_loss
    with kept_in(args.output):
        run(Request(args.teacher, args.output, args.data, budget, *more), say=say, quiet=OUTPUT.quiet)
    return 0
