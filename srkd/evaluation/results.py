"""What a benchmark found out: rows of images, means of sets, images left out, and what the figures rest on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from srkd.evaluation.protocols import Protocol
from srkd.types import WorkError

BICUBIC = "bicubic"
"""The model that is always there: bicubic interpolation."""


@dataclass(frozen=True)
class Row:
    """One image at one width; an infinite PSNR is `math.inf`."""

    set: str
    image: str
    model: str
    width: float
    metrics: dict[str, float]
    seconds: float | None


@dataclass(frozen=True)
class Failure:
    """An image that could not be evaluated; `model` is empty where it could not be read."""

    set: str
    image: str
    model: str
    reason: str


@dataclass(frozen=True)
class Summary:
    """Means over a set; `n` of `n_expected` images."""

    set: str
    model: str
    width: float
    n: int
    n_expected: int
    metrics: dict[str, float]
    params: int | None
    multi_adds: int | None
    seconds: float | None


@dataclass
class Result:
    """Everything a benchmark found out in one protocol.

    Attributes:
        protocol: how the numbers were made.
        models: name and origin of each model, for the result file.
        environment: versions and hardware.
        rows: one for each image, model and width.
        summary: one for each set, model and width.
        failures: images left out.
        sets: name, origin and number of images of each set, and a stamp that changes with its files.
        tile: side of the windows that networks saw, in low-resolution pixels; 0: whole images; `auto`.
        lpips: which LPIPS the column of that name is; None without one.
        missing: columns that were asked for and have no figures, with the reason.
        warnings: why figures do not compare with papers' tables, or are not what they seem; a sentence each.
        timing: seconds of the run and where they went.
    """

    protocol: Protocol
    models: list[dict[str, Any]]
    environment: dict[str, Any]
    rows: list[Row] = field(default_factory=list[Row])
    summary: list[Summary] = field(default_factory=list[Summary])
    failures: list[Failure] = field(default_factory=list[Failure])
    sets: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    tile: int | str = 0
    lpips: dict[str, Any] | None = None
    missing: dict[str, str] = field(default_factory=dict[str, str])
    warnings: list[str] = field(default_factory=list[str])
    timing: dict[str, Any] = field(default_factory=dict[str, Any])

    def raise_failures(self) -> None:
        """Raise `WorkError` that lists the images left out, if there are any."""
        if self.failures:
            listed = "\n".join(
                f"  {failure.set}/{failure.image}{f' ({failure.model})' if failure.model else ''}: {failure.reason}"
                for failure in self.failures
            )
            raise WorkError(f"not everything could be evaluated; the means are without:\n{listed}")


Key = tuple[str, str, str, float]


def key_of(row: Row) -> Key:
    """Set, image, model and width: no two rows of a result share them."""
    return row.set, row.image, row.model, row.width


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean, infinite where a value is."""
    return math.inf if math.inf in values else float(np.mean(values))
