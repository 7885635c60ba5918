"""BT.601 colour: studio-range luma (Y in 16..235) and YCbCr as MATLAB's `rgb2ycbcr` defines them.

Super-resolution tables are computed on this Y. The full-range Y of JPEG, OpenCV and kornia is another quantity (it
scores about 1.3 dB lower); do not use those conversions here.

Source: ITU-R Recommendation BT.601, with the coefficients MATLAB prints (65.481, 128.553, 24.966 for Y).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from srkd.types import InputError

if TYPE_CHECKING:
    from torch import Tensor

_Y = (65.481, 128.553, 24.966)
_TO_YCBCR = np.array([_Y, (-37.797, -74.203, 112.0), (112.0, -93.786, -18.214)]) / 255
_Y_AND_OFFSET = np.array([[*_Y, 16.0]])
_OFFSET = np.array([16.0, 128.0, 128.0]) / 255
_TO_RGB = np.linalg.inv(_TO_YCBCR)


def rgb_to_y(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Luma Y of an 8-bit RGB image, not rounded to whole levels.

    The values are BasicSR's (`to_y_channel`) bit for bit, including its passage through float32, so that metrics
    computed from them agree with BasicSR's to the last digit; they are within 2e-5 of the exact formula.

    Args:
        image: uint8 RGB [..., 3].

    Returns:
        float64 [...], in 16..235.

    Raises:
        InputError: another dtype, or a last axis that is not 3 long.
    """
    if image.dtype != np.uint8 or image.ndim < 1 or image.shape[-1] != 3:
        raise InputError(f"rgb_to_y takes uint8 RGB [..., 3]; the image is {image.dtype} {list(image.shape)}.")
    rows = image if image.ndim == 3 else image.reshape(1, -1, 3)
    y = np.empty(rows.shape[:-1])
    for band in row_bands(rows) if image.size else ():
        levels = np.divide(rows[band], np.float32(255), dtype=np.float32)
        unrounded = cv2.transform(levels.astype(np.float64), _Y_AND_OFFSET)
        unrounded /= 255.0
        single = unrounded.astype(np.float32)
        single *= np.float32(255)
        y[band] = single
    return y.reshape(image.shape[:-1])


def row_bands(image: NDArray[Any]) -> Iterator[slice]:
    """Cut [H, W, …] into bands of about 32,768 pixels, one row at least.

    What is computed band by band stays in the processor's cache, and in memory that is used again: fresh pages for
    whole planes take longer than the arithmetic.
    """
    step = max(1, 2**15 // image.shape[1])
    return (slice(top, top + step) for top in range(0, image.shape[0], step))


def rgb_to_y_tensor(x: Tensor) -> Tensor:
    """Luma of RGB [B, 3, H, W] in [0, 1] → Y [B, 1, H, W] in [16, 235]/255; differentiable, any device and dtype.

    Elementwise sums and no matrix product: those run in TF32 on recent GPUs, which costs 0.003 dB.
    """
    if x.ndim != 4 or x.shape[1] != 3:
        raise InputError(f"rgb_to_y_tensor takes RGB [B, 3, H, W]; the tensor is {list(x.shape)}.")
    red, green, blue = x[:, 0:1], x[:, 1:2], x[:, 2:3]
    return (red * _Y[0] + green * _Y[1] + blue * _Y[2] + 16.0) / 255.0


def rgb_to_ycbcr(image: NDArray[Any]) -> NDArray[np.float64]:
    """RGB float [..., 3] in [0, 1] → YCbCr float64 [..., 3]: Y in [16, 235]/255, Cb and Cr in [16, 240]/255."""
    return _float_image(image, "rgb_to_ycbcr") @ _TO_YCBCR.T + _OFFSET


def ycbcr_to_rgb(image: NDArray[Any]) -> NDArray[np.float64]:
    """Inverse of `rgb_to_ycbcr`: float [..., 3] → RGB float64 [..., 3], not clipped to [0, 1]."""
    return (_float_image(image, "ycbcr_to_rgb") - _OFFSET) @ _TO_RGB.T


def _float_image(image: NDArray[Any], caller: str) -> NDArray[np.float64]:
    if image.dtype.kind != "f" or image.ndim < 1 or image.shape[-1] != 3:
        raise InputError(
            f"{caller} takes a floating-point image [..., 3] in [0, 1]; it is {image.dtype} {list(image.shape)}."
        )
    return image.astype(np.float64)
