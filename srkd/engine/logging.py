"""What a run tells: log lines in BasicSR's form, a progress bar, metrics.jsonl, TensorBoard, wandb."""

from __future__ import annotations

import importlib
import json
import logging
import math
import os
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from srkd.atomic import atomic_write_text
from srkd.types import InputError

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


def console_logging(console: Console, *, level: int = logging.INFO) -> None:
    """Send the package's log lines to the console."""
    log.setLevel(logging.INFO)
    for handler in [handler for handler in log.handlers if isinstance(handler, ConsoleHandler)]:
        log.removeHandler(handler)
    log.addHandler(ConsoleHandler(console, level))


@contextmanager
def recording() -> Generator[list[logging.LogRecord]]:
    """Collect the package's log records inside the `with` block: what is said before a run has its log file."""
    handler = _Collector()
    log.addHandler(handler)
    try:
        yield handler.records
    finally:
        log.removeHandler(handler)


class _Collector(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class RunLog:
    """Everything one training run writes about itself. Use as a context manager.

    Args:
        name: the experiment's name, shown in every line.
        total_iter: iterations of the whole run.
        console: where the progress bar goes; None is silent (ranks other than 0, tests).
        log_file: text log; None for none.
        earlier: records from before, written to the text log first.
        metrics_file: JSON lines; those beyond `start_iter` are dropped first, so that a resumed run repeats nothing.
        start_iter: iterations done before.
        tb_folder: TensorBoard event files; None for none.
        wandb: `{project, resume_id}`; a project of None for none.
    """

    def __init__(
        self,
        name: str,
        total_iter: int,
        *,
        console: Console | None = None,
        log_file: Path | None = None,
        earlier: Sequence[logging.LogRecord] = (),
        metrics_file: Path | None = None,
        start_iter: int = 0,
        tb_folder: Path | None = None,
        wandb_project: str | None = None,
        wandb_resume_id: str | None = None,
    ) -> None:
        self.name, self.total_iter, self.start_iter = name, total_iter, start_iter
        self.earlier = earlier
        self._began = time.perf_counter()
        self._starved = False
        self._file_handler = _file_handler(log_file) if log_file else None
        self._metrics: TextIO | None = _open_metrics(metrics_file, start_iter) if metrics_file else None
        self._tensorboard: Any = _tensorboard(tb_folder, start_iter) if tb_folder else None
        self._wandb: Any = _wandb(name, wandb_project, wandb_resume_id) if wandb_project else None
        self._progress = _progress(console) if console is not None and console.is_terminal else None
        self._task: TaskID | None = None
        self._decoding: TaskID | None = None

    def __enter__(self) -> RunLog:
        if self._file_handler:
            for record in self.earlier:
                self._file_handler.emit(record)
            log.addHandler(self._file_handler)
        if self._progress:
            self._progress.start()
            self._task = self._progress.add_task(
                self.name[:24], total=self.total_iter, completed=self.start_iter, note=""
            )
        return self

    def __exit__(self, *exception: object) -> None:
        if self._progress:
            self._progress.stop()
        if self._file_handler:
            log.removeHandler(self._file_handler)
            self._file_handler.close()
        for sink in (self._metrics, self._board()):
            if sink is not None:
                with suppress(OSError):  # a full disk
                    sink.close()
        if self._wandb is not None:
            self._wandb.finish()

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
            log.warning(
                f"Training waits {100 * data_seconds / seconds:.0f} % of its time for data. Unless it does so already, "
                "let it decode the images once (datasets.train.io_backend: {type: cache}; with a `path` on a fast disk "
                "where memory is short); with a GPU, raise datasets.train.num_worker_per_gpu."
            )
        self.scalars("train", iteration, {"lr": lr, "seconds": seconds, "data_seconds": data_seconds, **losses})
        if self._progress and self._task is not None:
            note = f"{1 / seconds:.1f} it/s · data {100 * data_seconds / seconds:.0f} %"
            self._progress.update(self._task, note=note)

    def decoding(self, done: int, total: int) -> None:
        """Show how far the data set's cache is filled; the bar goes when it is full."""
        if not self._progress:
            return
        if self._decoding is None:
            self._decoding = self._progress.add_task("decoding", total=total, note="")
        self._progress.update(self._decoding, completed=done, visible=done < total)

    def advance(self, iteration: int) -> None:
        """Move the progress bar."""
        if self._progress and self._task is not None:
            self._progress.update(self._task, completed=iteration)

    def scalars(self, kind: str, iteration: int, values: Mapping[str, Any]) -> None:
        """Store named values under `kind` (train, val, gradients) for one iteration."""
        if self._metrics:
            plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
            try:
                self._metrics.write(json.dumps({"kind": kind, "iter": iteration, **plain}) + "\n")
                self._metrics.flush()
            except OSError as error:
                log.error("metrics.jsonl cannot be written (%s); from here on it is off.", error.strerror)
                self._metrics = None
        numbers = {name: value for name, value in values.items() if isinstance(value, int | float)}
        labels = "/".join(str(value) for value in values.values() if isinstance(value, str))
        prefix = f"{kind}/{labels}/" if labels else f"{kind}/"
        if board := self._board():
            for name, value in numbers.items():
                board.add_scalar(prefix + name, value, iteration)
        if self._wandb is not None:
            self._wandb.log({prefix + name: value for name, value in numbers.items()}, step=iteration)

    @property
    def takes_images(self) -> bool:
        """Whether `image` does anything."""
        return self._tensorboard is not None

    def image(self, name: str, iteration: int, picture: NDArray[np.uint8]) -> None:
        """Show an RGB picture [H, W, 3] in TensorBoard, where that is on."""
        if board := self._board():
            board.add_image(name, picture, iteration, dataformats="HWC")

    def _board(self) -> Any:
        """TensorBoard's writer, None once a full disk has ended its thread: an event would then wait for ever."""
        if self._tensorboard is not None and not self._tensorboard.file_writer.event_writer._worker.is_alive():
            log.error("TensorBoard's file cannot be written; from here on it is off.")
            self._tensorboard = None
        return self._tensorboard


def _hms(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86400)
    return (f"{days} day{'s' * (days > 1)}, " if days else "") + time.strftime("%H:%M:%S", time.gmtime(rest))


def _file_handler(path: Path) -> logging.Handler:
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s: %(message)s"))
    return handler


def _open_metrics(path: Path, start_iter: int) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        kept = [line for line in path.read_text(encoding="utf-8").splitlines() if _iteration(line) <= start_iter]
        atomic_write_text(path, "".join(line + "\n" for line in kept))
    return path.open("a", encoding="utf-8")


def _iteration(line: str) -> float:
    try:
        return float(json.loads(line)["iter"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return math.inf  # a line cut short by a crash


def _tensorboard(folder: Path, start_iter: int) -> Any:
    # not torch's own writer: that needs the module `tensorboard`, which basicsr's tb-nightly occupies
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(folder), purge_step=start_iter + 1 if start_iter else None)


def _wandb(name: str, project: str, resume_id: str | None) -> Any:
    try:
        wandb = importlib.import_module("wandb")
    except ImportError:
        raise InputError(f"logger.wandb.project is {project!r}; it needs wandb: pip install wandb.") from None
    return wandb.init(project=project, name=name, id=resume_id, resume="allow" if resume_id else None)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
