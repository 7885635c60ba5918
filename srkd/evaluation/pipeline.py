"""From images to rows: the network computes while threads read the next image and score the last ones.

NumPy and OpenCV let other threads run. Every image is read and shrunk once, whatever the number of models and
protocols; protocols that shrink it alike share what the network makes of it.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple, ParamSpec, TypeVar

import torch
from numpy.typing import NDArray

from srkd.evaluation.comparability import RE_DERIVED, lr_likeness
from srkd.evaluation.journal import Journal
from srkd.evaluation.lpips import PerceptualColumn
from srkd.evaluation.models import Candidate
from srkd.evaluation.protocols import Protocol, Sample
from srkd.evaluation.result import Failure, Key, Result, Row, key_of
from srkd.evaluation.sets import TestSet
from srkd.imaging.files import to_rgb8
from srkd.types import InputError

OnImage = Callable[[Row, "NDArray[Any] | None"], None]
"""Called with each row of the first protocol as it is found, and the super-resolved image (None: an earlier run's)."""

P = ParamSpec("P")
T = TypeVar("T")

_AHEAD = 2  # images that are read before they are needed
_FAILS = (InputError, RuntimeError)  # RuntimeError: out of memory, for one

Read = tuple[dict[bool, Sample], float | None]
"""Samples by `Protocol.for_luma_networks`; how like MATLAB's a given LR image is."""
Reading = Future[tuple[Read, float]]
"""What is read, and the seconds that it took."""


class Line(NamedTuple):
    """A result of one protocol on its way: the rows that are known already, by their keys, and where new ones go."""

    protocol: Protocol
    result: Result
    lpips: PerceptualColumn | None
    journal: Journal | None
    known: Mapping[Key, Row]


class _Pending(NamedTuple):
    """A row that is known, or waits for its metrics and the seconds they took."""

    line: Line
    row: Row
    scored: Future[tuple[dict[str, float], float]] | None = None
    sr: NDArray[Any] | None = None


class Run:
    """One pass over all images; rows come out in the order of sets, images and models."""

    def __init__(self, runners: Sequence[Candidate], lines: Sequence[Line], on_image: OnImage | None) -> None:
        self.runners, self.lines, self.on_image = runners, lines, on_image
        self.likeness: dict[str, float] = {}
        self.clock: defaultdict[str, float] = defaultdict(float)  # seconds by what took them
        self.pending: deque[_Pending] = deque()
        self.workers = max(1, torch.get_num_threads() - 1)  # beside the thread that runs the network

    def evaluate(self, sets: Sequence[TestSet]) -> None:
        """Fill rows, failures and timing of the results."""
        began = time.perf_counter()
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(self.workers) as scorers:
            for test_set, name, read in self._read_ahead(reader, sets):
                self._evaluate_image(test_set.name, name, read, scorers)
            while self.pending:
                self._settle()
        wall = time.perf_counter() - began
        parts = {f"{name}_seconds": round(self.clock[name], 3) for name in ("network", "metrics", "reading", "waiting")}
        busy = sum(self.clock[name] for name in ("network", "metrics", "reading"))
        share = round(self.clock["metrics"] / busy if busy else 0.0, 4)
        timing = {"wall_seconds": round(wall, 3), **parts, "metrics_share": share, "workers": self.workers}
        for line in self.lines:
            reused = sum(key_of(row) in line.known for row in line.result.rows)
            line.result.timing = {**timing, "reused_rows": reused}

    def _read_ahead(
        self, pool: ThreadPoolExecutor, sets: Sequence[TestSet]
    ) -> Iterator[tuple[TestSet, str, Reading | None]]:
        """Every image in turn; no future where all its rows are known."""
        queue: deque[tuple[TestSet, str, Reading | None]] = deque()
        for test_set in sets:
            for index, name in enumerate(test_set.images):
                keys = [(test_set.name, name, runner.model, runner.width) for runner in self.runners]
                needed = any(key not in line.known for line in self.lines for key in keys)
                queue.append((test_set, name, pool.submit(_timed, self._read, test_set, index) if needed else None))
                if len(queue) > _AHEAD:
                    yield queue.popleft()
        yield from queue

    def _read(self, test_set: TestSet, index: int) -> Read:
        """In a thread."""
        gt, lq = test_set.read(index)
        protocols = {line.protocol.for_luma_networks: line.protocol for line in self.lines}
        samples = {kind: protocol.sample(gt, lq, test_set.images[index]) for kind, protocol in protocols.items()}
        scale = self.lines[0].protocol.scale
        return samples, None if lq is None or index >= RE_DERIVED else lr_likeness(to_rgb8(gt), lq, scale)

    def _evaluate_image(self, set_name: str, name: str, read: Reading | None, pool: ThreadPoolExecutor) -> None:
        samples: dict[bool, Sample] = {}
        if read:
            try:
                samples, likeness = self._awaited(read, "reading")
            except InputError as error:
                for line in self.lines:
                    line.result.failures.append(Failure(set_name, name, "", str(error)))
                return
            if likeness is not None:
                self.likeness[set_name] = min(likeness, self.likeness.get(set_name, likeness))
        for runner in self.runners:
            made: dict[bool, tuple[NDArray[Any], float]] = {}
            for line in self.lines:
                row = Row(set_name, name, runner.model, runner.width, {}, None)
                if earlier := line.known.get(key_of(row)):
                    self.pending.append(_Pending(line, earlier))
                    continue
                kind = line.protocol.for_luma_networks
                try:
                    if kind not in made:
                        made[kind] = _timed(runner.upscale, samples[kind].lq)
                        self.clock["network"] += made[kind][1]
                    sr, seconds = made[kind]
                    more = self._perceptual(line, sr, samples[kind].gt)
                except _FAILS as error:
                    line.result.failures.append(Failure(set_name, name, runner.model, str(error)))
                    continue
                scored = pool.submit(_timed, self._score, line.protocol, sr, samples[kind].gt, more)
                self.pending.append(_Pending(line, replace(row, seconds=seconds), scored, sr))
            while len(self.pending) > 4 * self.workers * len(self.lines):
                self._settle()

    def _perceptual(self, line: Line, sr: NDArray[Any], gt: NDArray[Any]) -> dict[str, float]:
        """LPIPS where it is asked for; here and not in a thread, as it takes all cores or the GPU itself."""
        if not line.lpips:
            return {}
        value, seconds = _timed(line.lpips.metric, sr, gt, crop_border=line.protocol.scale)
        self.clock["metrics"] += seconds
        return {"lpips": value}

    def _score(
        self, protocol: Protocol, sr: NDArray[Any], gt: NDArray[Any], more: dict[str, float]
    ) -> dict[str, float]:
        """All metrics of an image; in a thread."""
        return {**protocol.score(sr, gt), **more}

    def _settle(self) -> None:
        """Bring the oldest row home."""
        line, row, scored, sr = self.pending.popleft()
        if scored:
            try:
                row = replace(row, metrics=self._awaited(scored, "metrics"))
            except _FAILS as error:
                line.result.failures.append(Failure(row.set, row.image, row.model, str(error)))
                return
            if line.journal:
                line.journal.add(row)
        line.result.rows.append(row)
        if self.on_image and line is self.lines[0]:
            self.on_image(row, sr)

    def _awaited(self, future: Future[tuple[T, float]], what: str) -> T:
        (value, seconds), waited = _timed(future.result)
        self.clock["waiting"] += waited
        self.clock[what] += seconds
        return value


def _timed(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[T, float]:
    """What a function returns, and the seconds that it took."""
    began = time.perf_counter()
    return function(*args, **kwargs), time.perf_counter() - began
