"""What a network costs at a width: counted at the sizes that papers and NTIRE state, timed at any size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from srkd.evaluation.models import Model, counted, multi_adds_720p
from srkd.evaluation.tables import count_text
from srkd.inference.memory import MIB, bytes_per_pixel, weight_bytes
from srkd.inference.precision import Precision, check_precision
from srkd.inference.prepared import Prepared
from srkd.inference.widths import narrowed
from srkd.metrics.cost import convolutions, multi_adds, parameters
from srkd.metrics.latency import WARM_UP, Latency, latency, measured_peak
from srkd.networks.slim import Network
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
    "the output's conversion included, as `Upscaler.plan` has it; from shapes, without the libraries' own buffers",
    "measured_peak_bytes": "what PyTorch held at most on the CUDA device in one pass at `size`, weights included",
    "latency": "seconds of one pass at `size`, the image on the device, from an idle device until it is idle again",
}


@dataclass(frozen=True)
class Cost:
    """One network at one width; `CONVENTION` says what is counted. None: it cannot be counted, or was not measured.

    Attributes:
        size: height and width of the low-resolution image for memory and latency.
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


def cost(
    model: Model,
    width: float,
    *,
    size: tuple[int, int] | None = None,
    device: torch.device | str = "cpu",
    precision: Precision = "fp32",
    runs: int = 20,
) -> Cost:
    """What a model's network costs at a width.

    Args:
        model: with a network.
        width: share of the channels.
        size: height and width of the input for memory and latency; None: that of a 1280 × 720 output.
        device: where the latency is measured.
        precision: for memory and latency.
        runs: timed passes after those that warm up; 0 measures nothing.

    Raises:
        InputError: the width or the precision is not valid, or the model is bicubic interpolation.
    """
    device = torch.device(device)
    check_precision(precision, device)
    if model.network is None:
        raise InputError(f"{model.name} has no network whose cost could be counted.")
    network = narrowed(model.network, width).eval()
    rows, columns = size or (round(720 / network.scale), round(1280 / network.scale))
    conv = counted(network, lambda net: convolutions(net, height=NTIRE_SIDE, width_px=NTIRE_SIDE))
    flops = counted(network, lambda net: multi_adds(net, height=NTIRE_SIDE, width_px=NTIRE_SIDE))
    papers = multi_adds_720p(network)
    ready = Prepared(network, device).at((network.channels(1.0), 1.0), precision)
    per_pixel = counted(ready, lambda net: bytes_per_pixel(net, net.scale))
    timed, measured = _measured(ready, (rows, columns), device, runs) if runs else (None, None)
    return Cost(
        model=model.name,
        width=width,
        params=parameters(network),
        multi_adds=papers,
        flops=flops,
        activations=conv and conv.elements,
        convolutions=conv and conv.number,
        size=(rows, columns),
        peak_bytes=None if per_pixel is None else round(weight_bytes(ready) + rows * columns * per_pixel),
        measured_peak_bytes=measured,
        latency=timed,
    )


def _measured(network: Network, size: tuple[int, int], device: torch.device, runs: int) -> tuple[Latency, int | None]:
    """Time and memory of one pass of a network that is ready as for upscaling."""
    image = torch.rand(1, network.num_in_ch, *size, device=device).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def step() -> None:
        network(image)

    return latency(step, device, runs=runs), measured_peak(step, device)


def to_json(rows: Sequence[Cost], machine: Mapping[str, Any], precision: str) -> dict[str, Any]:
    """`{schema, kind: cost, convention, environment, precision, rows}` for a JSON file."""
    return {
        "schema": 1,
        "kind": "cost",
        "convention": CONVENTION,
        "environment": dict(machine),
        "precision": _arithmetic(machine, precision),
        "rows": [asdict(row) for row in rows],
    }


def headings(rows: Sequence[Cost]) -> list[str]:
    """Column headings of the table."""
    measured = any(row.measured_peak_bytes is not None for row in rows)
    return [
        *("model", "width", "parameters", "multi-adds 720p", "FLOPs 256²", "activations 256²", "convs", "peak MiB"),
        *(["measured MiB"] if measured else []),
        *(["median ms", "p95 ms"] if any(row.latency for row in rows) else []),
    ]


def cells(row: Cost, rows: Sequence[Cost]) -> list[str]:
    """One line of the table as text."""
    measured = any(other.measured_peak_bytes is not None for other in rows)
    return [
        row.model,
        f"{row.width:.4g}",
        *(count_text(value) for value in (row.params, row.multi_adds, row.flops, row.activations)),
        "–" if row.convolutions is None else str(row.convolutions),
        _mib(row.peak_bytes),
        *([_mib(row.measured_peak_bytes)] if measured else []),
        *([f"{row.latency.median * 1000:.2f}", f"{row.latency.p95 * 1000:.2f}"] if row.latency else []),
    ]


def conventions(rows: Sequence[Cost], machine: Mapping[str, Any], precision: str) -> list[str]:
    """What belongs under the table: how it was counted and measured, a line each."""
    sizes = dict.fromkeys(f"{row.size[0]} × {row.size[1]}" for row in rows)
    lines = [
        "Multi-adds: convolutions, transposed ones and matrix products for a 1280 × 720 output (papers). FLOPs: the "
        "same for a 256 × 256 input, one multiply-add = one FLOP (NTIRE). Activations: elements of all convolutions' "
        "outputs for a 256 × 256 input (NTIRE).",
        f"Peak: weights and tensors alive at once while an image of {', '.join(sizes)} (height × width) is upscaled in "
        f"one piece in {precision}, from shapes.",
    ]
    timed = next((row.latency for row in rows if row.latency), None)
    if timed:
        lines.append(
            f"Latency at that size: {timed.runs} passes after {WARM_UP} that warm up, {machine['hardware']} "
            f"({machine['device']}), {_arithmetic(machine, precision)}, {machine['threads']} threads, "
            f"torch {machine['torch']}, srkd {machine['srkd_version']}."
        )
    return lines


def _arithmetic(machine: Mapping[str, Any], precision: str) -> str:
    """The precision, and whether a GPU rounds fp32 on the way as PyTorch lets it."""
    rounds = precision == "fp32" and str(machine["device"]).startswith("cuda") and convolutions_round()
    return "fp32 (TF32 in convolutions)" if rounds else precision


def _mib(value: int | None) -> str:
    return "–" if value is None else f"{value / MIB:.1f}"
