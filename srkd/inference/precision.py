"""In which precision a network computes: fp32, or bf16 and fp16 where they are faster and exact enough."""

from __future__ import annotations

import logging
import math
import platform
import statistics
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from srkd.inference.forward import upscale_image
from srkd.metrics.latency import alone
from srkd.types import InputError

log = logging.getLogger(__name__)

Precision = Literal["fp32", "bf16", "fp16"]

DTYPES: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

LEAST_PSNR = 55.0
"""dB from fp32 that a lower precision has to keep to be chosen: below half a grey level of 8 bits."""

_LEAST_GAIN = 1.1  # a precision that is hardly faster is not worth its error
_TILE, _MOST_TILES = 96, 3


def precisions(device: torch.device) -> list[Precision]:
    """Precisions that the device computes in hardware."""
    if device.type == "cuda":
        return ["fp32", "fp16", *(["bf16"] if torch.cuda.is_bf16_supported(including_emulation=False) else [])]
    if device.type == "mps":
        return ["fp32", "fp16"]
    return ["fp32", *(["bf16"] if _bf16_on_cpu() else [])]


def fastest_for_training(device: torch.device) -> Precision:
    """bf16 where the device computes it in hardware, else fp16 where that has units of its own, else fp32.

    Losses and normalisations are fp32 in all of them. NVIDIA's GPUs have such units since 2017 (V100, T4).
    """
    if "bf16" in precisions(device):
        return "bf16"
    return "fp16" if device.type == "cuda" and torch.cuda.get_device_capability(device) >= (7, 0) else "fp32"


def _bf16_on_cpu() -> bool:
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return True
    # With AVX-512 alone oneDNN imitates bf16, slower than fp32.
    cpu: Any = torch.cpu
    return cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported()


def check_precision(wanted: str, device: torch.device) -> None:
    """Whether the device computes in this precision at all, in hardware or not.

    Raises:
        InputError: the precision is unknown, or not possible on this device.
    """
    possible = [name for name in DTYPES if name != "fp16" or device.type != "cpu"]
    if wanted not in possible:
        raise InputError(f"precision {wanted!r} is not available on {device}; allowed: {', '.join(possible)}.")


def choose_precision(prepared: Callable[[str], nn.Module], candidates: Sequence[str], image: NDArray[Any]) -> str:
    """The fastest precision that stays within `LEAST_PSNR` of the first on tiles of `image`; says in the log why.

    Args:
        prepared: the network, ready in a precision, or in another way to run (`srkd.inference.runtimes`).
        candidates: precisions to try, fp32 first.
        image: any image `upscale_image` takes.
    """
    tiles, exactly = _tiles(image), candidates[0]
    exact, fp32_seconds = _run(prepared(exactly), tiles)
    best, best_seconds = exactly, fp32_seconds / _LEAST_GAIN
    for candidate in candidates[1:]:
        try:
            output, seconds = _run(prepared(candidate), tiles)
        except RuntimeError as error:  # an operation that does not exist in this precision
            log.info("precision %s is not possible here (%s).", candidate, str(error).split("\n")[0])
            continue
        psnr = _psnr(exact, output)
        log.info(
            "precision %s: %.1f dB from %s (at least %g asked), %.2f times as fast.",
            candidate,
            psnr,
            exactly,
            LEAST_PSNR,
            fp32_seconds / seconds,
        )
        if psnr >= LEAST_PSNR and seconds < best_seconds:
            best, best_seconds = candidate, seconds
    return best


def _tiles(image: NDArray[Any]) -> list[NDArray[Any]]:
    """Up to three tiles along the diagonal, in floating point so that rounding hides nothing."""
    peak = 1 if image.dtype.kind == "f" else np.iinfo(image.dtype).max
    height, width = image.shape[:2]
    corners = {
        (int((height - _TILE) * at) if height > _TILE else 0, int((width - _TILE) * at) if width > _TILE else 0)
        for at in np.linspace(0, 1, _MOST_TILES)
    }
    cut = [image[top : top + _TILE, left : left + _TILE, ...] for top, left in sorted(corners)]
    return [(tile[..., :3] if tile.ndim == 3 else tile) / np.float32(peak) for tile in cut]


def _run(network: nn.Module, tiles: list[NDArray[Any]]) -> tuple[list[NDArray[Any]], float]:
    """The outputs, and the median time of three passes after one that warms up."""
    outputs = [upscale_image(network, tile) for tile in tiles]
    device = next((parameter.device.type for parameter in network.parameters()), "cpu")
    times = [alone(lambda: [upscale_image(network, tile) for tile in tiles], device) for _ in range(3)]
    return outputs, statistics.median(times)


def _psnr(exact: list[NDArray[Any]], other: list[NDArray[Any]]) -> float:
    errors = np.concatenate([(a - b).ravel() for a, b in zip(exact, other, strict=True)]).astype(np.float64)
    mse = float(np.square(errors).mean())
    return math.inf if mse == 0 else -10 * math.log10(mse) if math.isfinite(mse) else -math.inf
