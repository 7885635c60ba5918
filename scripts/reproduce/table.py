"""A table of methods, each against its control, over several seeds: what family.py and convergence.py share.

The first seed of all arms comes before the second of any. After each seed all that is there is measured and written to
docs/results/<name>/: benchmark_<part>.json, comparison.json (each arm with its control), runs.json (what each took)
and table.md. The same command goes on where it was interrupted. An arm that fails is said at the end, and the others
go on.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import signal
import statistics
import sys
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import NoReturn

import torch
from arms import Trainings
from steps import run

from srkd.atomic import atomic_write_text
from srkd.evaluation.arms import Arm as Side
from srkd.evaluation.arms import read_arms
from srkd.evaluation.compare import Comparison, compare, seed_of
from srkd.evaluation.result import read_result
from srkd.evaluation.words import Answer, seed_by_seed
from srkd.options import load_train_options
from srkd.provenance import environment

PARTS = 4  # result files of a table, so that several can be made at a time


class Table(Trainings):
    """Trainings with what is said of them."""

    def measure(self, arms: Mapping[str, Sequence[str]], sets: Sequence[str], command: str, jobs: int) -> None:
        """Measure all runs that are finished, and write the tables."""
        done = {name: [r for r in runs if self.finished(r)] for name, runs in arms.items()}
        done = {name: runs for name, runs in done.items() if runs}
        runs = [run_name for every in done.values() for run_name in every]
        first = [name for name in self.first if self.finished(name)]
        teachers = [name for name in first if any(name in self.arms[other].teachers for other in done)]
        parts: dict[Path, list[Path]] = {}  # an arm stays in its file, which keeps what was measured before
        for name, runs_of in {**{name: [name] for name in teachers}, **done}.items():
            part = zlib.crc32(name.encode()) % PARTS
            parts.setdefault(self.out / f"benchmark_{part}.json", []).extend(self.network(each) for each in runs_of)
        with ThreadPoolExecutor(jobs) as pool:
            for each in [
                pool.submit(run, "benchmark", *networks, "--sets", *sets, "--no-teacher", "-o", file, "-q")
                for file, networks in parts.items()
            ]:
                each.result()
        record = {
            "command": command,
            "budget": asdict(self.budget),
            "environment": environment("cuda" if torch.cuda.is_available() else "cpu"),
            "sets": sets,
            "teachers": {name: self.arms[name].teachers for name in done if self.arms[name].teachers},
            "controls": {
                name: [control, self.width(control) / self.width(name)]  # at as many channels
                for name in done
                if (control := self.arms[name].control) in done and control != name
            },
            "methods": {name: load_train_options(self.options(each[0])).method.args for name, each in done.items()},
            "arms": done,
            "measured_teachers": teachers,
            "gradients": {name: self.gradients(each[0]) for name, each in done.items()},
            "trainings": {run_name: self.cost(run_name) for run_name in [*first, *runs]},
        }
        atomic_write_text(self.out / "runs.json", json.dumps(record, indent=1, default=asdict) + "\n")
        if found := compared(self.out):
            Answer(found, read_result(next(iter(parts))).protocol["description"]).write(self.out / "comparison.json")
        atomic_write_text(self.out / "table.md", written(self.out))

    def with_controls(self, names: Iterable[str]) -> list[str]:
        """The arms, and what they are compared with or take a weight from, in the order of the table."""
        found: set[str] = set()
        left = [*names]
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                arm = self.arms[name]
                left += [arm.control, *([arm.acting[0]] if arm.acting else [])]
        return [name for name in self.arms if name in found]

    def keeps_all(self, runs: Collection[str]) -> None:
        """Refuse a table without runs that it has: `srkd benchmark` would, after hours of training."""
        file = self.out / "runs.json"
        known = json.loads(file.read_text(encoding="utf-8"))["arms"] if file.exists() else {}
        if gone := ", ".join(each for every in known.values() for each in every if each not in runs):
            raise SystemExit(
                f"{file} has {gone}, which would be gone: --arms {' '.join(known)} and what is new, and all seeds."
            )

    def make(
        self,
        names: Iterable[str],
        args: argparse.Namespace,
        slow: float = math.inf,
        also: Callable[[Mapping[str, Sequence[str]]], None] = lambda _: None,
    ) -> None:
        """Train and measure arms with their controls, seed by seed; what `arguments` reads says how.

        Args:
            names: the arms.
            args: of the command line.
            slow: seconds of CPU an iteration above which an arm has one seed.
            also: called after each measurement, with the runs of each arm.
        """
        signal.signal(signal.SIGTERM, _end)
        chosen = self.with_controls(names)
        seeds = [int(seed) for seed in args.seeds.split(",")]
        arms = {name: [f"{name}_seed{seed}" for seed in seeds] for name in chosen}
        self.keeps_all({run for runs in arms.values() for run in runs})
        needed = [name for name in self.first if any(name in self.arms[other].first() for other in chosen)]
        if failed := self.train_all([(name, None) for name in needed], args.jobs):
            raise SystemExit(f"failed: {failed}")
        keeps = {name: self.arms[name].method.get("teacher_cache", {}).get("keep") for name in chosen}
        cached = {self.arms[name].teachers: name for name, keep in keeps.items() if keep == "outputs"}
        for name in cached.values():  # once for all that look at them
            run("data", "render-teacher", "-opt", self.option_file(name, arms[name][0], seeds[0]))
        for seed in seeds:
            again = seed != seeds[0]
            todo = [n for n in chosen if n not in failed and not (again and self.slow(arms[n][0], slow))]
            for acting in (False, True):  # these take their weight from the others' logs
                runs = [(name, seed) for name in todo if bool(self.arms[name].acting) == acting]
                failed |= self.train_all(runs, args.jobs)
            self.measure(arms, args.sets, shlex.join(["python", *sys.argv]), args.jobs)
            also(arms)
        sys.stdout.write(f"Written: {self.out}/table.md\n")
        if failed:
            raise SystemExit("failed: " + "; ".join(f"{name}: {error}" for name, error in failed.items()))


def sides_of(folder: Path) -> list[Side]:
    """The arms at each width, as the files of a table have them."""
    files = sorted(folder.glob("benchmark_*.json"))
    where = {model: file for file in files for model in {row.model for row in read_result(file).summary}}
    record = json.loads((folder / "runs.json").read_text(encoding="utf-8"))
    arms = {**{name: [name] for name in record["measured_teachers"]}, **record["arms"]}
    return read_arms([f"{name}={','.join(f'{where[run]}:{run}' for run in runs)}" for name, runs in arms.items()])


def compared(folder: Path) -> list[Comparison]:
    """Each arm with its control, at as many channels, on each set."""
    record = json.loads((folder / "runs.json").read_text(encoding="utf-8"))
    sides = {(side.name, side.width): side for side in sides_of(folder)}
    pairs: list[tuple[Side, Side]] = []
    for name, (control, factor) in record["controls"].items():
        pairs += [
            (_of_seeds(sides[control, width * factor], side), side)
            for (other, width), side in sides.items()
            if other == name and (control, width * factor) in sides
        ]
    return compare(pairs, "psnr", sets=record["sets"]) if pairs else []


def _of_seeds(control: Side, arm: Side) -> Side:
    """The control's runs with a partner of their seed in `arm`; all of them, whose scatter counts, for a single run."""
    seeds = {seed_of(run) for run in arm.runs}
    runs = tuple(run for run in control.runs if seed_of(run) in seeds)
    return replace(control, runs=runs) if 1 < len(runs) == len(seeds) else control


