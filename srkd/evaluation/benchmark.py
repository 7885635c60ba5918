"""Models on test sets: every image is read and shrunk once, then goes through every model at every width."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from srkd.evaluation.comparability import below_bicubic, reservations
from srkd.evaluation.journal import Journal, plain
from srkd.evaluation.lpips import PerceptualColumn
from srkd.evaluation.models import Model, candidates, tabled_name, untrained_widths
from srkd.evaluation.pipeline import Line, OnImage, Run
from srkd.evaluation.protocols import Protocol
from srkd.evaluation.result import BICUBIC, Result, mean, summarise
from srkd.evaluation.sets import TestSet
from srkd.provenance import environment, sources, version_of
from srkd.types import InputError

__all__ = ["OnImage", "Result", "benchmark", "benchmarks", "mean"]


def benchmark(
    models: Sequence[Model],
    sets: Sequence[TestSet],
    *,
    protocol: Protocol,
    widths: Sequence[float] | None = None,
    device: torch.device | str = "cpu",
    on_image: OnImage | None = None,
) -> Result:
    """`benchmarks` in one protocol."""
    (result,) = benchmarks(models, sets, protocols=[protocol], widths=widths, device=device, on_image=on_image)
    return result


def benchmarks(
    models: Sequence[Model],
    sets: Sequence[TestSet],
    *,
    protocols: Sequence[Protocol],
    widths: Sequence[float] | None = None,
    device: torch.device | str = "cpu",
    tile: int | Literal["auto"] = 0,
    lpips: PerceptualColumn | None = None,
    journals: Sequence[Journal] = (),
    on_image: OnImage | None = None,
) -> list[Result]:
    """Evaluate `models`, and bicubic always, on `sets`; an image that fails is noted and left out.

    Args:
        models: all of the protocols' scale.
        sets: with different names.
        protocols: how the numbers are made; those that shrink images alike share the upscaling.
        widths: for every model; None: those it was trained for.
        device: where networks run; PSNR and SSIM are computed on the CPU.
        tile: side of the windows that networks see, in low-resolution pixels; 0: whole images.
        lpips: adds the column of that name.
        journals: one for each protocol, or none: earlier rows are taken from them, and new ones written to them.
        on_image: see `OnImage`.

    Returns:
        A result for each protocol.

    Raises:
        InputError: a width, a protocol, the tile or a name of a set does not fit; or this would drop rows of a journal.
    """
    device, names = torch.device(device), [test_set.name for test_set in sets]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"two test sets are called {', '.join(twice)}; results are kept by name.")
    runners = candidates(models, protocols, widths=widths, device=device, tile=tile)
    wanted = {(at.name, image, plain(who.model), who.width) for at in sets for image in at.images for who in runners}
    for journal, protocol in zip(journals, protocols, strict=False):
        columns = {*columns_of(protocol, lpips), *(["lpips"] if lpips else [])}
        journal.keep(wanted, columns, str(protocol.record()["description"]))
    lines: list[Line] = []
    for at, protocol in enumerate(protocols):
        column = None if protocol.for_luma_networks else lpips
        result = Result(
            protocol.record(),
            [{"name": BICUBIC}, *(_record(model, protocol) for model in models)],
            {**environment(str(device)), "precision": "fp32", "sources": sources()},
            sets=[{"name": s.name, "origin": s.origin, "images": len(s.images), "stamp": s.stamp} for s in sets],
            tile=tile,
            lpips=lpips.record if lpips else None,
            missing={"lpips": f"protocol {protocol.name} has no RGB images"} if lpips and not column else {},
            metrics=protocol.kinds(),
        )
        journal = journals[at] if journals else None
        known = journal.begin(result, columns_of(protocol, lpips)) if journal else {}
        lines.append(Line(protocol, result, column, journal, known))
    run = Run(runners, lines, on_image)
    run.evaluate(sets)
    for protocol, result, _, journal, _ in lines:
        if journal:
            result.timing["earlier"] = journal.earlier
        result.summary += [
            summarise(result.rows, test_set.name, len(test_set.images), at.model, at.width, **at.costs)
            for test_set in sets
            for at in runners
        ]
        trained = {tabled_name(model, protocol): model.trained_widths() for model in models}
        approximate = [] if tile == 0 else sorted({runner.model for runner in runners if not runner.bounded})
        result.warnings += untrained_widths(models, widths)
        result.warnings += below_bicubic(result, trained)
        result.warnings += reservations(result, protocol, likeness=run.likeness, approximate=approximate)
    return [line.result for line in lines]


def columns_of(protocol: Protocol, lpips: PerceptualColumn | None) -> list[str]:
    """Names of the metrics that every row of a protocol has."""
    return [*protocol.columns(), *(["lpips"] if lpips and not protocol.for_luma_networks else [])]


def _record(model: Model, protocol: Protocol) -> dict[str, Any]:
    network = model.network
    described = {"type": type(network).__name__, **network.config} if network else None
    trained = network.trained_widths if network else None
    path = Path(model.origin.get("path", ""))
    size = path.stat().st_size if path.is_file() else None
    runtime, precision = model.runs_in
    way = {"runtime": runtime, "runtime_version": version_of(runtime), "precision": precision}
    more = {"network": described, "trained_widths": trained, **way, "file_bytes": size}
    return {"name": tabled_name(model, protocol), **model.origin, **more}
