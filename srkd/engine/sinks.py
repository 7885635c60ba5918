"""Where a run writes what it does: a text log, a progress bar, metrics.jsonl, TensorBoard, wandb; one class each."""

from __future__ import annotations

import importlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from srkd.atomic import atomic_write_text
from srkd.types import InputError

log = logging.getLogger("srkd")


class Sink:
    """One place that a run writes to. Each method does nothing unless a sink has a use for it.

    A sink that raises is switched off with one error line (`RunLog`): a full disk never ends a training.

    Attributes:
        title: what the user knows it as.
        takes_images: whether `image` does anything.
        may_fail: whether the training goes on without it where it raises.
    """

    title: str
    takes_images = False
    may_fail = True

    def open(self) -> None:
        """Begin to write."""

    def close(self) -> None:
        """The run has ended."""

    def scalars(self, kind: str, iteration: int, values: Mapping[str, Any]) -> None:
        """Named values of one `kind` (train, val, gradients) at one iteration."""

    def image(self, name: str, iteration: int, picture: NDArray[np.uint8]) -> None:
        """An RGB picture [H, W, 3]."""

    def advance(self, iteration: int) -> None:
        """One iteration is done."""

    def pace(self, seconds: float, data_seconds: float) -> None:
        """Seconds per iteration, and how many of them waited for data."""

    def decoding(self, done: int, total: int) -> None:
        """How far the data set's cache is filled."""


class TextLog(Sink):
    """The package's log lines in a file.

    Args:
        path: the file, which is added to.
        earlier: records from before the run, written first.
    """

    title = "train.log"

    def __init__(self, path: Path, earlier: Sequence[logging.LogRecord] = ()) -> None:
        self.path, self.earlier = path, earlier

    def open(self) -> None:
        """Receive every log line from here on."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._handler = logging.FileHandler(self.path, encoding="utf-8", errors="backslashreplace")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s: %(message)s"))
        for record in self.earlier:
            self._handler.emit(record)
        log.addHandler(self._handler)

    def close(self) -> None:
        """Receive no more."""
        log.removeHandler(self._handler)
        self._handler.close()


class ProgressBar(Sink):
    """A bar at the bottom of the terminal.

    Args:
        console: a terminal.
        name: of the experiment.
        total_iter, start_iter: iterations of the whole run, and done before.
    """

    title = "the progress bar"

    def __init__(self, console: Console, name: str, total_iter: int, start_iter: int) -> None:
        self.name, self.total_iter, self.start_iter = name, total_iter, start_iter
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._decoding: TaskID | None = None

    def open(self) -> None:
        """Show it."""
        self._progress.start()
        self._task = self._progress.add_task(self.name[:24], total=self.total_iter, completed=self.start_iter, note="")

    def close(self) -> None:
        """Take it away."""
        self._progress.stop()

    def advance(self, iteration: int) -> None:
        """Move it."""
        if self._task is not None:
            self._progress.update(self._task, completed=iteration)

    def pace(self, seconds: float, data_seconds: float) -> None:
        """Say how fast it goes."""
        if self._task is not None:
            note = f"{1 / seconds:.1f} it/s · data {100 * data_seconds / seconds:.0f} %"
            self._progress.update(self._task, note=note)

    def decoding(self, done: int, total: int) -> None:
        """A second bar, until the cache is full."""
        if self._decoding is None:
            self._decoding = self._progress.add_task("decoding", total=total, note="")
        self._progress.update(self._decoding, completed=done, visible=done < total)


class MetricsFile(Sink):
    """One JSON object a line; what is not finite is null.

    Args:
        path: the file; lines beyond `start_iter` are dropped first, so that a resumed run repeats nothing.
        start_iter: iterations done before.
    """

    title = "metrics.jsonl"

    def __init__(self, path: Path, start_iter: int) -> None:
        self.path, self.start_iter = path, start_iter

    def open(self) -> None:
        """Drop what is done again, and append from there."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            lines = self.path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if _iteration(line) <= self.start_iter]
            atomic_write_text(self.path, "".join(line + "\n" for line in kept))
        self._file: TextIO = self.path.open("a", encoding="utf-8", errors="backslashreplace")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def scalars(self, kind: str, iteration: int, values: Mapping[str, Any]) -> None:
        """A line, on disk at once."""
        plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
        self._file.write(json.dumps({"kind": kind, "iter": iteration, **plain}) + "\n")
        self._file.flush()


