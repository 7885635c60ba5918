import time

import pytest
import torch

from srkd.metrics.latency import WARM_UP, latency, measured_peak

CPU = torch.device("cpu")


def test_median_and_p95_are_of_the_runs_after_the_warm_up(monkeypatch):
    clock = iter([value for run in range(20) for value in (run * 100.0, run * 100.0 + run + 1)])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    calls = []
    found = latency(lambda: calls.append(1), CPU, runs=20)
    assert len(calls) == WARM_UP + 20 and found.runs == 20
    assert found.median == 10.5 and found.p95 == pytest.approx(19.05)


def test_memory_is_measured_on_cuda_only():
    assert measured_peak(lambda: None, CPU) is None
