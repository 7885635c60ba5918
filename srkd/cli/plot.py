"""Losses and validation metrics of training runs over the iterations, as an SVG picture.

srkd plot experiments/*_bsds -o curves.svg
srkd plot experiments/a/metrics.jsonl experiments/b/metrics.jsonl -o curves.svg
"""

from __future__ import annotations

import argparse
from pathlib import Path

from srkd.types import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Training runs and the picture."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="metrics.jsonl, or an experiment's folder")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE.svg", help="the picture")


def run(args: argparse.Namespace) -> int:
    """Read, draw, write."""
    from srkd.atomic import atomic_write_text
    from srkd.cli.display import show_line, stdout_console
    from srkd.evaluation.charts import standalone
    from srkd.evaluation.curves import read_run
    from srkd.evaluation.report import training_charts

    if args.output.suffix.lower() != ".svg":
        raise InputError(f"the picture {args.output} must end in .svg.")
    runs = [read_run(path) for path in args.runs]
    charts = [(one["title"], str(one["svg"])) for one in training_charts(runs, {})]
    if not charts:
        raise InputError(f"there is nothing to plot yet in {', '.join(map(str, args.runs))}.")
    atomic_write_text(args.output, standalone(charts))
    show_line(stdout_console(), f"Written: {args.output}")
    return 0
