"""Pictures of other kinds than arrays, on their way in and out of an upscaler: Pillow images and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps
from torch import Tensor

from srkd.imaging.pillow import pixels
from srkd.types import InputError


def from_pillow(picture: Pillow.Image) -> NDArray[np.uint8 | np.uint16]:
    """A Pillow image as an array, upright; modes other than L, I;16, RGB and RGBA become RGB or RGBA."""
    if picture.mode in ("I", "F"):
        raise InputError(f"a Pillow image of mode {picture.mode} has no range: give an array (uint16, or from 0 to 1).")
    return pixels(ImageOps.exif_transpose(picture), "given")


def from_tensor(picture: Tensor) -> list[NDArray[Any]]:
    """[C, h, w] or [B, C, h, w] -> B arrays as `upscale` takes them."""
    channels = picture.shape[-3] if picture.ndim in (3, 4) else 0
    if channels not in (1, 3, 4) or not picture.is_floating_point():
        raise InputError(
            "a tensor is [C, h, w] or [B, C, h, w] with 1, 3 or 4 channels, in floating point from 0 to 1; this is "
            f"{str(picture.dtype).removeprefix('torch.')} {list(picture.shape)}. (Arrays are [h, w, C].)"
        )
    whole = picture.detach().to("cpu", torch.float64 if picture.dtype == torch.float64 else torch.float32)
    images = whole.reshape(-1, *picture.shape[-3:]).permute(0, 2, 3, 1).numpy()
    return [image[..., 0] if channels == 1 else image for image in images]


def like_tensor(picture: Tensor, results: Sequence[NDArray[Any]]) -> Tensor:
    """Arrays [h, w] or [h, w, C] as one tensor of the shape, type and device of `picture`."""
    planes = [
        torch.from_numpy(result if result.ndim == 3 else result[..., None]).permute(2, 0, 1) for result in results
    ]
    together = torch.stack(planes) if picture.ndim == 4 else planes[0]
    return together.contiguous().to(picture.device, picture.dtype)
