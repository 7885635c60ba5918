"""What the loop needs of the machine: a clock that knows what it waited for, signals, advice about memory."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import torch

from srkd.engine.distributed import World, any_rank

POLL = 10  # iterations between agreeing, where there are several processes

OUT_OF_MEMORY = (
    "If this was in training: a smaller batch_size_per_gpu with more accumulate, or a smaller gt_size. If it was in "
    "validation: smaller images, or no val block. --auto_resume goes on from what was saved."
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on whatever device: on the CPU it is a plain `RuntimeError`, NumPy's a `MemoryError`."""
    words = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed", "unable to find an engine")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)
    )


def memory_advice(error: BaseException) -> str:
    """The first line of the error, and what to change."""
    first = str(error).strip().split("\n")[0] or "there is not enough memory."
    return f"{first}{'' if first.endswith('.') else '.'} {OUT_OF_MEMORY}"


class Clock:
    """Seconds per iteration, and how many of them waited for data; validation is not counted."""

    def __init__(self) -> None:
        self.start, self.waited, self.laps = time.perf_counter(), 0.0, 0

    def lap(self) -> None:
        """Count one iteration."""
        self.laps += 1

    @contextmanager
    def waiting(self, busy: Callable[[], bool] = lambda: False) -> Generator[None]:
        """Whatever happens inside is waiting for data, unless the device is still `busy` with the step before."""
        began = time.perf_counter()
        yield
        if not busy():
            self.waited += time.perf_counter() - began

    @contextmanager
    def paused(self) -> Generator[None]:
        """Whatever happens inside is not training."""
        began = time.perf_counter()
        yield
        self.start += time.perf_counter() - began

    def read(self) -> tuple[float, float]:
        """Mean seconds per iteration since the last reading, and of these the seconds that waited; starts anew."""
        laps = max(self.laps, 1)
        result = ((time.perf_counter() - self.start) / laps, self.waited / laps)
        self.start, self.waited, self.laps = time.perf_counter(), 0.0, 0
        return result


@contextmanager
def on_signals(handle: Callable[[int], None]) -> Generator[None]:
    """Route Ctrl-C, SIGTERM and a terminal that goes away to `handle` (only the main thread may)."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup: it goes on
        numbers.append(signal.SIGHUP)
    terminals = [stream for stream in (1, 2) if os.isatty(stream)]

    def received(number: int, _: object) -> None:
        if number not in (signal.SIGINT, signal.SIGTERM):  # writing to a terminal that is gone would be an error
            for stream in terminals:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        handle(number)

    try:
        before = {number: signal.signal(number, received) for number in numbers}
    except ValueError:  # not the main thread: signals are somebody else's
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tell_at_once(text: str) -> None:
    """Write a line to stderr from a signal handler.

    Not a log line: the handler may have come in the middle of one, and a stream that is being written refuses another.
    """
    with suppress(OSError):  # nobody there to read it
        os.write(2, f"\n{text}\n".encode("utf-8", "backslashreplace"))


class Interruption:
    """What asked this training to end.

    Attributes:
        number: of the signal; 0: none came.
    """

    def __init__(self, world: World) -> None:
        self._world, self.number = world, 0

    def heard(self, number: int) -> None:
        """Remember a signal; a second Ctrl-C does not wait any longer.

        Raises:
            KeyboardInterrupt: it is the second one.
        """
        if self.number and number == signal.SIGINT:
            raise KeyboardInterrupt  # only a person is impatient: shells and schedulers send the others twice
        self.number = self.number or number
        tell_at_once("Interrupted: saving after this iteration (Ctrl-C to stop at once).")

    def agreed(self, iteration: int) -> bool:
        """Whether all processes end after this iteration."""
        if self._world.size == 1:
            return bool(self.number)
        if iteration % POLL:
            return False
        agreed = any_rank(self._world, self.number)
        self.number = agreed or self.number  # a signal may have come meanwhile: it is for the next time
        return bool(agreed)
