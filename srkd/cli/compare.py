"""Is one network or method better than another? Images and seeds are paired, and the answer comes in words.

  srkd compare results/scratch.json results/csd.json            two models, at equal widths
  srkd compare results/all.json --baseline scratch              all models of one file
  srkd compare 'scratch=runs/scratch_s*.json' 'csd=runs/csd_s*.json'     seeds: several runs of an arm
  srkd compare scratch=all.json:scratch_s0,all.json:scratch_s1 'csd=all.json:csd_s*'
  srkd compare small=a.json:net@0.5 large=b.json:net@1          unequal widths
  srkd compare old.json new.json --fail-if worse                exit status 1 where the new one is worse, for CI

ARM is [NAME=]FILE.json[:MODEL][@WIDTH]; with NAME=, several joined by commas are runs of one arm. FILE and MODEL may be
patterns, FILE may be a folder of result files. The first arm is the baseline. Bicubic is left out unless it is named.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from srkd.cli.common import Words
from srkd.types import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from srkd.evaluation.compare import Comparison


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arms, and what is looked at."""
    parser.add_argument("arms", nargs="*", metavar="ARM", help="result file of srkd benchmark or srkd score; see above")
    parser.add_argument("--metric", default="psnr", help="column of the result files; default: psnr")
    parser.add_argument("--sets", nargs="+", action=Words, metavar="SET", help="only these; default: all")
    parser.add_argument(
        "--baseline", metavar="NAME[@WIDTH]", help="what the others are compared with; default: the first"
    )
    parser.add_argument(
        "--better", choices=["higher", "lower"], help="default: as the metric says (LPIPS, DISTS, NIQE: lower)"
    )
    parser.add_argument(
        "--power",
        nargs="?",
        type=float,
        const=0.05,
        metavar="EFFECT",
        help="how likely a true difference of EFFECT (0.05) is to be shown, and how many seeds that takes",
    )
    parser.add_argument(
        "--fail-if",
        choices=["worse", "not-better"],
        help="exit status 1 where any arm is worse on any set; or where any is not better",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the comparison: .json or .md")


def run(args: argparse.Namespace) -> int:
    """Compare, show, write; 0 whatever comes out, but for --fail-if."""
    from srkd.cli.display import show_json, show_line, stdout_console
    from srkd.evaluation.arms import pairs, read_arms
    from srkd.evaluation.compare import compare, files_of, uneven_warnings
    from srkd.evaluation.result import BICUBIC
    from srkd.evaluation.words import comparison_path, to_json, write_comparison

    args.arms += [word for word in args.sets or () if ".json" in word]  # behind --sets
    args.sets = [word for word in args.sets or () if ".json" not in word] or None
    if args.output:
        comparison_path(args.output)
    if args.power is not None and not args.power > 0:
        raise InputError(f"--power is a difference above 0, such as 0.05, not {args.power:g}.")
    if not args.arms:
        raise InputError("say what to compare: srkd compare FILE.json FILE.json…")
    arms = read_arms(args.arms, keep_bicubic=args.baseline == BICUBIC)
    chosen, alone = pairs(arms, args.baseline)
    files = files_of(chosen)
    if args.output and args.output.exists() and any(args.output.samefile(file.path) for file in files):
        raise InputError(f"{args.output} is one of the results that are compared; choose another -o.")
    comparisons = compare(chosen, args.metric, sets=args.sets, better=args.better)
    protocol, left_over = str(files[0].protocol["description"]), [*alone, *uneven_warnings(files)]
    _show(comparisons, left_over, protocol, args.power)
    show_json(to_json(comparisons, protocol=protocol, left_over=left_over, effect=args.power))
    if args.output:
        write_comparison(args.output, comparisons, protocol=protocol, left_over=left_over, effect=args.power)
        show_line(stdout_console(), f"Written: {args.output}")
    return _status(comparisons, args.fail_if)


def _status(comparisons: Sequence[Comparison], fail_if: str | None) -> int:
    verdicts = {item.verdict for item in comparisons}
    return int("worse" in verdicts if fail_if == "worse" else fail_if == "not-better" and verdicts != {"better"})


def _show(comparisons: Sequence[Comparison], left_over: Sequence[str], protocol: str, effect: float | None) -> None:
    from srkd.cli.display import show_line, stdout_console
    from srkd.evaluation.words import notes, power_sentence, sentence, table_of

    console = stdout_console()
    table_of(comparisons).print(console)
    for item in comparisons:
        show_line(console, sentence(item))
    for item in comparisons if effect is not None else ():
        show_line(console, power_sentence(item, effect or 0.0))
    for note in (*notes(comparisons), *left_over):
        show_line(console, f"note: {note}.")
    show_line(console, f"Protocol {protocol}.")
