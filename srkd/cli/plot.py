"""Losses and validation metrics of training runs over the iterations, as a picture: SVG, PDF or PNG.

srkd plot experiments/*_bsds -o curves.svg
srkd plot experiments/a/metrics.jsonl experiments/b/metrics.jsonl -o curves.pdf     (PDF, PNG: the extra [plot])

Runs whose names differ in _seed0, _seed1, … only are one line, with a band from the lowest to the highest of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from srkd.types import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Training runs and the picture."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="metrics.jsonl, or an experiment's folder")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the picture: .svg, .pdf or .png"
    )


def run(args: argparse.Namespace) -> int:
    """Read, draw, write."""
    from srkd.atomic import atomic_write_text
    from srkd.cli.display import show_line, stdout_console
    from srkd.evaluation.charts import standalone
    from srkd.evaluation.curves import read_run
    from srkd.evaluation.drawn import SUFFIXES, draw
    from srkd.evaluation.figures import (
        training_arms,
        training_axis,
        training_charts,
        training_headings,
        training_series,
    )

    suffix = args.output.suffix.lower()
    if suffix not in (".svg", *SUFFIXES):
        raise InputError(f"the picture {args.output} must end in .svg, .pdf or .png.")
    runs = [read_run(path) for path in args.runs]
    headings = training_headings(runs)
    if not headings:
        raise InputError(f"there is nothing to plot yet in {', '.join(map(str, args.runs))}.")
    arms = training_arms(runs, {})
    if suffix == ".svg":
        charts = [(one["title"], str(one["svg"])) for one in training_charts(runs, {})]
        atomic_write_text(args.output, standalone(charts, list(arms.values())))
    else:
        series = [(heading, training_series(heading, runs, {})) for heading in headings]
        charts = [(heading, training_axis(heading, own), own) for heading, own in series if any(s.points for s in own)]
        draw(args.output, charts, {arm: name for arm, (name, _) in arms.items()})
    show_line(stdout_console(), f"Written: {args.output}")
    return 0
