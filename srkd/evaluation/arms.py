"""The sides of a comparison: arms, each a model at one width with its runs (seeds), picked out of result files.

An arm is written `[NAME=]FILE.json[:MODEL][@WIDTH]`; with a NAME, several of these, joined by commas, are its runs.
FILE and MODEL may be patterns: `csd=runs/csd_s*.json`, `csd=all.json:csd_s*`; FILE may be a folder of result files.
"""

from __future__ import annotations

import fnmatch
import glob
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from srkd.evaluation.result import BICUBIC, Result, Row, Summary, read_result
from srkd.missing import not_there
from srkd.signature import parse_width
from srkd.types import InputError, did_you_mean

_ITEM = re.compile(r"(?P<file>.+?(?:\.json|/))(?::(?P<model>.+?))?(?:@(?P<width>[^@/]+(?:/[^@/.]+)?))?")
SEED = re.compile(r"_seed(\d+)(?!\d)")
_NAMED = re.compile(r"(?P<name>[^=/\\]+)=(?P<items>.+)")


@dataclass(frozen=True)
class Run:
    """One model at one width in one file; `rows` by set and image."""

    file: Result
    model: str
    width: float
    rows: Mapping[tuple[str, str], Row]

    @property
    def record(self) -> Mapping[str, Any]:
        """What the file says of the model."""
        return self.file.record(self.model)

    @property
    def summaries(self) -> list[Summary]:
        """What the file says of the model at this width on each set."""
        return [item for item in self.file.summary if (item.model, item.width) == (self.model, self.width)]

    def of(self, test_set: str) -> list[Row]:
        """The rows of one set."""
        return [row for (name, _), row in self.rows.items() if name == test_set]


@dataclass(frozen=True)
class Arm:
    """One or more runs, that differ in nothing but the seed, under one name."""

    name: str
    width: float
    runs: tuple[Run, ...]

    @property
    def label(self) -> str:
        """The name, and the width unless it is the full one."""
        return self.name if self.width == 1 else f"{self.name}@{self.width:.4g}"

    @property
    def params(self) -> int | None:
        """Parameters of the network at this width; None where they are not known."""
        return next((item.params for item in self.runs[0].summaries), None)

    @property
    def sets(self) -> list[str]:
        """The test sets that any run was measured on, in order."""
        return list(dict.fromkeys(name for run in self.runs for name, _ in run.rows))

    def common(self, sets: Collection[str]) -> list[tuple[str, str]]:
        """The images (set, name) of some sets that every run has, in order."""
        return [at for at in self.runs[0].rows if at[0] in sets and all(at in run.rows for run in self.runs)]

    def means(self, test_set: str, metric: str) -> list[float]:
        """The mean over a set, of each run that was measured on it."""
        runs = [[row.metrics[metric] for row in run.of(test_set) if metric in row.metrics] for run in self.runs]
        return [float(np.mean(own)) for own in runs if own]

    def mean(self, test_set: str, metric: str) -> float | None:
        """The mean of those; None where there are none."""
        means = self.means(test_set, metric)
        return float(np.mean(means)) if means else None

    def images(self, test_set: str) -> int:
        """How many images of a set every run has."""
        return min(len(run.of(test_set)) for run in self.runs)

    def by_image(self, test_set: str, metric: str) -> dict[str, float]:
        """The mean over the runs on each image of a set that all of them have."""
        found: dict[str, float] = {}
        for at in self.common([test_set]):
            runs = [run.rows[at].metrics for run in self.runs]
            if all(metric in metrics for metrics in runs):
                found[at[1]] = float(np.mean([metrics[metric] for metrics in runs]))
        return found

    def cost(self, what: Literal["params", "multi_adds", "seconds"], test_set: str) -> float | None:
        """The mean cost of the runs on a set; None where it is not known of any."""
        known = [getattr(item, what) for run in self.runs for item in run.summaries if item.set == test_set]
        known = [value for value in known if value]
        return float(np.mean(known)) if known else None


