"""Result files as arms on the same images: what a report is made from."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from srkd.evaluation.arms import Arm, pairs, read_arms
from srkd.evaluation.compare import Comparison, check_protocols, compare
from srkd.evaluation.result import BICUBIC, Failure, Result, Row
from srkd.metrics.metric import Metric
from srkd.types import InputError


@dataclass(frozen=True)
class Gathered:
    """Arms of comparable result files; the first run of each stands for it where one picture or number is wanted.

    Attributes:
        files: that they were read from.
        arms: in order, bicubic once.
        metrics: names, the headline first: the first PSNR, or else the first metric.
        control: the arm that the others are compared with; None where there is nothing to compare.
        comparisons: of the others with it, in the headline metric.
        notes: what a reader must know of how the files fit together.
    """

    files: list[Result]
    arms: list[Arm]
    metrics: list[str]
    control: Arm | None
    comparisons: list[Comparison]
    notes: list[str]

    @property
    def protocol(self) -> dict[str, Any]:
        """The one protocol of all files."""
        return self.files[0].protocol

    @property
    def headline(self) -> str:
        """The metric that charts and choices go by."""
        return self.metrics[0]

    def metric(self, name: str) -> Metric:
        """What a column is."""
        return next((file.metrics[name] for file in self.files if name in file.metrics), self.files[0].metric(name))

    def gains(self, arm: Arm, over: Arm, test_set: str) -> dict[str, tuple[float, float]]:
        """For each image of a set the headline metric of `over` and the arm's difference to it, both finite."""
        own, base = (one.by_image(test_set, self.headline) for one in (arm, over))
        found = {image: (base[image], own[image] - base[image]) for image in own if image in base}
        return {image: pair for image, pair in found.items() if all(map(math.isfinite, pair))}

    def lines(self, arm: Arm, test_set: str) -> list[tuple[Row, list[tuple[Metric, float | None]]]]:
        """Of each image of a set the first run's row, and of each column the mean over the runs."""
        columns = [(self.metric(name), arm.by_image(test_set, name)) for name in self.metrics]
        return [
            (row, [(metric, means.get(row.image)) for metric, means in columns]) for row in arm.runs[0].of(test_set)
        ]

    @property
    def baseline(self) -> str:
        """The arm that gains are measured from: bicubic, or the first one where bicubic was not evaluated."""
        return next((arm.name for arm in self.arms if arm.name == BICUBIC), self.arms[0].name)

    @cached_property
    def models(self) -> dict[str, list[Arm]]:
        """The arms of each name, one for each width."""
        return {
            name: [arm for arm in self.arms if arm.name == name] for name in dict.fromkeys(a.name for a in self.arms)
        }

    @cached_property
    def rows(self) -> list[Row]:
        """Those of each arm's first run, under the arm's name."""
        return [replace(row, model=arm.name) for arm in self.arms for row in arm.runs[0].rows.values()]

    @property
    def sets(self) -> list[str]:
        """Names of the sets, in order."""
        return list(dict.fromkeys(row.set for row in self.rows))

    @property
    def failures(self) -> list[Failure]:
        """Images left out, each once."""
        return list(dict.fromkeys(failure for file in self.files for failure in file.failures))

    @cached_property
    def short(self) -> dict[str, str]:
        """Short names of the arms; what bicubic is called says nothing of what the others share."""
        networks = short_names([name for name in self.models if name != BICUBIC])
        return {name: networks.get(name, name) for name in self.models}

    @cached_property
    def styles(self) -> dict[str, int | None]:
        """Number of the colour and shape of each arm's name; the baseline has none."""
        others = [name for name in self.models if name != self.baseline]
        return {self.baseline: None, **{name: number for number, name in enumerate(others)}}

    def label(self, arm: Arm) -> str:
        """The short name, with the width where an arm has not just the full one."""
        return self.short[arm.name] + (
            f" @{arm.width:.4g}" if [own.width for own in self.models[arm.name]] != [1.0] else ""
        )


