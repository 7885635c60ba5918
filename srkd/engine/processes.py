"""Trainings as processes: some at a time, each with its log; an interruption is passed on, so that all save."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from srkd.engine.runtime import on_signals
from srkd.engine.sweep import SweepRun


@dataclass(frozen=True)
class Launch:
    """How runs are started.

    Attributes:
        jobs: how many at a time.
        nproc: processes (GPUs) of each.
        logs: the folder for `<run>.log`; what a run says is added to what it said before.
    """

    jobs: int
    nproc: int
    logs: Path

    def log(self, run: SweepRun) -> Path:
        """Where the output of a run goes."""
        return self.logs / f"{run.name}.log"


def train_all(
    runs: Sequence[SweepRun],
    launch: Launch,
    *,
    on_tick: Callable[[Sequence[SweepRun]], None],
    on_end: Callable[[SweepRun, int], None],
) -> int:
    """Run every training to its end, whatever becomes of the others.

    Args:
        runs: started in this order.
        launch: see there.
        on_tick: told several times a second what is running.
        on_end: told of each run that ended, and its exit status.

    Returns:
        0, or 128 + the signal that interrupted the sweep.
    """
    waiting = list(runs)
    running: dict[int, tuple[SweepRun, subprocess.Popen[bytes]]] = {}  # by place
    signals: list[int] = []
    passed_on = 0
    launch.logs.mkdir(parents=True, exist_ok=True)
    try:
        with on_signals(signals.append):
            while running or (waiting and not signals):
                while waiting and len(running) < launch.jobs and not signals:
                    place = min(set(range(launch.jobs)) - running.keys())
                    running[place] = (waiting[0], _start(waiting.pop(0), place, launch))
                for number in signals[passed_on:]:
                    for _, process in running.values():
                        process.send_signal(number)
                    passed_on += 1
                on_tick([run for run, _ in running.values()])
                time.sleep(0.2)
                for place, (run, process) in list(running.items()):
                    if process.poll() is not None:
                        del running[place]
                        on_end(run, process.returncode)
    finally:
        for _, process in running.values():  # nothing goes on unseen
            process.terminate()
    return 128 + signals[0] if signals else 0


def _start(run: SweepRun, place: int, launch: Launch) -> subprocess.Popen[bytes]:
    gpus = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(torch.cuda.device_count())))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with launch.log(run).open("ab") as log:
        return subprocess.Popen(
            run.command(launch.nproc),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=share(os.environ, place, launch, cores=cores, gpus=gpus.split(",") if gpus else []),
            start_new_session=True,  # a terminal's Ctrl-C would reach it twice, and the second one does not save
        )


def share(given: Mapping[str, str], place: int, launch: Launch, *, cores: int, gpus: Sequence[str]) -> dict[str, str]:
    """The environment `given`, for the run in one of several places: its part of the cores and of the GPUs."""
    if launch.jobs == 1:
        return dict(given)
    own = {"OMP_NUM_THREADS": str(max(1, cores // (launch.jobs * launch.nproc))), **given}
    if len(gpus) > 1:
        numbers = range(place * launch.nproc, (place + 1) * launch.nproc)
        own["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[number % len(gpus)] for number in numbers)
    return own


def iteration(run: SweepRun) -> int:
    """How far a run is, by the end of its metrics.jsonl."""
    try:
        with run.folder.metrics.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            found = re.findall(rb'"iter": (\d+)', file.read())
    except OSError:
        return 0
    return int(found[-1]) if found else 0


def last_line(log: Path) -> str:
    """The last line of a log that is not empty: what a failed run said."""
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
