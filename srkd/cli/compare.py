"""Whether a difference between results is one: paired over images, and over seeds where there are several.

  srkd compare results/scratch.json results/csd.json            two models, at equal widths
  srkd compare results/all.json --baseline scratch              all models of one file
  srkd compare 'scratch=runs/scratch_s*.json' 'csd=runs/csd_s*.json'     seeds: several runs of an arm
  srkd compare scratch=all.json:scratch_s0,all.json:scratch_s1 'csd=all.json:csd_s*'
  srkd compare small=a.json:net@0.5 large=b.json:net@1          unequal widths

ARM is [NAME=]FILE.json[:MODEL][@WIDTH]; with NAME=, several joined by commas are runs of one arm. FILE and MODEL may be
patterns. The first arm is the baseline. Bicubic is left out unless it is named.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from srkd.types import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from srkd.evaluation.compare import Comparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arms, and what is looked at."""
    parser.add_argument("arms", nargs="+", metavar="ARM", help="result file of srkd benchmark or srkd score; see above")
    parser.add_argument("--metric", default="psnr", help="column of the result files; default: psnr")
    parser.add_argument("--sets", nargs="+", metavar="SET", help="only these; default: all")
    parser.add_argument(
        "--baseline", metavar="NAME[@WIDTH]", help="what the others are compared with; default: the first"
    )
    parser.add_argument(
        "--better", choices=["higher", "lower"], help="default: lower for LPIPS, DISTS, NIQE, else higher"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the comparison: .json or .md")


def run(args: argparse.Namespace) -> int:
    """Compare, show, write; 0 whatever comes out."""
    from srkd.cli.display import show_line, stdout_console
    from srkd.evaluation.arms import pairs, read_arms
    from srkd.evaluation.compare import compare, files_of, uneven_warnings
    from srkd.evaluation.results import BICUBIC
    from srkd.evaluation.verdicts import comparison_path, write_comparison

    if args.output:
        comparison_path(args.output)
    arms = read_arms(args.arms, keep_bicubic=args.baseline == BICUBIC)
    chosen, alone = pairs(arms, args.baseline)
    files = files_of(chosen)
    if args.output and args.output.exists() and any(args.output.samefile(file.path) for file in files):
        raise InputError(f"{args.output} is one of the results that are compared; choose another -o.")
    comparisons = compare(chosen, args.metric, sets=args.sets, better=args.better)
    protocol, left_over = str(files[0].protocol["description"]), [*alone, *uneven_warnings(files)]
    _show(comparisons, left_over, protocol)
    if args.output:
        write_comparison(args.output, comparisons, protocol=protocol, left_over=left_over)
        show_line(stdout_console(), f"Written: {args.output}")
    return 0


def _show(comparisons: Sequence[Comparison], left_over: Sequence[str], protocol: str) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from srkd.cli.display import show_line, stdout_console
    from srkd.evaluation.verdicts import cells, headings, notes, sentence

    console = stdout_console()
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    header = headings(comparisons)
    for number, name in enumerate(header):
        is_text = number in (0, 1, len(header) - 1)
        table.add_column(name, justify="left" if is_text else "right", no_wrap=not is_text, overflow="fold")
    for item in comparisons:
        table.add_row(*cells(item, comparisons))
    console.print(table)
    for item in comparisons:
        show_line(console, sentence(item))
    for note in (*notes(comparisons), *left_over):
        show_line(console, f"note: {note}.")
    show_line(console, f"Protocol {protocol}.")
