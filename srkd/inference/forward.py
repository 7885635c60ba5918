"""One image through one network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Image = NDArray[Any]
"""uint8 or uint16."""


def to_tensor(image: Image, device: torch.device | str = "cpu") -> Tensor:
    """uint8 or uint16 [H, W, C] -> float32 [1, C, H, W] in [0, 1], channels-last in memory."""
    peak = np.iinfo(image.dtype).max
    # the array is already NHWC: this permutation is the channels-last layout, without a copy
    return torch.from_numpy(image.astype(np.float32) / peak)[None].permute(0, 3, 1, 2).to(device)


def to_image(x: Tensor, dtype: type[np.uint8] | type[np.uint16] = np.uint8) -> Image:
    """float [1, C, H, W] -> [H, W, C], clipped to [0, 1] and rounded to `dtype`'s levels."""
    peak = np.iinfo(dtype).max
    array = x[0].detach().clamp(0, 1).mul(peak).round().permute(1, 2, 0).to("cpu", torch.int32).numpy()
    return np.ascontiguousarray(array.astype(dtype))


@torch.inference_mode()
def super_resolve(network: nn.Module, image: Image, *, width: float = 1.0) -> Image:
    """Upscale an RGB image [h, w, 3] to [s·h, s·w, 3] of the same dtype, where the network's parameters are.

    Args:
        network: called as `network(x, width)`; put into eval mode by the caller.
        image: uint8 or uint16.
        width: fraction of the channels.
    """
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    sr = network(to_tensor(image, device), width)
    return to_image(sr, np.uint16 if image.dtype == np.uint16 else np.uint8)
