"""The widest network that keeps a budget of time or memory on this machine, chosen from a quick calibration.

A calibration runs each width on a picture of the image's size (one window of it, where it is upscaled in windows) and
keeps the median in the user's cache folder: per machine, network, precision, width and size it is done once. As it is
kept, it is the time of a machine that has nothing else to do: on the CPU, where other programs take their share, the
processor's time is counted for each thread.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, Self

import numpy as np
import torch

from srkd.atomic import atomic_write_text
from srkd.data.sources import home
from srkd.imaging.resize import imresize
from srkd.inference.forward import Image
from srkd.inference.memory import MIB
from srkd.inference.tiling import SMALLEST_TILE, Span, windows
from srkd.metrics.latency import alone
from srkd.networks.slim import Network
from srkd.provenance import environment
from srkd.types import InputError

_SECONDS, _MOST_RUNS = 0.5, 9  # a width is measured for about as long, after one run that warms up


class _Upscaler(Protocol):
    """What a budget asks of an upscaler (`srkd.inference.upscaler.Upscaler`, which knows budgets: no circle)."""

    network: Network
    device: torch.device
    tile: int | Literal["auto"]
    memory_mb: float | None
    self_ensemble: bool

    @property
    def width(self) -> float: ...
    @width.setter
    def width(self, width: float) -> None: ...
    @property
    def way(self) -> str: ...
    @property
    def margin(self) -> int: ...
    @property
    def memory(self) -> dict[float, int]: ...
    def copy(self) -> Self: ...
    def settle(self, image: Image) -> str: ...
    def tile_for(self, height: int, width_px: int) -> int | None: ...
    def bytes_per_pixel(self) -> float: ...
    def upscale(self, image: Image) -> Image: ...


@dataclass(frozen=True)
class Cost:
    """What upscaling one image of the planned size takes at one width.

    Attributes:
        width: fraction of the channels.
        precision: what it computes in.
        tile: side of the windows in low-resolution pixels, None for one piece.
        latency_ms: median time; None where it was not measured, as the memory is too much already.
        memory_mb: weights and activations in MiB, beside the images; an estimate from shapes.
        fits: whether it keeps the budget.
    """

    width: float
    precision: str
    tile: int | None
    latency_ms: float | None
    memory_mb: float
    fits: bool


@dataclass(frozen=True)
class Plan:
    """Which width was chosen for images of one size, and why; `str(plan)` says it in numbers.

    Attributes:
        height: rows of the low-resolution image.
        width_px: its columns.
        latency_ms: the budget of time, None for none.
        memory_mb: the budget of memory in MiB, None for none.
        costs: what each width costs, widest first.
        chosen: the widest that fits, None where none does.
    """

    height: int
    width_px: int
    latency_ms: float | None
    memory_mb: float | None
    costs: tuple[Cost, ...]
    chosen: Cost | None

    def __str__(self) -> str:
        limits = [f"{self.latency_ms:g} ms"] if self.latency_ms is not None else []
        limits += [f"{self.memory_mb:g} MiB"] if self.memory_mb is not None else []
        lines = [f"{self.height} × {self.width_px} pixels within {' and '.join(limits) or 'no limit'}:"]
        for cost in self.costs:
            verdict = "chosen" if cost == self.chosen else "fits" if cost.fits else "too much"
            pieces = "in one piece" if cost.tile is None else f"in windows of {cost.tile}"
            took = "not timed" if cost.latency_ms is None else f"{cost.latency_ms:.1f} ms"
            lines.append(
                f"  width {cost.width:.4g}: {took}, {cost.memory_mb:.0f} MiB, {cost.precision}, {pieces}: {verdict}"
            )
        return "\n".join(lines)


def make_plan(
    upscaler: _Upscaler,
    height: int,
    width_px: int,
    *,
    latency_ms: float | None = None,
    memory_mb: float | None = None,
    image: Image | None = None,
) -> Plan:
    """Measure the trained widths on images of [height, width_px] and choose the widest that keeps the budget.

    The upscaler is left as it was, but for the precision of a width that had not been settled.

    Args:
        upscaler: the network with its device, precision and tiling.
        height: rows of the low-resolution image.
        width_px: its columns.
        latency_ms: how long one image may take.
        memory_mb: what weights and activations may take beside the images, in MiB; images are cut into windows for it.
        image: an image of that size to measure on; None makes a soft pattern.

    Raises:
        InputError: a size or budget is not positive.
    """
    for name, value in (
        ("height", height),
        ("width_px", width_px),
        ("latency_ms", latency_ms),
        ("memory_mb", memory_mb),
    ):
        if value is not None and not value > 0:
            raise InputError(f"`{name}` (={value}) must be above 0.")
    picture = _pattern(height, width_px) if image is None else image
    candidates = sorted(upscaler.network.trained_widths or (1.0,), reverse=True)
    asked, upscaler = upscaler.memory_mb, upscaler.copy()  # other threads may be using it
    machine, network = environment(str(upscaler.device)), fingerprint(upscaler.network)
    about = ["alone", *map(machine.get, ("hardware", "threads", "torch", "device")), network, upscaler.self_ensemble]
    costs: list[Cost] = []
    for width in candidates:
        upscaler.width, upscaler.memory_mb = width, asked
        cost = _cost_of_memory(upscaler, picture, memory_mb)
        if cost.fits:
            latency = _milliseconds(upscaler, picture, cost.tile, about)
            cost = replace(cost, latency_ms=latency, fits=latency_ms is None or latency <= latency_ms)
        costs.append(cost)
    return Plan(
        height, width_px, latency_ms, memory_mb, tuple(costs), next((cost for cost in costs if cost.fits), None)
    )


def fit(
    upscaler: _Upscaler,
    height: int,
    width_px: int,
    *,
    latency_ms: float | None = None,
    memory_mb: float | None = None,
    image: Image | None = None,
) -> Plan:
    """`make_plan`, and set the upscaler to the width it chose, and to the memory that is left for activations.

    Raises:
        InputError: as `make_plan`; or no width keeps the budget.
    """
    plan = make_plan(upscaler, height, width_px, latency_ms=latency_ms, memory_mb=memory_mb, image=image)
    if plan.chosen is None:
        raise InputError(f"no width keeps the budget: allow more time or memory, or take a smaller network. {plan}")
    upscaler.width = plan.chosen.width
    if memory_mb is not None:
        upscaler.memory_mb = memory_mb - upscaler.memory[upscaler.width] / MIB
    return plan


def chooser(upscaler: _Upscaler, budget: Mapping[str, float], told: Callable[[str], None]) -> Callable[[Image], None]:
    """What sets the width for the size of each image by `fit`; the plan of each size is `told` once."""
    sizes: set[tuple[int, int]] = set()

    def choose(image: Image) -> None:
        size = image.shape[0], image.shape[1]
        plan = fit(upscaler, *size, image=image, **budget)
        if size not in sizes:
            told(str(plan))
        sizes.add(size)

    return choose


def _cost_of_memory(upscaler: _Upscaler, picture: Image, memory_mb: float | None) -> Cost:
    """The cost of the current width, with its windows cut for the memory it may take, not yet timed."""
    precision = upscaler.settle(picture)
    weights = upscaler.memory[upscaler.width] / MIB
    if memory_mb is not None:
        upscaler.memory_mb = max(memory_mb - weights, 1e-3)
    try:
        tile = upscaler.tile_for(*picture.shape[:2])
    except InputError:  # not even the smallest window fits
        tile = SMALLEST_TILE
    rows, columns = _windows(upscaler, picture, tile)[0]
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    total = weights + area * upscaler.bytes_per_pixel() / MIB
    return Cost(upscaler.width, precision, tile, None, total, fits=memory_mb is None or total <= memory_mb)


def _windows(upscaler: _Upscaler, picture: Image, tile: int | None) -> list[tuple[Span, Span]]:
    height, width_px = picture.shape[:2]
    return list(windows(height, width_px, tile or max(height, width_px), upscaler.margin))


def _milliseconds(up: _Upscaler, picture: Image, tile: int | None, about: Sequence[object]) -> float:
    """Time of upscaling `picture` in windows of `tile`, measured or, where `about` and the rest are the same, known."""
    spans, file = _windows(up, picture, tile), home("calibrations") / "latency.json"
    rows, columns = spans[0]
    part = np.ascontiguousarray(picture[rows.start : rows.stop, columns.start : columns.stop])
    depends_on = json.dumps([*about, round(up.width, 6), up.way, part.shape, str(part.dtype)])
    key = hashlib.sha256(depends_on.encode()).hexdigest()[:24]
    known = _calibrations(file)
    if key not in known:
        median = _median_ms(up, part)
        known = {**_calibrations(file), key: median}  # others may have measured meanwhile
        atomic_write_text(file, json.dumps(known, indent=1))
    return known[key] * len(spans)


def _calibrations(file: Path) -> dict[str, float]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # none yet, or damaged: measured again
        return {}


def _median_ms(upscaler: _Upscaler, part: Image) -> float:
    asked = upscaler.tile
    if asked != "auto" or upscaler.device.type == "cpu":  # elsewhere the parts may still be too large
        upscaler.tile = 0
    try:
        upscaler.upscale(part)
        times: list[float] = []
        while len(times) < _MOST_RUNS and sum(times) < _SECONDS:
            times.append(alone(lambda: upscaler.upscale(part), upscaler.device.type))
    finally:
        upscaler.tile = asked
    return 1000 * statistics.median(times)


def fingerprint(network: Network) -> str:
    """Tells networks apart by their parameters, and by what runs them."""
    digest = hashlib.sha256(str(getattr(network, "config", {}).get("runtime", "")).encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:24]


def _pattern(height: int, width_px: int) -> Image:
    """Soft shapes; what they are changes no time, but a picture decides whether bf16 is exact enough."""
    coarse = np.random.default_rng(0).random((-(-height // 8), -(-width_px // 8), 3))
    return np.round(255 * np.clip(imresize(coarse, size=(height, width_px)), 0, 1)).astype(np.uint8)
