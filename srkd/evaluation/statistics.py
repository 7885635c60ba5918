"""Student's t for differences over images and over seeds, the sign test, and Holm's correction; arrays in, numbers out.

Intervals are Student's and not a bootstrap's percentiles: for skewed differences of five images those hold the truth in
80 to 85 of 100 cases where they promise 95, Student's in 88 to 96.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, stdtr, stdtrit

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean difference.

    Attributes:
        mean: of the differences, in the metric's unit.
        low: lower end of the 95 % interval; None where there are too few values for one.
        high: upper end.
        p: two-sided probability of a mean this far from 0, or farther, if the truth is 0; 1 where there is no interval.
    """

    mean: float
    low: float | None
    high: float | None
    p: float


@dataclass(frozen=True)
class Signs:
    """How many images became better, worse, and neither; `p` of the exact two-sided sign test, without the last."""

    better: int
    worse: int
    equal: int
    p: float


def paired(differences: ArrayLike) -> Estimate:
    """Mean of paired differences [N], N ≥ 1, with Student's interval; without one for N = 1."""
    values = np.asarray(differences, np.float64)
    mean, error, n = float(values.mean()), _standard_error(values), len(values)
    return Estimate(mean, None, None, 1.0) if n == 1 else _student(mean, error, n - 1)


def welch(a: ArrayLike, b: ArrayLike) -> Estimate:
    """Mean of `b` [N] − mean of `a` [M], independent and each of two values or more; spreads need not be equal.

    Paper: B. L. Welch, "The generalization of 'Student's' problem when several different population variances are
    involved", Biometrika 34, 1947.
    """
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    mean = float(second.mean() - first.mean())
    variances = [_standard_error(values) ** 2 for values in (first, second)]
    parts = sum(variance**2 / (len(values) - 1) for variance, values in zip(variances, (first, second), strict=True))
    total = sum(variances)
    return _student(mean, math.sqrt(total), total**2 / parts if parts else 1.0)


def sign_test(differences: ArrayLike) -> Signs:
    """Count the signs of `differences` [N], which may be infinite: a metric that is exact on one side only."""
    values = np.asarray(differences, np.float64)
    better, worse = int((values > 0).sum()), int((values < 0).sum())
    p = min(1.0, 2 * float(bdtr(min(better, worse), better + worse, 0.5))) if better + worse else 1.0
    return Signs(better, worse, len(values) - better - worse, p)


def holm(probabilities: Sequence[float]) -> list[float]:
    """Corrected for having been looked at together, in the same order.

    Paper: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6,
    1979.
    """
    corrected = [0.0] * len(probabilities)
    largest = 0.0
    for done, index in enumerate(sorted(range(len(probabilities)), key=probabilities.__getitem__)):
        largest = max(largest, min(1.0, probabilities[index] * (len(probabilities) - done)))
        corrected[index] = largest
    return corrected


def spread(values: ArrayLike) -> float | None:
    """Standard deviation (n − 1) of `values` [N]; None for one value."""
    values = np.asarray(values, np.float64)
    return float(values.std(ddof=1)) if len(values) > 1 else None


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def _student(mean: float, error: float, freedom: float) -> Estimate:
    if error == 0:  # no spread at all: certain, one way or the other
        return Estimate(mean, mean, mean, 1.0 if mean == 0 else 0.0)
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error
    return Estimate(mean, mean - half, mean + half, 2 * float(stdtr(freedom, -abs(mean) / error)))
