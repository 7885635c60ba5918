"""How long a step takes and how much of a GPU's memory, measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

WARM_UP = 3
"""Runs before those that are timed; they pay for allocation and the choice of algorithms."""


@dataclass(frozen=True)
class Latency:
    """Seconds of one step.

    Attributes:
        median: half of the runs were faster.
        p95: 95 % of the runs were faster.
        runs: how many were timed, after those that warm up.
    """

    median: float
    p95: float
    runs: int


def latency(step: Callable[[], object], device: torch.device, *, runs: int = 20) -> Latency:
    """Time `step` on `device`, each run from an idle device until the device is idle again.

    Args:
        step: what is timed.
        device: where it computes.
        runs: how many are timed, at least 1, after `WARM_UP` others.
    """
    for _ in range(WARM_UP):
        step()
    seconds: list[float] = []
    for _ in range(runs):
        _wait(device)
        began = time.perf_counter()
        step()
        _wait(device)
        seconds.append(time.perf_counter() - began)
    return Latency(float(np.median(seconds)), float(np.percentile(seconds, 95)), runs)


def alone(step: Callable[[], object], device: str) -> float:
    """Seconds of `step`, which waits for the device; on a CPU without the time in which other programs had it."""
    start, busy = time.perf_counter(), time.process_time()
    step()
    seconds, own = time.perf_counter() - start, (time.process_time() - busy) / torch.get_num_threads()
    return min(seconds, own) if device == "cpu" else seconds  # a GPU's calls only wait


def measured_peak(step: Callable[[], object], device: torch.device) -> int | None:
    """Bytes that PyTorch holds at most on a CUDA device during `step`, weights included; None for other devices."""
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    step()
    _wait(device)
    return torch.cuda.max_memory_allocated(device)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