def read_arms(specs: Sequence[str], *, keep_bicubic: bool = False) -> list[Arm]:
    """Read what the command line names.

    Args:
        specs: see the top of the file. A file without NAME= gives an arm for each of its models and widths; models
            whose names differ in `_seed0`, `_seed1`, … only are runs of one arm.
        keep_bicubic: bicubic, which is in every file, is an arm too where nobody asked for it by name.

    Raises:
        InputError: a file, a model or a width is not there, or it is not clear which one is meant.
    """
    given: list[tuple[str, Run]] = []  # each under its NAME, or under none
    files: dict[Path, Result] = {}
    for spec in specs:
        match = None if Path(spec).exists() else _NAMED.fullmatch(spec)
        if match is None:
            runs = _runs(spec, files, keep_bicubic)
            if keep_bicubic and any(run.model == BICUBIC for name, run in given if not name):
                runs = [run for run in runs if run.model != BICUBIC] or runs  # the same in every file
            given += [("", run) for run in runs]
            continue
        name = match["name"]
        if any(name == other for other, _ in given):
            raise InputError(f"the arm {name} is given twice; its runs are joined by commas: {name}=a.json,b.json.")
        given += [(name, run) for item in _items(match["items"]) for run in _runs(item, files, False, one_model=name)]
    named, plain = {name for name, _ in given if name}, [run for name, run in given if not name]
    once = sum(run.model == BICUBIC for run in plain) == 1  # in one file only: it needs no other name
    networks = [run for run in plain if not (once and run.model == BICUBIC)]
    names = dict(zip(map(id, networks), _distinct_names(networks, named), strict=True))
    return _by_seed([(name or names.get(id(run), BICUBIC), run) for name, run in given], named)


def _by_seed(given: Sequence[tuple[str, Run]], named: Collection[str]) -> list[Arm]:
    """Runs of one name, or whose names differ in `_seedN` only, as one arm, then without it; an arm for each width."""
    groups: dict[tuple[str, float], list[tuple[str, Run]]] = {}
    for name, run in given:
        stem = SEED.sub("", name)
        shared = name if name in named or stem in named else stem
        groups.setdefault((shared, round(run.width, 6)), []).append((name, run))
    arms: list[Arm] = []
    for (shared, _), own in groups.items():
        runs = tuple(run for _, run in own)
        _refuse_copies(shared, runs)
        arms.append(Arm(own[0][0] if len(own) == 1 else shared, runs[0].width, runs))
    return arms


def pairs(arms: Sequence[Arm], baseline: str | None = None) -> tuple[list[tuple[Arm, Arm]], list[str]]:
    """Who is compared with whom, baseline first; and a line for each arm that has no partner.

    Arms are compared at equal widths. A baseline of one width, or one given as NAME@WIDTH, is compared with all others.

    Args:
        arms: in the order of the command line.
        baseline: NAME or NAME@WIDTH; None: the first name, or the first arm if all have one name (its widths, then).

    Raises:
        InputError: there is no such baseline, or nothing to compare it with.
    """
    names = list(dict.fromkeys(arm.name for arm in arms))
    own = _baseline(arms, baseline) if baseline else [arm for arm in arms if arm.name == names[0]]
    if len(names) == 1:
        own = own[:1]
    found: list[tuple[Arm, Arm]] = []
    alone: list[str] = []
    for arm in arms:
        if any(arm is other for other in own):
            continue
        partners = own if len(own) == 1 else [other for other in own if _same(other.width, arm.width)]
        if partners:
            found.append((partners[0], arm))
        else:
            alone.append(f"{arm.label} is not compared: {own[0].name} was not measured at width {arm.width:.4g}")
    if not found:
        lines = "".join(f" {line}." for line in alone)
        raise InputError(
            f"there is nothing to compare: the only arms are {', '.join(arm.label for arm in arms)}.{lines} Give a "
            "second file, or --baseline bicubic."
        )
    return found, alone


def _baseline(arms: Sequence[Arm], wanted: str) -> list[Arm]:
    own = [arm for arm in arms if arm.name == wanted]
    if not own and "@" in wanted:
        name, _, width = wanted.rpartition("@")
        own = [arm for arm in arms if arm.name == name and _same(arm.width, parse_width(width))]
    if not own:
        known = list(dict.fromkeys(name for arm in arms for name in (arm.name, arm.label)))
        raise InputError(
            f"the baseline {wanted!r} is not among the arms.{did_you_mean(wanted, known)} "
            f"There are: {', '.join(known)}."
        )
    return own


def _items(text: str) -> list[str]:
    """The items of an arm; a comma inside a name parts nothing."""
    found: list[str] = []
    for piece in text.split(","):
        if found and not (".json" in piece or piece.endswith("/") or Path(piece.strip()).exists()):
            found[-1] += f",{piece}"
        else:
            found.append(piece)
    return [item.strip() for item in found]


