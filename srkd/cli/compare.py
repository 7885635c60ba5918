"""Is one network or method better than another? Images and seeds are paired, and the answer comes in words.

  srkd compare results/scratch.json results/csd.json            two models, at equal widths
  srkd compare results/all.json --baseline scratch              all models of one file
  srkd compare scratch=runs/scratch/ csd=runs/csd/              two folders of seeds: each file is a run
  srkd compare 'scratch=runs/scratch_s*.json' 'csd=runs/csd_s*.json'     the same with patterns
  srkd compare scratch=all.json:scratch_s0,all.json:scratch_s1 'csd=all.json:csd_s*'
  srkd compare small=a.json:net@0.5 large=b.json:net@1          unequal widths
  srkd compare old.json new.json --fail-if worse                exit status 1 where the new one is worse, for CI

ARM is [NAME=]FILE.json[:MODEL][@WIDTH]. FILE and MODEL may be patterns, FILE may be a folder of result files. NAME=
makes one arm of everything behind it; its files, joined by commas, are runs of that arm. Without NAME= each model is an
arm, and models whose names differ only in _seed0, _seed1, … are runs of one. The first arm is the baseline. Bicubic
takes part only if it is named.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from srkd.cli.common import add_list
from srkd.cli.display import say, say_written, show_json, show_table
from srkd.types import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arms, and what is looked at."""
    add = parser.add_argument
    add("arms", nargs="*", metavar="ARM", help="result file of srkd benchmark or srkd score; see above")
    add("--metric", default="psnr", help="column of the result files (default: psnr)")
    add_list(parser, "--sets", metavar="SET", help="only these sets (default: all)")
    add("--baseline", metavar="NAME[@WIDTH]", help="compare the others with this one (default: the first)")
    better = "which is better (default: as the metric says; lower for LPIPS, DISTS, NIQE)"
    add("--better", choices=["higher", "lower"], help=better)
    power = "how often a true difference of EFFECT (0.05) would be shown, and how many seeds it needs"
    add("--power", nargs="?", type=float, const=0.05, metavar="EFFECT", help=power)
    fail = "exit status 1 if any arm is worse (or not better) on any set"
    add("--fail-if", choices=["worse", "not-better"], help=fail)
    add("-o", "--output", type=Path, metavar="FILE", help="write the comparison: .md, .json, or .tex as in papers")


def run(args: argparse.Namespace) -> int:
    """Compare, show, write; 0 whatever comes out, but for --fail-if."""
    from srkd.atomic import atomic_write_text
    from srkd.evaluation import words
    from srkd.evaluation.arms import pairs, read_arms
    from srkd.evaluation.compare import compare, files_of, uneven_warnings
    from srkd.evaluation.paper import paper_table
    from srkd.evaluation.result import BICUBIC

    args.arms += [word for word in args.sets or () if ".json" in word]  # behind --sets
    args.sets = [word for word in args.sets or () if ".json" not in word] or None
    if args.output:
        words.comparison_path(args.output)
    if args.power is not None and not args.power > 0:
        raise InputError(f"--power is a difference above 0, such as 0.05, not {args.power:g}.")
    if not args.arms:
        raise InputError("say what to compare: srkd compare FILE.json FILE.json…")
    arms = read_arms(args.arms, keep_bicubic=args.baseline == BICUBIC)
    chosen, alone = pairs(arms, args.baseline)
    files = files_of(chosen)
    if args.output and args.output.exists() and any(args.output.samefile(file.path) for file in files):
        raise InputError(f"{args.output} is one of the results that are compared; choose another -o.")
    found = compare(chosen, args.metric, sets=args.sets, better=args.better)
    protocol = str(files[0].protocol["description"])
    answer = words.Answer(found, protocol, [*alone, *uneven_warnings(files)], args.power)
    show_table(words.table_of(found))
    notes = [f"note: {note.removesuffix('?')}{'?' if note.endswith('?') else '.'}" for note in answer.notes]
    say(*answer.verdicts, *answer.powers, *notes, f"Protocol {protocol}.")
    show_json(answer.to_json())
    if args.output and args.output.suffix == ".tex":
        sets = args.sets or list(dict.fromkeys(name for arm in arms for name in arm.sets))
        kind = found[0].kind
        atomic_write_text(args.output, paper_table(arms, sets, [(args.metric, kind)], f"{args.metric}, {protocol}"))
    elif args.output:
        answer.write(args.output)
    if args.output:
        say_written(args.output)
    verdicts = {item.verdict for item in found}
    return int(
        "worse" in verdicts if args.fail_if == "worse" else args.fail_if == "not-better" and verdicts != {"better"}
    )
