"""Several result files as one: what a report is made from."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from srkd.evaluation.compare import check_protocols
from srkd.evaluation.result import BICUBIC, Failure, Result, Row, Summary
from srkd.metrics.metric import metric_text
from srkd.types import InputError


@dataclass(frozen=True)
class Gathered:
    """The contents of result files that are comparable.

    Attributes:
        paths: the files.
        protocol: the one protocol of all of them.
        environments: of each file.
        models: what is recorded of each model, by its name.
        metrics: names, the headline first: the first PSNR, or else the first metric.
        rows: each image, model and width once.
        summary: each set, model and width once.
        failures: images left out.
        folders: where each set was, by its name, as far as it is recorded.
        notes: what a reader must know of how the files fit together.
    """

    paths: list[Path]
    protocol: dict[str, Any]
    environments: list[dict[str, Any]]
    models: dict[str, dict[str, Any]]
    metrics: list[str]
    rows: list[Row]
    summary: list[Summary]
    failures: list[Failure]
    folders: dict[str, str]
    notes: list[str]

    @property
    def headline(self) -> str:
        """The metric that charts and choices go by."""
        return self.metrics[0]

    @property
    def baseline(self) -> str:
        """The model that gains are measured from: bicubic, or the first one where bicubic was not evaluated."""
        return BICUBIC if BICUBIC in self.models else next(iter(self.models))

    @property
    def sets(self) -> list[str]:
        """Names of the sets, in order."""
        return list(dict.fromkeys(row.set for row in self.rows))

    @property
    def contenders(self) -> list[tuple[str, float]]:
        """Every (model, width), in order."""
        return list(dict.fromkeys((row.model, row.width) for row in self.rows))

    def widths(self, model: str) -> list[float]:
        """The widths a model was evaluated at."""
        return [width for name, width in self.contenders if name == model]

    @cached_property
    def short(self) -> dict[str, str]:
        """Short names of the models; what bicubic is called says nothing of what the others share."""
        networks = short_names([name for name in self.models if name != BICUBIC])
        return {name: networks.get(name, name) for name in self.models}

    @cached_property
    def styles(self) -> dict[str, int | None]:
        """Number of the colour and shape of each model; the baseline has none."""
        others = [name for name in self.models if name != self.baseline]
        return {self.baseline: None, **{name: number for number, name in enumerate(others)}}

    def label(self, model: str, width: float) -> str:
        """The short name, with the width where a model has not just the full one."""
        return self.short[model] + (f" @{width:.4g}" if self.widths(model) != [1.0] else "")

    def with_unit(self, value: float | None) -> str:
        """A value of the headline metric as text."""
        unit = " dB" if "psnr" in self.headline.lower() and value is not None and math.isfinite(value) else ""
        return metric_text(self.headline, value) + unit


def gather(files: Sequence[Result]) -> Gathered:
    """Put result files together; a model whose name is taken by another one gets its file's name behind its own.

    Raises:
        InputError: no file has a row, or two files were made by different protocols.
    """
    first = files[0]
    columns = {str(file.path): {name for row in file.rows for name in row.metrics} for file in files}
    check_protocols(files, "")
    for name in sorted(set[str]().union(*columns.values())):
        check_protocols([file for file in files if name in columns[str(file.path)]], name)
    models: dict[str, dict[str, Any]] = {}
    rows: dict[tuple[str, str, str, float], Row] = {}
    summary: dict[tuple[str, str, float], Summary] = {}
    failures: list[Failure] = []
    for file in files:
        names = _names(file, models)
        for row in file.rows:
            own = replace(row, model=names[row.model])
            rows.setdefault((own.set, own.image, own.model, own.width), own)
        for item in file.summary:
            if item.model in names:
                own = replace(item, model=names[item.model])
                summary.setdefault((own.set, own.model, own.width), own)
        failures += [replace(item, model=names.get(item.model, item.model)) for item in file.failures]
    metrics = list(dict.fromkeys(name for row in rows.values() for name in row.metrics))
    if not metrics:
        raise InputError(f"there is not one value in {', '.join(str(file.path) for file in files)}.")
    headline = next((name for name in metrics if "psnr" in name.lower()), metrics[0])
    return Gathered(
        [file.path for file in files],
        first.protocol,
        [file.environment for file in files],
        {name: models.get(name, {}) for name in dict.fromkeys(row.model for row in rows.values())},
        [headline, *(name for name in metrics if name != headline)],
        list(rows.values()),
        list(summary.values()),
        list(dict.fromkeys(failures)),
        {str(item["name"]): str(item.get("origin")) for file in files for item in file.sets if item.get("name")},
        _notes(files, list(summary.values())),
    )


def short_names(names: Sequence[str], most: int = 26) -> dict[str, str]:
    """Names for labels: without the words that all of them have, cut to `most` letters; unique as `names` are."""
    words = {name: [word for word in re.split(r"[_\s]+", name) if word] for name in names}
    shared = set[str].intersection(*(set(own) for own in words.values())) if len(names) > 1 else set[str]()
    short = {name: " ".join(word for word in own if word not in shared) for name, own in words.items()}
    cut = {name: text if len(text) <= most else text[: most - 1] + "…" for name, text in short.items()}
    return cut if len(set(cut.values())) == len(cut) and all(cut.values()) else {name: name for name in names}


def _names(file: Result, models: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The name each model of `file` gets among `models`, which it is entered into."""
    records = {str(record.get("name")): record for record in file.models}
    names: dict[str, str] = {}
    for name in dict.fromkeys(row.model for row in file.rows):
        record = {**records.get(name, {}), "result": str(file.path)}
        new, number = name, 1
        while new in models and not _same(models[new], record):
            new, number = f"{name} ({file.path.stem}{'' if number == 1 else f' {number}'})", number + 1
        models.setdefault(new, record)
        names[name] = new
    return names


def _same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return {**a, "result": ""} == {**b, "result": ""}


def _notes(files: Sequence[Result], summary: Sequence[Summary]) -> list[str]:
    notes = list(dict.fromkeys(warning for file in files for warning in file.warnings))
    for name in dict.fromkeys(item.set for item in summary):
        counts = sorted({item.n for item in summary if item.set == name})
        if len(counts) > 1:
            notes.append(f"The means on {name} are over {' and '.join(map(str, counts))} images: they do not compare.")
    machines = {tuple(file.environment.get(key) for key in ("hardware", "device", "threads")) for file in files}
    if len(machines) > 1:
        notes.append("The files were made on different machines: their times do not compare.")
    return notes