def _runs(item: str, files: dict[Path, Result], keep_bicubic: bool, *, one_model: str | None = None) -> list[Run]:
    match = _ITEM.fullmatch(f"{item}/" if Path(item).is_dir() and not item.endswith("/") else item)
    if match is None:
        raise InputError(f"{item!r} is not [NAME=]FILE.json[:MODEL][@WIDTH]; result files end in .json.")
    width = parse_width(match["width"]) if match["width"] else None
    found: list[Run] = []
    for path in _expand(match["file"]):
        file = files[path] if path in files else files.setdefault(path, read_result(path))
        rows: dict[tuple[str, float], dict[tuple[str, str], Row]] = {}
        for row in file.rows:
            rows.setdefault((row.model, row.width), {})[row.set, row.image] = row
        runs = [Run(file, model, at, own) for (model, at), own in rows.items()]
        runs = _of_model(runs, match["model"], path, keep_bicubic)
        models = list(dict.fromkeys(run.model for run in runs))
        if one_model is not None and match["model"] is None and len(models) > 1:
            raise InputError(
                f"{path} holds {len(models)} models ({', '.join(models)}); say which are {one_model}: "
                f"{one_model}={path}:{models[0]}, or with a pattern."
            )
        at = [run for run in runs if width is None or _same(run.width, width)]
        if not at:
            there = ", ".join(f"{run.width:.4g}" for run in runs)
            raise InputError(f"{path} has no width {width:.4g} of {', '.join(models)}; it has {there}.")
        found += at
    return found


def _of_model(runs: list[Run], model: str | None, path: Path, keep_bicubic: bool) -> list[Run]:
    models = list(dict.fromkeys(run.model for run in runs))
    if not models:
        raise InputError(f"{path} holds no image: every row of it failed.")
    if model is None:
        wanted = [name for name in models if name != BICUBIC or keep_bicubic] or models
    else:
        wanted = [model] if model in models else [name for name in models if fnmatch.fnmatchcase(name, model)]
    if not wanted:
        raise InputError(
            f"{path} has no model {model!r}.{did_you_mean(str(model), models)} It has {', '.join(models)}."
        )
    return [run for run in runs if run.model in wanted]


def _expand(text: str) -> list[Path]:
    paths = [Path(text)] if Path(text).exists() else [Path(found) for found in sorted(glob.glob(text))]  # noqa: PTH207
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"the folder {path} has no result file (.json).")
        found += inside
    if not found:
        raise InputError(not_there(text, "the result file", wanted=lambda path: path.suffix == ".json"))
    return found


def _distinct_names(runs: Sequence[Run], taken: set[str]) -> list[str]:
    """Names of arms of one run: the models', or where these are not distinct, with the files' names or paths."""

    def with_file(of: Callable[[Path], str]) -> list[str]:
        return [of(run.file.path) + ("" if _models(run.file) == {run.model} else f":{run.model}") for run in runs]

    choices = [[run.model for run in runs], with_file(lambda path: path.stem), with_file(str)]
    for names in choices:
        arms = {(name, run.width) for name, run in zip(names, runs, strict=True)}
        sources = {(name, id(run.file), run.model) for name, run in zip(names, runs, strict=True)}
        if len(arms) == len(runs) and len(sources) == len(set(names)) and not taken & set(names):
            return names
    seen: dict[tuple[str, float], int] = {}
    names: list[str] = []
    for name, run in zip(choices[-1], runs, strict=True):
        number = seen[name, run.width] = seen.get((name, run.width), 0) + 1
        names.append(name if number == 1 else f"{name} ({number})")
    return names


def _models(file: Result) -> set[str]:
    return {row.model for row in file.rows} - {BICUBIC}


def _refuse_copies(name: str, runs: Sequence[Run]) -> None:
    numbers = [{key: row.metrics for key, row in run.rows.items()} for run in runs]
    for later, run in enumerate(runs):
        if (earlier := numbers.index(numbers[later])) < later:
            raise InputError(
                f"two runs of {name} are the same in every number, which two trainings never are: "
                f"{runs[earlier].file.path}:{runs[earlier].model} and {run.file.path}:{run.model}."
            )


def _same(a: float, b: float) -> bool:
    return abs(a - b) < 1e-6
