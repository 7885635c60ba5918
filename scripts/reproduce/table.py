"""A table of methods, each against its control, over several seeds: what family.py and convergence.py share.

The first seed of all arms comes before the second of any. After each seed all that is there is measured and written to
docs/results/<name>/: benchmark.json, comparison.json (each arm with its control), runs.json (what each training took)
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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import torch
from arms import Trainings
from steps import run

from srkd.atomic import atomic_write_text
from srkd.evaluation.arms import Arm as Side
from srkd.evaluation.arms import read_arms
from srkd.evaluation.compare import Comparison, compare
from srkd.evaluation.words import Answer
from srkd.options import load_train_options
from srkd.provenance import environment


class Table(Trainings):
    """Trainings with what is said of them."""

    def control(self, side: Side, sides: Mapping[tuple[str, float], Side]) -> Side | None:
        """What an arm is compared with, at as many channels."""
        arm = self.arms.get(side.name)
        if arm is None or side.name == arm.control:
            return None
        return sides.get((arm.control, side.width * self.width(arm.control) / self.width(side.name)))

    def measure(self, arms: Mapping[str, Sequence[str]], sets: Sequence[str], command: str) -> None:
        """Measure all runs that are finished, and write the tables."""
        done = {name: [r for r in runs if self.finished(r)] for name, runs in arms.items()}
        done = {name: runs for name, runs in done.items() if runs}
        runs = [run_name for every in done.values() for run_name in every]
        first = [name for name in self.first if self.finished(name)]
        teachers = [name for name in first if any(name in self.arms[other].teachers for other in done)]
        result = self.out / "benchmark.json"
        networks = [self.network(name) for name in [*teachers, *runs]]
        run("benchmark", *networks, "--sets", *sets, "--no-teacher", "-o", result, "-q")
        specs = [f"{name}={result}:{name}" for name in teachers]
        specs += [f"{name}={result}:{name}_seed*" for name in done]
        sides = {(side.name, side.width): side for side in read_arms(specs)}
        pairs = [(other, side) for side in sides.values() if (other := self.control(side, sides)) is not None]
        found = compare(pairs, "psnr", sets=sets) if pairs else []
        if found:
            side_file = pairs[0][0].runs[0].file
            Answer(found, str(side_file.protocol["description"])).write(self.out / "comparison.json")
        record = {
            "command": command,
            "budget": asdict(self.budget),
            "environment": environment("cuda" if torch.cuda.is_available() else "cpu"),
            "teachers": {name: self.arms[name].teachers for name in done if self.arms[name].teachers},
            "methods": {name: load_train_options(self.options(each[0])).method.args for name, each in done.items()},
            "arms": done,
            "gradients": {name: self.gradients(each[0]) for name, each in done.items()},
            "trainings": {run_name: self.cost(run_name) for run_name in [*first, *runs]},
        }
        atomic_write_text(self.out / "runs.json", json.dumps(record, indent=1, default=asdict) + "\n")
        atomic_write_text(self.out / "table.md", rows(list(sides.values()), found, record, sets))

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
            self.measure(arms, args.sets, shlex.join(["python", *sys.argv]))
            also(arms)
        sys.stdout.write(f"Written: {self.out}/table.md\n")
        if failed:
            raise SystemExit("failed: " + "; ".join(f"{name}: {error}" for name, error in failed.items()))


def rows(sides: Sequence[Side], found: Sequence[Comparison], record: Mapping[str, Any], sets: Sequence[str]) -> str:
    """The table as Markdown: a row an arm and width."""
    head = ["arm", "control", "seeds", *sets, *(f"{name}: arm − control (95 %)" for name in sets)]
    lines = [[*head, "gradient / pixel loss's", "CPU ms an iteration", "MiB"]]
    for side in sides:
        cells = [side.label, "", str(len(side.runs))]
        for name in sets:
            values = [
                row.metrics["psnr"] for each in side.runs for (where, _), row in each.rows.items() if where == name
            ]
            cells.append(f"{statistics.fmean(values):.3f}" if values else "")
        for name in sets:
            item = next((c for c in found if (c.arm, c.set) == (side.label, name)), None)
            cells[1] = item.baseline if item else cells[1]
            cells.append(_interval(item))
        trainings = [
            cost for run_name, cost in record["trainings"].items() if run_name.rpartition("_seed")[0] == side.name
        ]
        trainings = trainings or [record["trainings"][name] for name in [side.name] if name in record["trainings"]]
        shares = record["gradients"].get(side.name, {})
        cells.append(", ".join(f"{name} {value:.2g}" for name, value in shares.items()))
        for key in ("cpu_ms", "mib"):
            cells.append(f"{statistics.fmean(cost[key] for cost in trainings):.0f}" if trainings else "")
        lines.append(cells)
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _interval(item: Comparison | None) -> str:
    """A difference with its interval; without one where there is one seed a side."""
    if item is None or item.difference is None:
        return ""
    low, high = item.difference.crossed or (item.difference.low, item.difference.high)
    interval = f" ({low:+.3f} … {high:+.3f}; {item.verdict})" if low is not None and high is not None else ""
    return f"{item.difference.mean:+.3f}{interval}"


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
