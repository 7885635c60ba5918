"""What a run tells: log lines in BasicSR's form, and named values, which go to its sinks."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from logging.handlers import BufferingHandler
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from srkd.engine.sinks import Sink

log = logging.getLogger("srkd")

STARVED = 0.1
"""Share of the time that a run may wait for data before it is told what to change."""


class LastingStream:
    """Standard output that a training outlives: when nobody reads it any more, it is silent.

    Rich writes to it in several places and threads; a terminal that is gone or a full disk is an error in any of them.
    """

    @property
    def _stream(self) -> TextIO:
        return getattr(sys.stdout, "rich_proxied_file", sys.stdout)  # while there is a bar, rich stands before it

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """As of a file; nothing is raised."""
        try:
            return self._stream.write(text)
        except OSError:
            return self._give_up()

    def flush(self) -> None:
        """As of a file; nothing is raised."""
        try:
            self._stream.flush()
        except OSError:
            self._give_up()

    def _give_up(self) -> int:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())  # what is in buffers goes there too
        return 0


class ConsoleHandler(logging.Handler):
    """Prints log lines above the progress bar; where the output is a file or a pipe, lines are never wrapped."""

    def __init__(self, console: Console, level: int) -> None:
        super().__init__(level)
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record, its level named from WARNING up."""
        level = "" if record.levelno < logging.WARNING else f"{record.levelname}: "
        self.console.print(level + record.getMessage(), markup=False, highlight=False, soft_wrap=True)


def console_logging(console: Console | None, *, level: int = logging.INFO) -> None:
    """Send the package's log lines to the console, and to no other; None: to none."""
    log.setLevel(logging.INFO)
    for handler in [handler for handler in log.handlers if isinstance(handler, ConsoleHandler)]:
        log.removeHandler(handler)
    if console is not None:
        log.addHandler(ConsoleHandler(console, level))


@contextmanager
def recording() -> Generator[list[logging.LogRecord]]:
    """Collect the package's log records inside the `with` block: what is said before a run has its log file."""
    handler = BufferingHandler(sys.maxsize)
    log.addHandler(handler)
    try:
        yield handler.buffer
    finally:
        log.removeHandler(handler)


class RunLog:
    """Everything one training run writes about itself. Use as a context manager.

    Args:
        name: the experiment's name, shown in every line.
        total_iter: iterations of the whole run.
        sinks: where it goes; ranks other than 0 have none.
        start_iter: iterations done before.
    """

    def __init__(self, name: str, total_iter: int, sinks: Sequence[Sink] = (), *, start_iter: int = 0) -> None:
        self.name, self.total_iter, self.start_iter = name, total_iter, start_iter
        self.sinks = [*sinks]
        self._began = time.perf_counter()
        self._starved = False
        self.advice = ""  # what to change where the training waits for data

    def __enter__(self) -> RunLog:
        for sink in self.sinks:
            sink.open()
        return self

    def __exit__(self, *exception: object) -> None:
        for sink in reversed(self.sinks):
            with suppress(OSError):  # a full disk
                sink.close()

    def train(
        self, iteration: int, losses: Mapping[str, float], *, epoch: int, lr: float, seconds: float, data_seconds: float
    ) -> None:
        """One print interval: losses, learning rate, and seconds per iteration (of which waiting for data)."""
        eta = _hms((self.total_iter - iteration) * (time.perf_counter() - self._began) / (iteration - self.start_iter))
        terms = " ".join(f"{name}: {value:.4e}" for name, value in losses.items())
        log.info(
            f"[{self.name[:5]}..][epoch:{epoch:3d}, iter:{iteration:8,d}, lr:({lr:.3e},)] "
            f"[eta: {eta}, time (data): {seconds:.3f} ({data_seconds:.3f})] {terms}"
        )
        if data_seconds > STARVED * seconds and not self._starved:
            self._starved = True  # once is enough
            log.warning(f"Training waits {100 * data_seconds / seconds:.0f} % of its time for data. {self.advice}")
        self.scalars("train", iteration, {"lr": lr, "seconds": seconds, "data_seconds": data_seconds, **losses})
        self._each(lambda sink: sink.pace(seconds, data_seconds))

    def scalars(self, kind: str, iteration: int, values: Mapping[str, Any]) -> None:
        """Store named values under `kind` (train, val, gradients) for one iteration."""
        self._each(lambda sink: sink.scalars(kind, iteration, values))

    @property
    def takes_images(self) -> bool:
        """Whether `image` does anything."""
        return any(sink.takes_images for sink in self.sinks)

    def image(self, name: str, iteration: int, picture: NDArray[np.uint8]) -> None:
        """Show an RGB picture [H, W, 3] where there is a place for it."""
        self._each(lambda sink: sink.image(name, iteration, picture))

    def advance(self, iteration: int) -> None:
        """Move the progress bar."""
        self._each(lambda sink: sink.advance(iteration))

    def decoding(self, done: int, total: int) -> None:
        """Show how far the data set's cache is filled."""
        self._each(lambda sink: sink.decoding(done, total))

    def _each(self, tell: Callable[[Sink], None]) -> None:
        for sink in [*self.sinks]:
            try:
                tell(sink)
            except Exception as error:  # whatever a library raises: the training is worth more than its log
                if not sink.may_fail:
                    raise
                self.sinks.remove(sink)  # and not closed: that may wait for ever
                reason = (isinstance(error, OSError) and error.strerror) or error
                log.error("%s cannot be written (%s); from here on it is off.", sink.title, reason)


def _hms(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86400)
    return (f"{days} day{'s' * (days > 1)}, " if days else "") + time.strftime("%H:%M:%S", time.gmtime(rest))
