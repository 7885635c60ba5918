"""Images as tensors, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
