"""Which networks may become the student, and what each costs on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from srkd.compat.foreign import Foreign
from srkd.engine.runtime import is_out_of_memory
from srkd.evaluation.models import multi_adds_720p
from srkd.inference.budget import Cost, make_plan
from srkd.inference.precision import DTYPES, precisions
from srkd.inference.upscaler import Upscaler
from srkd.metrics.cost import parameters
from srkd.networks.slim import Network, narrow
from srkd.networks.weights import build_network
from srkd.table import Column, Table

FAMILY = (
    (4, 2),
    (8, 2),
    (8, 4),
    (12, 4),
    (12, 6),
    (16, 9),
    (24, 6),
    (24, 9),
    (32, 6),
    (32, 9),
    (48, 9),
    (64, 9),
    (64, 16),
)
"""Channels and blocks of the EDSR with the direct upsampler that a student is where it is not cut from its teacher."""

_FRACTIONS = (0.75, 0.5, 0.375, 0.25, 0.125)
"""Widths that are looked at where nobody knows which were trained."""

_FILE_KB, _GRAPH_KB = 12, 40  # what a file holds beside its weights, and a graph in integers


@dataclass(frozen=True)
class Budget:
    """What the device allows; None: as much as there is.

    Attributes:
        latency_ms: for one image of `size` on this machine, as `Upscaler` runs it.
        size: height and width of the low-resolution image.
        parameters: of the network.
        file_kb: of the smallest of the files that are asked for, in units of 1024 bytes.
    """

    latency_ms: float | None = None
    size: tuple[int, int] = (180, 320)
    parameters: int | None = None
    file_kb: float | None = None

    def __str__(self) -> str:
        limits = {
            f"{self.latency_ms} ms for {self.size[0]} × {self.size[1]} pixels": self.latency_ms,
            f"{self.parameters} parameters": self.parameters,
            f"{self.file_kb} KB": self.file_kb,
        }
        return ", ".join(text for text, value in limits.items() if value is not None)


@dataclass(frozen=True)
class Student:
    """A network that the student may be.

    Attributes:
        network: `type` and options, as an option file has them.
        width: of the teacher, from which it is cut; None: it begins with random weights.
        params: parameters.
        multi_adds: for a 1280 × 720 output.
        file_kb: the smallest of its files, estimated.
        latency_ms: measured; None: not yet, or not needed.
        seconds: of one training iteration, measured.
        too_much: what of the budget it does not keep.
    """

    network: dict[str, Any]
    width: float | None
    params: int
    multi_adds: int | None
    file_kb: float
    latency_ms: float | None = None
    seconds: float | None = None
    too_much: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Such as `EDSR 16 × 9` (channels, blocks) or `width 0.5`."""
        if self.width is not None:
            return f"{self.network['type']}, the teacher's width {self.width:.4g}"
        return f"EDSR {self.network['num_feat']} × {self.network['num_block']}"


def candidates(teacher: Network, formats: Sequence[str]) -> list[Student]:
    """Networks smaller than the teacher, largest first: those cut from it where it is srkd's, and the family."""
    found = [
        _student({"type": type(network).__name__, **plain(network.config)}, width, network, formats)
        for width, network in _slices(teacher)
    ]
    luma = teacher.num_in_ch == 1
    for channels, blocks in FAMILY:
        options: dict[str, Any] = {"type": "EDSR", "num_feat": channels, "num_block": blocks}
        options |= {"upscale": teacher.scale, "img_range": 1.0, "upsampler": "direct"}
        options |= {"num_in_ch": 1, "num_out_ch": 1, "rgb_mean": [0.0]} if luma else {}
        found.append(_student(options, None, build(options), formats))
    limit = multi_adds_720p(teacher) or float("inf")
    smaller = [one for one in found if one.params < parameters(teacher) and (one.multi_adds or 0) < limit]
    return sorted(smaller, key=lambda one: one.multi_adds or 0, reverse=True)


