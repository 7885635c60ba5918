"""Count what networks need at each width (parameters, multiply-adds, activations, memory), and measure their time here.

srkd cost net_g_latest.pth --widths 1.0,0.5,1/4
srkd cost a.pth b.pth --size 180x320 --device cuda --precision fp16 -o cost.json
srkd cost a.pth a_int8.onnx --precision fp32,bf16 --runtime torch,openvino     (a row for each)
srkd cost net_g_latest.pth --no-latency
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from srkd.cli.common import add_device, add_models, add_overwrite, add_ways, add_widths, sort_out, widths
from srkd.cli.display import bar, height_width, keep_existing, say, show_json, show_table, write
from srkd.types import InputError

if TYPE_CHECKING:
    from srkd.evaluation.network_cost import Cost


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Networks, widths, and what the latency is measured with."""
    add = parser.add_argument
    add_models(parser, text="checkpoint or .onnx file")
    add_widths(parser)
    add("--size", metavar="HxW", help="height x width of the input (default: that of a 1280 x 720 output)")
    add_device(parser)
    add_ways(parser)
    add("--runs", type=int, default=20, metavar="N", help="timed passes, after 3 to warm up (20)")
    add("--no-latency", action="store_true", help="count only, run nothing")
    add("-o", "--output", type=Path, metavar="FILE.json", help="write the table as JSON")
    add_overwrite(parser, "replace a file that exists")


def run(args: argparse.Namespace) -> int:
    """Count, measure, show, write."""
    from srkd.evaluation.models import in_ways, load_models
    from srkd.evaluation.network_cost import conventions, cost, table_of, to_json
    from srkd.inference.device import choose_device
    from srkd.provenance import environment

    sort_out(args)
    if not args.models:
        raise InputError("say which network: srkd cost MODEL….")
    if args.output and args.output.suffix != ".json":
        raise InputError(f"the file {args.output} must end in .json.")
    keep_existing([args.output] if args.output else [], args.overwrite)
    if args.runs < 1:
        raise InputError(f"--runs is at least 1, not {args.runs}; --no-latency measures nothing.")
    wanted, size, device = widths(args.widths), height_width(args.size), choose_device(args.device)
    models = in_ways(load_models(args.models), args.runtime or ["torch"], args.precision or ["fp32"], device)
    pairs = [(model, width) for model in models for width in model.widths(wanted) if model.network]
    if not pairs:
        raise InputError("bicubic costs nothing that is counted here: name a network.")
    runs = 0 if args.no_latency else args.runs
    rows: list[Cost] = []
    with bar("cost") as progress:
        for model, width in pairs:
            progress(len(rows), len(pairs))
            rows.append(cost(model, width, size=size, device=device, runs=runs))
    machine = environment(str(device))
    show_table(table_of(rows))
    say(*conventions(rows, machine))
    text = json.dumps(to_json(rows, machine), indent=1) + "\n"
    show_json(text)
    if args.output:
        write(args.output, text)
    return 0
