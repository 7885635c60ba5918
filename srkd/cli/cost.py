"""What networks cost at each width: parameters, multiply-adds, activations, memory, and the time on this machine.

srkd cost net_g_latest.pth --widths 1.0,0.5,1/4
srkd cost a.pth b.pth --size 180x320 --device cuda --precision fp16 -o cost.json
srkd cost net_g_latest.pth --no-latency
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from srkd.cli.common import add_device, add_models, add_widths, sort_out
from srkd.types import InputError

if TYPE_CHECKING:
    from srkd.evaluation.cost import Cost


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Networks, widths, and what the latency is measured with."""
    add_models(parser, required=True, text="checkpoint")
    add_widths(parser)
    parser.add_argument(
        "--size", metavar="HxW", help="input for memory and latency, height x width (default: of a 1280 x 720 output)"
    )
    add_device(parser)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "fp16"), help="default fp32")
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="timed passes after 3 that warm up (20)")
    parser.add_argument("--no-latency", action="store_true", help="count only, run nothing")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json", help="write the same as JSON")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")


def run(args: argparse.Namespace) -> int:
    """Count, measure, show, write."""
    from srkd.atomic import atomic_write_text
    from srkd.cli.display import height_width, keep_existing, progress_bar, show_json, show_line, stdout_console
    from srkd.evaluation.cost import conventions, cost, table_of, to_json
    from srkd.evaluation.models import load_models
    from srkd.inference.device import choose_device
    from srkd.provenance import environment
    from srkd.signature import parse_width

    args.sets = None
    sort_out(args)
    if not args.models:
        raise InputError("say which network: srkd cost MODEL….")
    if args.output and args.output.suffix != ".json":
        raise InputError(f"the file {args.output} must end in .json.")
    keep_existing([args.output] if args.output else [], args.overwrite)
    if args.runs < 1:
        raise InputError(f"--runs is at least 1, not {args.runs}; --no-latency measures nothing.")
    widths = [parse_width(text) for text in args.widths] if args.widths else None
    size, device = height_width(args.size), choose_device(args.device)
    pairs = [(model, width) for model in load_models(args.models) for width in model.widths(widths) if model.network]
    if not pairs:
        raise InputError("bicubic costs nothing that is counted here: name a network.")
    runs = 0 if args.no_latency else args.runs
    rows: list[Cost] = []
    with progress_bar() as progress:
        for model, width in progress.track(pairs, description="cost"):
            rows.append(cost(model, width, size=size, device=device, precision=args.precision, runs=runs))
    console, machine = stdout_console(), environment(str(device))
    table_of(rows).print(console)
    for line in conventions(rows, machine, args.precision):
        show_line(console, line)
    text = json.dumps(to_json(rows, machine, args.precision), indent=1) + "\n"
    show_json(text)
    if args.output:
        atomic_write_text(args.output, text)
        show_line(console, f"Written: {args.output}")
    return 0