def build(options: Mapping[str, Any]) -> Network:
    """The network of these options; equal weights each time, so that what was measured of it is found again."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_network(options["type"], {name: value for name, value in options.items() if name != "type"})


def judged(student: Student, budget: Budget, device: str, *, latency: bool = False) -> Student:
    """The student with its latency where that is needed, and with what of the budget it does not keep."""
    too_much = [
        text
        for text, value, limit in (
            ("parameters", student.params, budget.parameters),
            ("file", student.file_kb, budget.file_kb),
        )
        if limit is not None and value > limit
    ]
    milliseconds = None
    if not too_much and (latency or budget.latency_ms is not None):
        milliseconds = cost_of(build(student.network), budget.size, device).latency_ms or 0.0
        if budget.latency_ms is not None and milliseconds > budget.latency_ms:
            too_much.append("time")
    return replace(student, latency_ms=milliseconds, too_much=tuple(too_much))


def cost_of(network: Network, size: tuple[int, int], device: str) -> Cost:
    """What an image of `size` takes as `Upscaler` runs it, remembered on this machine."""
    return make_plan(Upscaler(network, device=device), *size).costs[0]


def chosen(students: Sequence[Student]) -> Student | None:
    """The largest that keeps the budget; what is cut from the teacher goes first, as it knows something already."""
    fits = [student for student in students if not student.too_much]
    return next((student for student in fits if student.width is not None), fits[0] if fits else None)


def training_seconds(network: Network, precision: str, device: torch.device, *, gt_size: int, batch_size: int) -> float:
    """Seconds of one iteration of the student alone on random patches; infinite where the memory is too small."""
    network = network.to(device).train()
    lq = torch.rand(batch_size, network.num_in_ch, gt_size // network.scale, gt_size // network.scale, device=device)
    times: list[float] = []
    try:
        for _ in range(3):
            began = time.perf_counter()
            with torch.autocast(device.type, DTYPES[precision], enabled=precision != "fp32"):
                loss = network(lq).abs().mean()
            loss.backward()
            loss.item()
            times.append(time.perf_counter() - began)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return float("inf")
    return statistics.median(times[1:])


def training_precision(network: Network, device: torch.device, *, gt_size: int, batch_size: int) -> str:
    """The fastest in which this network trains here; fp16 is not tried, as small networks gain nothing from it."""
    tried = [kind for kind in precisions(device) if kind != "fp16"]
    if len(tried) == 1:
        return tried[0]
    return min(tried, key=lambda kind: training_seconds(network, kind, device, gt_size=gt_size, batch_size=batch_size))


def learning_rate(channels: int) -> float:
    """Of Adam: 2e-3 for 16 channels, 8e-4 for 64, and between and beyond them on the same curve, up to 3e-3."""
    return float(f"{min(2e-3 * (16 / channels) ** 0.66, 3e-3):.2g}")


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with lists for tuples, as YAML and JSON have them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


def table_of(students: Sequence[Student], best: Student | None, minutes: float | None) -> Table:
    """A row for each student, largest first."""
    columns = [
        Column("student", "name"),
        Column("parameters", short=True),
        Column("multi-adds 720p", short=True),
        Column("file", digits=0, unit="KB"),
        Column("median", digits=1, unit="ms"),
        Column("iterations", "optional", digits=0),
        Column("", "name"),
    ]
    table = Table(columns)
    for one in students:
        verdict = "chosen" if one == best else f"too much: {', '.join(one.too_much)}" if one.too_much else "fits"
        done = round(minutes * 60 / one.seconds, -2) if minutes and one.seconds else None
        table.rows.append([one.name, one.params, one.multi_adds, one.file_kb, one.latency_ms, done, verdict])
    return table


def _slices(teacher: Network) -> list[tuple[float, Network]]:
    if isinstance(teacher, Foreign):
        return []
    found: list[tuple[float, Network]] = []
    for width in teacher.trained_widths or _FRACTIONS:
        try:
            if teacher.channels(width) < teacher.channels(1.0):
                found.append((width, narrow(teacher, width)))
        except ValueError:  # no whole number of channels
            continue
    return found


def _student(options: dict[str, Any], width: float | None, network: Network, formats: Sequence[str]) -> Student:
    count = parameters(network)
    int8 = count / 1024 + _GRAPH_KB if "int8" in formats else float("inf")
    plain = count * 4 / 1024 + _FILE_KB if set(formats) - {"int8"} else float("inf")
    return Student(options, width, count, multi_adds_720p(network), min(int8, plain))