def gather(specs: Sequence[str], baseline: str | None = None) -> Gathered:
    """Read result files as arms (see `srkd.evaluation.arms`) and compare them with a control.

    Args:
        specs: files, or arms as for `srkd compare`.
        baseline: name of the control; None: the first arm with as many runs as any, or bicubic where each has one.

    Raises:
        InputError: no file has a row, two files were made by different protocols, or there is no such control.
    """
    arms = read_arms(specs, keep_bicubic=True)
    files = list({str(run.file.path): run.file for arm in arms for run in arm.runs}.values())
    check_protocols(files, "")
    metrics = list(dict.fromkeys(name for file in files for name in file.columns() if name not in file.missing))
    for name in metrics:
        check_protocols([file for file in files if name in file.columns()], name)
    if not metrics:
        raise InputError(f"there is not one value in {', '.join(str(file.path) for file in files)}.")
    headline = next((name for name in metrics if "psnr" in name.lower()), metrics[0])
    control, comparisons, notes = _compared(arms, headline, baseline)
    metrics = [headline, *(name for name in metrics if name != headline)]
    return Gathered(files, arms, metrics, control, comparisons, [*_notes(files, arms), *notes])


def _compared(
    arms: Sequence[Arm], headline: str, baseline: str | None
) -> tuple[Arm | None, list[Comparison], list[str]]:
    """The control, the others against it, and which arms it cannot be compared with."""
    most = max(len(arm.runs) for arm in arms)
    bicubic = next((arm.name for arm in arms if arm.name == BICUBIC), None)
    chosen = baseline or (next(arm.name for arm in arms if len(arm.runs) == most) if most > 1 else bicubic)
    own = [arm for arm in arms if arm.name == chosen]
    measured = [
        arm
        for arm in arms
        if (chosen == BICUBIC or arm.name != BICUBIC)
        and any(headline in row.metrics for row in arm.runs[0].rows.values())
    ]
    if own and not baseline:  # a teacher is no rival: it has other channels
        alike = [arm for arm in measured if arm.params == own[0].params]
        measured = alike if len(alike) > 1 else measured
    try:
        found, alone = pairs(measured, chosen)
        return (own or [found[0][0]])[0], compare(found, headline), [f"{line}." for line in alone]
    except InputError as error:
        if baseline:
            raise
        return None, [], [f"The arms are not compared: {error}"] if len(measured) > 1 else []


def short_names(names: Sequence[str], most: int = 26) -> dict[str, str]:
    """Names for labels: without the words that all of them have, cut to `most` letters; unique as `names` are."""
    words = {name: [word for word in re.split(r"[_\s]+", name) if word] for name in names}
    shared = {word for own in words.values() for word in own if all(word in other for other in words.values())}
    shared = shared if len(names) > 1 else set[str]()
    short = {name: " ".join(word for word in own if word not in shared) for name, own in words.items()}
    cut = {name: text if len(text) <= most else text[: most - 1] + "…" for name, text in short.items()}
    return cut if len(set(cut.values())) == len(cut) and all(cut.values()) else {name: name for name in names}


def _notes(files: Sequence[Result], arms: Sequence[Arm]) -> list[str]:
    notes = list(dict.fromkeys(warning for file in files for warning in file.warnings))
    sets = dict.fromkeys(name for arm in arms for run in arm.runs for name, _ in run.rows)
    for name in sets:
        counts = sorted({sum(at == name for at, _ in run.rows) for arm in arms for run in arm.runs} - {0})
        if len(counts) > 1:
            notes.append(f"The means on {name} are over {' and '.join(map(str, counts))} images: they do not compare.")
    machines = {tuple(file.environment.get(key) for key in ("hardware", "device", "threads")) for file in files}
    if len(machines) > 1:
        notes.append("The files were made on different machines: their times do not compare.")
    return notes
