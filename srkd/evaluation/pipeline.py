"""From images to rows: the network computes while threads read the next image and score the last ones.

NumPy and OpenCV let other threads run. Every image is read and shrunk once, whatever the number of models and
protocols; protocols that shrink it alike share what the network makes of it.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import torch
from numpy.typing import NDArray

from srkd.evaluation.comparability import RE_DERIVED, lr_likeness
from srkd.evaluation.journal import Journal
from srkd.evaluation.models import Candidate
from srkd.evaluation.perceptual import PerceptualColumn
from srkd.evaluation.protocols import Protocol, Sample
from srkd.evaluation.result import Failure, Result, Row, key_of
from srkd.evaluation.sets import TestSet
from srkd.imaging.files import to_rgb8
from srkd.types import InputError

OnImage = Callable[[Row, "NDArray[Any] | None"], None]
"""Called with each row of the first protocol as it is found, and the super-resolved image (None: an earlier run's)."""

T = TypeVar("T")

_AHEAD = 2  # images that are read before they are needed


class _Read(NamedTuple):
    """An image as protocols want it: samples by `for_luma_networks`; how like MATLAB's a given LR image is; seconds."""

    samples: dict[bool, Sample]
    likeness: float | None
    seconds: float


class _Scored(NamedTuple):
    """Metrics by name, and the seconds that they took."""

    metrics: dict[str, float]
    seconds: float


class _Image(NamedTuple):
    """An image of a set; no future where all its rows are known."""

    test_set: TestSet
    position: int
    read: Future[_Read] | None


class _Pending(NamedTuple):
    """A row of one of the results that is known, or waits for its metrics."""

    result: int
    row: Row
    scored: Future[_Scored] | None
    sr: NDArray[Any] | None


class Run:
    """One pass over all images; rows come out in the order of sets, images and models."""

    def __init__(
        self,
        runners: Sequence[Candidate],
        protocols: Sequence[Protocol],
        results: Sequence[Result],
        lpips: PerceptualColumn | None,
        journals: Sequence[Journal],
        known: Sequence[Sequence[Row]],
        on_image: OnImage | None,
    ) -> None:
        self.runners, self.protocols, self.results = runners, protocols, results
        self.lpips, self.journals = lpips, journals
        self.on_image = on_image
        self.known = [{key_of(row): row for row in rows} for rows in known] or [{} for _ in results]
        self.likeness: dict[str, float] = {}
        self.clock: defaultdict[str, float] = defaultdict(float)  # seconds by what took them
        self.pending: deque[_Pending] = deque()
        self.workers = max(1, torch.get_num_threads() - 1)  # beside the thread that runs the network

    def evaluate(self, sets: Sequence[TestSet]) -> None:
        """Fill rows, failures and timing of the results."""
        began = time.perf_counter()
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(self.workers) as scorers:
            for image in self._read_ahead(reader, sets):
                self._evaluate_image(image, scorers)
            while self.pending:
                self._settle()
        wall = time.perf_counter() - began
        parts = {name: round(self.clock[name], 3) for name in ("network", "metrics", "reading", "waiting")}
        busy = sum(self.clock[name] for name in ("network", "metrics", "reading"))
        share = self.clock["metrics"] / busy if busy else 0.0
        for index, result in enumerate(self.results):
            reused = sum(key_of(row) in self.known[index] for row in result.rows)
            result.timing = {
                "wall_seconds": round(wall, 3),
                **{f"{name}_seconds": seconds for name, seconds in parts.items()},
                "metrics_share": round(share, 4),
                "workers": self.workers,
                "reused_rows": reused,
            }

    def _read_ahead(self, pool: ThreadPoolExecutor, sets: Sequence[TestSet]) -> Iterator[_Image]:
        queue: deque[_Image] = deque()
        for test_set in sets:
            for index in range(len(test_set.images)):
                future = pool.submit(self._read, test_set, index) if self._is_needed(test_set, index) else None
                queue.append(_Image(test_set, index, future))
                if len(queue) > _AHEAD:
                    yield queue.popleft()
        yield from queue

    def _is_needed(self, test_set: TestSet, index: int) -> bool:
        keys = [(test_set.name, test_set.images[index], runner.model, runner.width) for runner in self.runners]
        return any(key not in known for known in self.known for key in keys)

    def _read(self, test_set: TestSet, index: int) -> _Read:
        """In a thread."""
        began = time.perf_counter()
        gt, lq = test_set.read(index)
        kinds = {protocol.for_luma_networks: protocol for protocol in self.protocols}
        samples = {kind: protocol.sample(gt, lq, test_set.images[index]) for kind, protocol in kinds.items()}
        scale = self.protocols[0].scale
        likeness = None if lq is None or index >= RE_DERIVED else lr_likeness(to_rgb8(gt), lq, scale)
        return _Read(samples, likeness, time.perf_counter() - began)

    def _evaluate_image(self, image: _Image, pool: ThreadPoolExecutor) -> None:
        set_name, name = image.test_set.name, image.test_set.images[image.position]
        samples: dict[bool, Sample] = {}
        if image.read:
            try:
                samples, likeness, seconds = self._awaited(image.read)
            except InputError as error:
                for result in self.results:
                    result.failures.append(Failure(set_name, name, "", str(error)))
                return
            self.clock["reading"] += seconds
            if likeness is not None:
                self.likeness[set_name] = min(likeness, self.likeness.get(set_name, likeness))
        for runner in self.runners:
            made: dict[bool, tuple[NDArray[Any], float]] = {}
            for index, (result, protocol) in enumerate(zip(self.results, self.protocols, strict=True)):
                row = Row(set_name, name, runner.model, runner.width, {}, None)
                earlier = self.known[index].get(key_of(row))
                if earlier:
                    self.pending.append(_Pending(index, earlier, None, None))
                    continue
                kind = protocol.for_luma_networks
                try:
                    if kind not in made:
                        made[kind] = self._upscaled(runner, samples[kind])
                    sr, seconds = made[kind]
                    more = self._perceptual(result, protocol, sr, samples[kind].gt)
                except (InputError, RuntimeError) as error:  # RuntimeError: out of memory, for one
                    result.failures.append(Failure(set_name, name, runner.model, str(error)))
                    continue
                future = pool.submit(self._score, protocol, sr, samples[kind].gt, more)
                self.pending.append(_Pending(index, replace(row, seconds=seconds), future, sr))
            while len(self.pending) > 4 * self.workers * len(self.results):
                self._settle()

    def _upscaled(self, runner: Candidate, sample: Sample) -> tuple[NDArray[Any], float]:
        began = time.perf_counter()
        sr = runner.upscale(sample.lq)
        seconds = time.perf_counter() - began
        self.clock["network"] += seconds
        return sr, seconds

    def _perceptual(self, result: Result, protocol: Protocol, sr: NDArray[Any], gt: NDArray[Any]) -> dict[str, float]:
        """LPIPS where it is asked for and there; here and not in a thread, as it takes all cores or the GPU itself."""
        if not self.lpips or not self.lpips.metric or "lpips" in result.missing:
            return {}
        began = time.perf_counter()
        value = self.lpips.metric(sr, gt, crop_border=protocol.scale)
        self.clock["metrics"] += time.perf_counter() - began
        return {"lpips": value}

    def _score(self, protocol: Protocol, sr: NDArray[Any], gt: NDArray[Any], more: dict[str, float]) -> _Scored:
        """All metrics of an image; in a thread."""
        began = time.perf_counter()
        metrics = protocol.score(sr, gt)
        return _Scored({**metrics, **more}, time.perf_counter() - began)

    def _settle(self) -> None:
        """Bring the oldest row home."""
        index, row, future, sr = self.pending.popleft()
        result = self.results[index]
        if future:
            try:
                scored: _Scored = self._awaited(future)
            except (InputError, RuntimeError) as error:
                result.failures.append(Failure(row.set, row.image, row.model, str(error)))
                return
            self.clock["metrics"] += scored.seconds
            row = replace(row, metrics=scored.metrics)
            if self.journals:
                self.journals[index].add(row)
        result.rows.append(row)
        if self.on_image and index == 0:
            self.on_image(row, sr)

    def _awaited(self, future: Future[T]) -> T:
        began = time.perf_counter()
        try:
            return future.result()
        finally:
            self.clock["waiting"] += time.perf_counter() - began