def written(folder: Path) -> str:
    """The table as Markdown: a row an arm and width; differences on the set with the most images."""
    record = json.loads((folder / "runs.json").read_text(encoding="utf-8"))
    sides, comparisons, sets = sides_of(folder), compared(folder), record["sets"]
    largest = max(comparisons, key=lambda item: item.n * (item.set in sets)).set if comparisons else ""
    found = {item.arm: item for item in comparisons if item.set == largest}
    head = ["arm", "learns from", "control", "seeds", *sets, f"{largest}: arm − control (95 %)"]
    lines = [[*head, "gradient / pixel loss's", "CPU ms an iteration", "MiB"]]
    for side in sides:
        trainings = [record["trainings"][run] for run in record["arms"].get(side.name, [side.name])]
        item = found.get(side.label)
        shares = record["gradients"].get(side.name, {})
        lines.append(
            [
                side.label,
                " and ".join(record["teachers"].get(side.name, ())),
                item.baseline if item else "",
                str(len(side.runs)),
                *(f"{_mean(side, name):.3f}" for name in sets),
                _interval(item),
                ", ".join(f"{name} {float(f'{value:.2g}'):g}" for name, value in shares.items()),
                *(f"{statistics.fmean(cost[key] for cost in trainings):.0f}" for key in ("cpu_ms", "mib")),
            ]
        )
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _mean(side: Side, set_: str) -> float:
    """PSNR over the images of a set and all runs."""
    return statistics.fmean(
        row.metrics["psnr"] for run in side.runs for (where, _), row in run.rows.items() if where == set_
    )


def _interval(item: Comparison | None) -> str:
    """A difference with its interval (one run a side: over images only), or seed by seed where there is none."""
    if item is None or item.difference is None:
        return ""
    low, high = item.difference.crossed or (item.difference.low, item.difference.high)
    one = item.seeds is None or len(item.seeds.arm) == len(item.seeds.baseline) == 1
    verdict = f"{item.verdict}, over images" if one else item.verdict
    known = low is not None and high is not None
    more = f"{low:+.3f} … {high:+.3f}; {verdict}" if known else seed_by_seed(item)
    return f"{item.difference.mean:+.3f}{f' ({more})' if more else ''}"


def _end(number: int, frame: object) -> NoReturn:
    del frame
    raise SystemExit(128 + number)


def arguments(doc: str | None, budgets: Iterable[str], arms: Iterable[str], default: str) -> argparse.ArgumentParser:
    """The command line of a table; `arms` are those that can be named."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--budget", choices=[*budgets], default=default)
    add("--seeds", default="0,1,2", help="the first is measured for all arms before the next begins")
    add("--jobs", type=int, default=1, help="trainings at a time (default: %(default)s)")
    add("--arms", nargs="+", metavar="NAME", choices=[*arms], help=f"only these, and their controls: {', '.join(arms)}")
    add("--sets", nargs="+", default=["Set5", "Urban100"])
    add("--craft", type=Path, metavar="FILE", help="weights of CRAFT ×4, a stronger teacher of another kind")
    return parser
