"""What a training run wrote into its metrics.jsonl: losses and validation values over the iterations."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srkd.missing import read_text
from srkd.types import InputError

METRICS_FILE = "metrics.jsonl"

Points = list[tuple[float, float]]
"""(iteration, value), in the order of the file."""

_NO_VALUES = {"train": ("kind", "iter", "lr", "seconds", "data_seconds"), "val": ("kind", "iter", "set", "width")}


@dataclass(frozen=True)
class Run:
    """One training run.

    Attributes:
        name: the experiment's.
        losses: by name, `l_pix` or `l_pix@0.5`.
        validation: by (set, metric, width).
    """

    name: str
    losses: dict[str, Points] = field(default_factory=dict[str, Points])
    validation: dict[tuple[str, str, float], Points] = field(default_factory=dict[tuple[str, str, float], Points])


def read_run(path: str | Path) -> Run:
    """Read a metrics.jsonl, or the one inside an experiment's folder; values that are not finite are left out.

    Raises:
        InputError: there is none, or a line other than the last is damaged (a crash cuts the last one short).
    """
    path = Path(path)
    if path.is_dir():
        path = path / METRICS_FILE
    lines = read_text(path, "the training log").splitlines()
    run = Run(path.resolve().parent.name)
    for number, line in enumerate(lines, start=1):
        try:
            _add(run, json.loads(line))
        except (ValueError, KeyError, TypeError):
            if number < max(len(lines), 2):  # a log begins with a whole line
                raise InputError(f"{path}, line {number} is not what srkd train writes: {line[:80]!r}.") from None
    return run


def thinned(points: Points, most: int = 300) -> Points:
    """At most about `most` points: means of equal numbers of neighbours, where there are more."""
    step = -(-len(points) // most)
    groups = [points[start : start + step] for start in range(0, len(points), step or 1)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def _add(run: Run, entry: dict[str, Any]) -> None:
    iteration, kind = float(entry["iter"]), entry["kind"]
    for name, value in entry.items() if kind in _NO_VALUES else ():
        if name in _NO_VALUES[kind]:
            continue
        if kind == "train":
            points = run.losses.setdefault(name, [])
        else:
            points = run.validation.setdefault((str(entry["set"]), name, float(entry["width"])), [])
        if value is not None:
            points.append((iteration, float(value)))