def _iteration(line: str) -> float:
    try:
        return float(json.loads(line)["iter"])
    except (json.JSONDecodeError, KeyError, TypeError):
        return math.inf  # a line cut short by a crash


class TensorBoard(Sink):
    """Event files. Once a full disk has ended its thread, an event would wait for ever.

    Args:
        folder: where they go.
        start_iter: iterations done before.
    """

    title, takes_images = "TensorBoard's file", True

    def __init__(self, folder: Path, start_iter: int) -> None:
        self.folder, self.start_iter = folder, start_iter

    def open(self) -> None:
        """Begin a file of events; what an earlier one says beyond `start_iter` is hidden."""
        # not torch's own writer: that needs the module `tensorboard`, which basicsr's tb-nightly occupies
        from tensorboardX import SummaryWriter

        self._writer: Any = SummaryWriter(str(self.folder), purge_step=self.start_iter + 1 if self.start_iter else None)

    @property
    def _alive(self) -> Any:
        if not self._writer.file_writer.event_writer._worker.is_alive():
            raise OSError("its thread has ended")
        return self._writer

    def close(self) -> None:
        """Write what is waiting."""
        self._alive.close()

    def scalars(self, kind: str, iteration: int, values: Mapping[str, Any]) -> None:
        """A curve for each number."""
        for name, value in curves(kind, values).items():
            self._alive.add_scalar(name, value, iteration)

    def image(self, name: str, iteration: int, picture: NDArray[np.uint8]) -> None:
        """A picture under its name."""
        self._alive.add_image(name, picture, iteration, dataformats="HWC")


class Wandb(Sink):
    """Weights & Biases.

    Args:
        name: of the experiment.
        project: where it belongs.
        resume_id: of the run that goes on; None begins one.

    Raises:
        InputError: wandb is not installed.
    """

    title = "wandb"

    def __init__(self, name: str, project: str, resume_id: str | None) -> None:
        self.options = {"project": project, "name": name, "id": resume_id, "resume": "allow" if resume_id else None}
        require_wandb(project)
        self._wandb: Any = importlib.import_module("wandb")

    def open(self) -> None:
        """Begin the run, or go on."""
        try:
            self._run: Any = self._wandb.init(**self.options)
        except Exception as error:  # no key, no network: theirs has a class for each
            raise InputError(f"logger.wandb: the run cannot begin ({error}); without it: logger.wandb=null.") from None

    def close(self) -> None:
        """End it."""
        self._run.finish()

    def scalars(self, kind: str, iteration: int, values: Mapping[str, Any]) -> None:
        """A curve for each number."""
        self._run.log(curves(kind, values), step=iteration)


def require_wandb(project: str | None) -> None:
    """Check that wandb is there, if a `project` asks for it.

    Raises:
        InputError: it is missing.
    """
    if project and find_spec("wandb") is None:
        raise InputError(f"logger.wandb.project is {project!r}; it needs wandb: pip install wandb.")


def curves(kind: str, values: Mapping[str, Any]) -> dict[str, int | float]:
    """The numbers among `values` by the names of their curves: `<kind>/<texts among the values>/<name>`."""
    labels = "/".join(str(value) for value in values.values() if isinstance(value, str))
    prefix = f"{kind}/{labels}/" if labels else f"{kind}/"
    return {prefix + name: value for name, value in values.items() if isinstance(value, int | float)}
