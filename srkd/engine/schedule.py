"""Learning-rate schedules as pure functions of the iteration, so that a resumed run cannot drift.

Each registered function turns its options into `rate(step, base)`, where `step` counts the updates already made (0 at
the first iteration). Names and values are BasicSR's and torch's.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from srkd.registry import SCHEDULERS

Rate = Callable[[int, float], float]
Step = Annotated[int, Field(ge=0)]
Period = Annotated[int, Field(ge=1)]


@SCHEDULERS.register
def MultiStepRestartLR(  # noqa: N802 (BasicSR's name)
    *,
    milestones: tuple[Step, ...],
    gamma: float = 0.1,
    restarts: tuple[Step, ...] = (0,),
    restart_weights: tuple[float, ...] = (1.0,),
) -> Rate:
    """Multiply by `gamma` at every milestone; at each restart begin anew at `base · restart_weight`."""
    if len(restarts) != len(restart_weights):
        raise ValueError(f"`restarts` has {len(restarts)} values, `restart_weights` {len(restart_weights)}.")
    begins = (0, *restarts) if 0 not in restarts else restarts
    weights = (1.0, *restart_weights) if 0 not in restarts else restart_weights

    def rate(step: int, base: float) -> float:
        last, weight = max((begin, weight) for begin, weight in zip(begins, weights, strict=True) if begin <= step)
        return base * weight * gamma ** sum(last < milestone <= step for milestone in milestones)

    return rate


@SCHEDULERS.register
def MultiStepLR(*, milestones: tuple[Step, ...], gamma: float = 0.1) -> Rate:  # noqa: N802
    """Multiply by `gamma` at every milestone."""
    return MultiStepRestartLR(milestones=milestones, gamma=gamma)


@SCHEDULERS.register
def CosineAnnealingRestartLR(  # noqa: N802
    *, periods: tuple[Period, ...], restart_weights: tuple[float, ...] = (1.0,), eta_min: float = 0.0
) -> Rate:
    """Cosine from `base · restart_weight` to `eta_min` over each period; the last period's end is kept after it."""
    if len(periods) != len(restart_weights):
        raise ValueError(f"`periods` has {len(periods)} values, `restart_weights` {len(restart_weights)}.")
    ends = [sum(periods[: count + 1]) for count in range(len(periods))]

    def rate(step: int, base: float) -> float:
        index = min(bisect.bisect_left(ends, step), len(ends) - 1)
        done = min((step - (ends[index] - periods[index])) / periods[index], 1.0)
        return eta_min + restart_weights[index] * 0.5 * (base - eta_min) * (1 + math.cos(math.pi * done))

    return rate


@SCHEDULERS.register
def CosineAnnealingLR(*, T_max: Period, eta_min: float = 0.0) -> Rate:  # noqa: N802
    """Cosine from `base` to `eta_min` over `T_max` iterations."""
    return CosineAnnealingRestartLR(periods=(T_max,), eta_min=eta_min)


@SCHEDULERS.register
def TrueCosineAnnealingLR(*, T_max: Period, eta_min: float = 0.0) -> Rate:  # noqa: N802
    """BasicSR's name for `CosineAnnealingLR`."""
    return CosineAnnealingLR(T_max=T_max, eta_min=eta_min)


def constant(step: int, base: float) -> float:
    """No schedule."""
    del step
    return base


def with_warmup(rate: Rate, warmup_iter: int) -> Rate:
    """Linear warm-up from 0 over the first `warmup_iter` iterations (BasicSR's; -1 or 0 for none)."""

    def warmed(step: int, base: float) -> float:
        iteration = step + 1
        return base * iteration / warmup_iter if iteration < warmup_iter else rate(step, base)

    return warmed
