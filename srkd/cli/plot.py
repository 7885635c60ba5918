"""Draw losses and validation metrics of training runs over the iterations, as SVG, PDF or PNG.

srkd plot experiments/*_bsds -o curves.svg
srkd plot experiments/a/metrics.jsonl experiments/b/metrics.jsonl -o curves.pdf     (PDF, PNG: the extra [plot])

Runs whose names differ only in _seed0, _seed1, … are one line, with a band from the lowest to the highest of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from srkd.cli.display import say_written
from srkd.types import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Training runs and the picture."""
    add = parser.add_argument
    add("runs", nargs="+", type=Path, metavar="RUN", help="metrics.jsonl, or an experiment's folder")
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="the picture: .svg, .pdf or .png")


def run(args: argparse.Namespace) -> int:
    """Read, draw, write."""
    from srkd.atomic import atomic_write_text
    from srkd.evaluation.report import charts, drawn, figures
    from srkd.evaluation.report.curves import read_run

    suffix = args.output.suffix.lower()
    if suffix not in (".svg", *drawn.SUFFIXES):
        raise InputError(f"the picture {args.output} must end in .svg, .pdf or .png.")
    runs = [read_run(path) for path in args.runs]
    if not any(run.losses or run.validation for run in runs):
        raise InputError(f"there is nothing to plot yet in {', '.join(map(str, args.runs))}.")
    arms = figures.training_arms(runs, {})
    if suffix == ".svg":
        pictures = figures.training_charts(runs, {})
        atomic_write_text(args.output, charts.standalone(pictures, list(arms.values())))
    else:
        drawn.draw(args.output, figures.training(runs, {}), {arm: name for arm, (name, _) in arms.items()})
    say_written(args.output)
    return 0
