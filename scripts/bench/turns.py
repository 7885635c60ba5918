"""Variants that take turns, each in a process of its own, under the allocators that speed depends on.

Only one process runs at a time: the others are stopped (SIGSTOP), with all their threads and loader workers. One turn
of each makes a round; figures are medians over rounds. The allocators:

  stock    glibc as it comes, srkd's own tuning off: how peers run out of the box
  default  what srkd's command line does itself (`srkd.allocator`): how srkd runs out of the box
  tuned    GLIBC_TUNABLES keep large blocks, for both: like for like

On CUDA the CPU's allocator decides nothing: every variant has one setting, and a comparison one ratio.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

TUNED = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592:glibc.malloc.top_pad=268435456"
ALLOCATORS = {
    "stock": {"SRKD_MALLOPT": "0"},
    "default": {},
    "tuned": {"SRKD_MALLOPT": "0", "GLIBC_TUNABLES": TUNED},
}
ANSWER = "\x1e"  # begins a line of a worker's stdout that is meant for us
MIB = 2**20

Values = dict[str, Any]
Key = tuple[str, str]
"""A variant and its allocator."""


# --- the side of a variant's process


def worker() -> Values | None:
    """What this process is to measure, with its `variant`; None: it is the one that was started by hand."""
    if len(sys.argv) != 3 or sys.argv[1] != "--worker":
        return None
    from srkd.allocator import tune_allocator

    if sys.platform == "linux":  # it is stopped most of the time: it must not outlive who would let it go on
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    tune_allocator()  # as srkd's command line does; the environment decides whether it does anything
    return json.loads(sys.argv[2])


def serve(turn: Callable[[], Values]) -> None:
    """Answer every turn that is given; whoever calls this has warmed up."""
    answer({})
    while wait_for_turn():
        answer(turn())


def answer(values: Values) -> None:
    """Hand the result of a turn over."""
    sys.stdout.write(f"\n{ANSWER}{json.dumps(values)}\n")
    sys.stdout.flush()


def wait_for_turn() -> bool:
    """Wait until this process is told to go on; False: there is nothing left to do."""
    return bool(sys.stdin.readline())


def timed(device: str, run: Callable[[], object]) -> float:
    """Seconds of one call, until the device has finished."""
    import torch

    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    began = time.perf_counter()
    run()
    wait()
    return time.perf_counter() - began


def peak_mib(device: str, *, reset: bool = False) -> float:
    """The most memory in use since the last reset: the resident set (Linux), or what torch has allocated on CUDA."""
    if device == "cuda":
        import torch

        if reset:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated() / MIB
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024


# --- the side of the process that was started by hand


class Worker:
    """One variant in a process of its own, stopped while it is not its turn."""

    def __init__(
        self, script: str, settings: Mapping[str, Any], *, allocator: str, threads: int, nproc: int = 1
    ) -> None:
        self.name = f"{Path(script).stem} {settings['variant']} ({allocator})"
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        environment = {
            name: value for name, value in os.environ.items() if name not in ("GLIBC_TUNABLES", "SRKD_MALLOPT")
        }
        environment |= {**ALLOCATORS[allocator], "OMP_NUM_THREADS": str(threads)}
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={nproc}"] if nproc > 1 else []
        self._process = subprocess.Popen(
            [sys.executable, *launch, script, "--worker", json.dumps(settings)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        try:
            self._answer()  # it has warmed up
        except BaseException:
            self.close()
            raise

    def turn(self) -> Values:
        """Let it run until it has measured once."""
        assert self._process.stdin
        os.killpg(self._process.pid, signal.SIGCONT)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Values:
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith(ANSWER):
                os.killpg(self._process.pid, signal.SIGSTOP)
                return json.loads(line[1:])
        self._errors.seek(0)
        raise SystemExit(f"{self.name}: exit status {self._process.wait()}\n{self._errors.read()[-2000:]}")

    def let_go(self) -> None:
        """Give it no more turns: it ends by itself where it waits for one."""
        assert self._process.stdin
        with contextlib.suppress(OSError):
            self._process.stdin.close()
            os.killpg(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it, and what it has started."""
        self.let_go()
        with self._errors, contextlib.suppress(OSError):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(5)
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def measure(
    script: str,
    variants: Mapping[str, Mapping[str, Any]],
    *,
    device: str,
    threads: int,
    rounds: int,
    own: Sequence[str] = ("srkd",),
    each_round: Callable[[dict[Key, Values], Values], object] = lambda medians, ceiling: None,
) -> tuple[dict[Key, Values], Values]:
    """Medians of every variant under its allocators, and the ceiling, measured in turns with them.

    Args:
        script: the file whose workers are started.
        variants: settings of each variant's worker, which is told its name as `variant` and the `device`.
        own: the variants that are srkd's: their first allocator is `default`, that of the others `stock`.
        each_round: told medians and ceiling of the rounds so far, after each of them.
    """
    settings = {("ceiling", "tuned"): (str(Path(__file__).with_name("ceiling.py")), {})}
    for name, given in variants.items():
        for allocator in (("default" if name in own else "stock"), "tuned")[: 1 if device == "cuda" else 2]:
            settings[name, allocator] = (script, dict(given))
    workers: dict[Key, Worker] = {}
    try:
        for (name, allocator), (file, given) in settings.items():
            given |= {"variant": name, "device": device}
            workers[name, allocator] = Worker(file, given, allocator=allocator, threads=threads)
        answers: list[dict[Key, Values]] = []
        for _ in range(rounds):
            answers.append({key: worker.turn() for key, worker in workers.items()})
            medians = {key: medians_of([each[key] for each in answers]) for key in workers}
            ceiling = medians.pop(("ceiling", "tuned"))
            each_round(medians, ceiling)
    finally:
        for one in workers.values():
            one.let_go()
        for one in workers.values():
            one.close()
    return medians, ceiling


def medians_of(answers: Sequence[Values]) -> Values:
    """The median of every number; of anything else the last one."""
    return {
        name: statistics.median(answer[name] for answer in answers) if isinstance(last, int | float) else last
        for name, last in answers[-1].items()
    }
