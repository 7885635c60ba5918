"""How large a window of an image fits into some memory."""

from __future__ import annotations

import math

import torch
from torch import nn

from srkd.metrics.cost import peak_activations

MIB = 2**20

_PROBE = 256  # pixels along each side of the window that is counted; the count grows with the area


def bytes_per_pixel(network: nn.Module, scale: int) -> float:
    """Peak memory of upscaling, per low-resolution pixel of a window: activations, and the images made of the output.

    Raises:
        RuntimeError: the network cannot be run without values, so that nothing can be counted.
    """
    activations = peak_activations(network, height=_PROBE, width_px=_PROBE) / _PROBE**2
    images = 4 * 3 * 4 * scale**2  # clipping, rounding and reordering the fp32 output hold about four of it
    return activations + images


def largest_tile(per_pixel: float, budget: float, margin: int) -> int:
    """Side of the tile whose window, margins included, takes at most `budget` bytes; below 1 where none does."""
    return int(math.sqrt(budget / per_pixel)) - 2 * margin


def weight_bytes(network: nn.Module) -> int:
    """Bytes of the parameters and buffers."""
    tensors: list[torch.Tensor] = [*network.parameters(), *network.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
