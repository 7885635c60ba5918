"""What a network costs at a width: counted at the sizes that papers and NTIRE state, timed at any size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from srkd.evaluation.models import Model, counted, multi_adds_720p, peak_bytes, upscaler_at
from srkd.inference.memory import MIB
from srkd.metrics.cost import convolutions, multi_adds, parameters
from srkd.metrics.latency import WARM_UP, Latency, latency, measured_peak
from srkd.table import Cell, Column, Table, table
from srkd.tf32 import convolutions_round
from srkd.types import InputError

NTIRE_SIDE = 256

CONVENTION = {
    "params": "learnable and frozen parameters; shared ones count once",
    "multi_adds": "multiply-adds of convolutions, transposed convolutions and matrix products for a 1280 × 720 output, "
    "as papers quote them; at ×3 scaled, as the input's width is not whole",
    "flops": "the same for a 256 × 256 input, one multiply-add = one FLOP, as NTIRE counts (PyTorch counts two)",
    "activations": "elements of the outputs of all convolutions for a 256 × 256 input (NTIRE)",
    "convolutions": "convolutions that one pass runs, transposed ones included (NTIRE)",
    "peak_bytes": "weights and tensors alive at once while `srkd upscale` upscales an image of `size` in one piece, "
    "the output's conversion included, as `Upscaler.plan` has it; from shapes, without a runtime's own buffers",
    "measured_peak_bytes": "what PyTorch held at most on the CUDA device in one pass at `size`, weights included",
    "latency": "seconds of one pass at `size`, the image on the device, from an idle device until it is idle again",
}


@dataclass(frozen=True)
class Cost:
    """One network at one width; `CONVENTION` says what is counted. None: it cannot be counted, or was not measured.

    Attributes:
        size: height and width of the low-resolution image for memory and latency.
        file_bytes: of the file, where this is all of it.
        runs_in: runtime and precision.
    """

    model: str
    width: float
    params: int
    multi_adds: int | None
    flops: int | None
    activations: int | None
    convolutions: int | None
    size: tuple[int, int]
    peak_bytes: int | None
    measured_peak_bytes: int | None
    latency: Latency | None
    file_bytes: int | None = None
    runs_in: str = ""


def cost(
    model: Model,
    width: float,
    *,
    size: tuple[int, int] | None = None,
    device: torch.device | str = "cpu",
    runs: int = 20,
) -> Cost:
    """What a model's network costs at a width.

    Args:
        model: with a network; memory and latency are those of its runtime and precision.
        width: share of the channels.
        size: height and width of the input for memory and latency; None: that of a 1280 × 720 output.
        device: where the latency is measured.
        runs: timed passes after those that warm up; 0 measures nothing.

    Raises:
        InputError: the width, the precision or the runtime is not valid, or the model is bicubic interpolation.
    """
    device = torch.device(device)
    if model.network is None:
        raise InputError(f"{model.name} has no network whose cost could be counted.")
    upscaler = upscaler_at(model, width, device=str(device))
    network, ready = upscaler.network, upscaler.ready(np.zeros((1, 1, 3), np.uint8))
    rows, columns = size or (round(720 / network.scale), round(1280 / network.scale))
    conv = counted(network, lambda net: convolutions(net, height=NTIRE_SIDE, width_px=NTIRE_SIDE))
    flops = counted(network, lambda net: multi_adds(net, height=NTIRE_SIDE, width_px=NTIRE_SIDE))
    papers = multi_adds_720p(network)
    path = Path(model.origin.get("path", ""))
    timed = measured = None
    if runs:
        image = torch.rand(1, ready.num_in_ch, rows, columns, device=device).to(memory_format=torch.channels_last)
        step = torch.inference_mode()(lambda: ready(image))
        timed, measured = latency(step, device, runs=runs), measured_peak(step, device)
    return Cost(
        model.name,
        width,
        parameters(network),
        papers,
        flops,
        conv and conv.elements,
        conv and conv.number,
        size=(rows, columns),
        peak_bytes=peak_bytes(ready, rows * columns),
        measured_peak_bytes=measured,
        latency=timed,
        file_bytes=path.stat().st_size if width == 1 and path.is_file() else None,
        runs_in=" ".join(model.runs_in),
    )


def to_json(rows: Sequence[Cost], machine: Mapping[str, Any]) -> dict[str, Any]:
    """`{schema, kind: cost, convention, environment, precision, rows}` for a JSON file."""
    how = {"convention": CONVENTION, "environment": dict(machine), "precision": _arithmetic(rows, machine)}
    return {"schema": 1, "kind": "cost", **how, "rows": [asdict(row) for row in rows]}


def table_of(rows: Sequence[Cost]) -> Table:
    """A row for each network and width."""
    cells: list[tuple[Column, Callable[[Cost], Cell]]] = [
        (Column("model", "name"), lambda row: row.model),
        (Column("width"), lambda row: f"{row.width:.4g}"),
        (Column("parameters", short=True), lambda row: row.params),
        (Column("multi-adds 720p", short=True), lambda row: row.multi_adds),
        (Column("median", digits=2, unit="ms"), lambda row: row.latency and row.latency.median * 1000),
        (Column("p95", "optional", digits=2, unit="ms"), lambda row: row.latency and row.latency.p95 * 1000),
        (Column("runs in", "optional"), lambda row: row.runs_in),
        (Column("file", "optional", digits=0, unit="KB"), lambda row: row.file_bytes and row.file_bytes / 1024),
        (Column("peak", "optional", digits=1, unit="MiB"), lambda row: row.peak_bytes and row.peak_bytes / MIB),
        (
            Column("measured", "optional", digits=1, unit="MiB"),
            lambda row: row.measured_peak_bytes and row.measured_peak_bytes / MIB,
        ),
        (Column("FLOPs 256²", "optional", short=True), lambda row: row.flops),
        (Column("activations 256²", "optional", short=True), lambda row: row.activations),
        (Column("convs", "optional"), lambda row: row.convolutions),
    ]
    if_any = ("median", "p95", "measured", "file")
    return table(rows, [(column, cell) for column, cell in cells if column.name not in if_any or any(map(cell, rows))])


def conventions(rows: Sequence[Cost], machine: Mapping[str, Any]) -> list[str]:
    """What belongs under the table: how it was counted and measured, a line each."""
    sizes = dict.fromkeys(f"{row.size[0]} × {row.size[1]}" for row in rows)
    lines = [
        "Multi-adds: convolutions, transposed ones and matrix products for a 1280 × 720 output (papers). FLOPs: the "
        "same for a 256 × 256 input, one multiply-add = one FLOP (NTIRE). Activations: elements of all convolutions' "
        "outputs for a 256 × 256 input (NTIRE).",
        f"Peak: weights and tensors alive at once while an image of {', '.join(sizes)} (height × width) is upscaled in "
        "one piece, from shapes, without a runtime's own buffers.",
    ]
    timed = next((row.latency for row in rows if row.latency), None)
    if timed:
        lines.append(
            f"Latency at that size: {timed.runs} passes after {WARM_UP} that warm up, {machine['hardware']} "
            f"({machine['device']}), {_arithmetic(rows, machine)}, {machine['threads']} threads, "
            f"torch {machine['torch']}, srkd {machine['srkd_version']}."
        )
    return lines


def _arithmetic(rows: Sequence[Cost], machine: Mapping[str, Any]) -> str:
    """The precisions, and whether a GPU rounds fp32 on the way as PyTorch lets it."""
    rounds = str(machine["device"]).startswith("cuda") and convolutions_round()
    precisions = dict.fromkeys(row.runs_in.split()[-1] for row in rows)
    return ", ".join("fp32 (TF32 in convolutions)" if name == "fp32" and rounds else name for name in precisions)
