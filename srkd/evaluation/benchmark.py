"""Models on test sets: every image is read and shrunk once, then goes through every model at every width."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from srkd.evaluation.models import BICUBIC, Candidate, Model, Upscale, candidates
from srkd.evaluation.protocols import Protocol, Sample
from srkd.evaluation.results import Failure, Row, Summary
from srkd.evaluation.sets import TestSet
from srkd.provenance import environment
from srkd.types import InputError, WorkError


class Scored(NamedTuple):
    """One image through one model: metrics by name, seconds of the upscaling, and the image."""

    metrics: dict[str, float]
    seconds: float
    sr: NDArray[Any]


def evaluate_image(sample: Sample, upscale: Upscale, protocol: Protocol) -> Scored:
    """Upscale one sample and score it.

    Args:
        sample: what `protocol.prepare` made of a ground truth.
        upscale: `through(network)` or `bicubic(scale)`.
        protocol: see there.
    """
    began = time.perf_counter()
    sr = upscale(sample.lq)  # ends on the CPU, hence nothing is still running on a GPU
    seconds = time.perf_counter() - began
    return Scored(protocol.score(sr, sample.gt), seconds, sr)


@dataclass
class Result:
    """Everything a benchmark found out.

    Attributes:
        protocol: how the numbers were made.
        models: name and origin of each model, for the result file.
        environment: versions and hardware.
        rows: one for each image, model and width.
        summary: one for each set, model and width.
        failures: images left out.
    """

    protocol: Protocol
    models: list[dict[str, Any]]
    environment: dict[str, Any]
    rows: list[Row] = field(default_factory=list[Row])
    summary: list[Summary] = field(default_factory=list[Summary])
    failures: list[Failure] = field(default_factory=list[Failure])

    def raise_failures(self) -> None:
        """Raise `WorkError` that lists the images left out, if there are any."""
        if self.failures:
            listed = "\n".join(
                f"  {failure.set}/{failure.image}{f' ({failure.model})' if failure.model else ''}: {failure.reason}"
                for failure in self.failures
            )
            raise WorkError(f"not everything could be evaluated; the means are without:\n{listed}")


OnImage = Callable[[Row, NDArray[Any]], None]
"""Called with each row as it is found, and the super-resolved image."""


def benchmark(
    models: Sequence[Model],
    sets: Sequence[TestSet],
    *,
    protocol: Protocol,
    widths: Sequence[float] | None = None,
    device: torch.device | str = "cpu",
    on_image: OnImage | None = None,
) -> Result:
    """Evaluate `models`, and bicubic always, on `sets`; an image that fails is noted and left out.

    Args:
        models: all of the protocol's scale.
        sets: with different names.
        protocol: how the numbers are made.
        widths: for every model; None: those it was trained for.
        device: where networks run; metrics are computed on the CPU.
        on_image: see `OnImage`.

    Raises:
        InputError: a width, a protocol or a name of a set does not fit.
    """
    device = torch.device(device)
    _check_names(sets)
    runners = candidates(models, protocol, widths=widths, device=device)
    origins = [{"name": BICUBIC}, *(_record(model) for model in models)]
    result = Result(protocol, origins, dict(environment(str(device))))
    for test_set in sets:
        rows: list[Row] = []
        for index, image in enumerate(test_set.images):
            try:
                sample = protocol.prepare(*test_set.read(index))
            except InputError as error:
                result.failures.append(Failure(test_set.name, image, "", str(error)))
                continue
            for runner in runners:
                try:
                    scored = evaluate_image(sample, runner.upscale, protocol)
                except (InputError, RuntimeError) as error:  # RuntimeError: out of memory, for one
                    result.failures.append(Failure(test_set.name, image, runner.model, str(error)))
                    continue
                row = Row(test_set.name, image, runner.model, runner.width, scored.metrics, scored.seconds)
                rows.append(row)
                if on_image:
                    on_image(row, scored.sr)
        result.rows += rows
        result.summary += [summarise(rows, test_set, runner) for runner in runners]
    return result


def summarise(rows: Sequence[Row], test_set: TestSet, runner: Candidate) -> Summary:
    """Means of the rows of one set that are of one model and width; an infinite PSNR makes the mean infinite."""
    own = [row for row in rows if (row.model, row.width) == (runner.model, runner.width)]
    names = own[0].metrics if own else ()
    return Summary(
        set=test_set.name,
        model=runner.model,
        width=runner.width,
        n=len(own),
        n_expected=len(test_set.images),
        metrics={name: mean([row.metrics[name] for row in own]) for name in names},
        params=runner.params,
        multi_adds=runner.multi_adds,
        seconds=mean([row.seconds for row in own if row.seconds is not None]) if own else None,
    )


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean, infinite where a value is."""
    return math.inf if math.inf in values else float(np.mean(values))


def _record(model: Model) -> dict[str, Any]:
    network = model.network
    described = {"type": type(network).__name__, **network.config} if network else None
    trained = network.trained_widths if network else None
    return {"name": model.name, **model.origin, "network": described, "trained_widths": trained}


def _check_names(sets: Sequence[TestSet]) -> None:
    names = [test_set.name for test_set in sets]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two test sets are called {', '.join(twice)}; results are kept by name.")
