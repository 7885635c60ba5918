"""Peak signal-to-noise ratio as super-resolution tables compute it: 8-bit images, float64, border cropped, RGB or Y.

The numbers are BasicSR's `calculate_psnr` to 1e-9 dB. Arrays here are RGB, BasicSR's are BGR.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from srkd.imaging.color import rgb_to_y, row_bands
from srkd.registry import METRICS
from srkd.types import InputError


def psnr(sr: NDArray[np.uint8], gt: NDArray[np.uint8], *, crop_border: int = 0, test_y_channel: bool = False) -> float:
    """PSNR of a super-resolved image against its ground truth, in dB; infinite for identical images.

    Args:
        sr: uint8 RGB [H, W, 3] or grey [H, W] (or [H, W, 1]).
        gt: the same shape and dtype.
        crop_border: pixels ignored along each edge; tables use the scale.
        test_y_channel: compare the BT.601 luma (16..235, not rounded) of RGB images; grey ones are taken as they are.

    Raises:
        InputError: shapes or dtypes differ from the above or from each other, or the border leaves no pixel.
    """
    sr, gt = checked_pair(sr, gt, crop_border)
    if test_y_channel and is_rgb(sr):
        squares = (_squared_error(rgb_to_y(sr[band]), rgb_to_y(gt[band])) for band in row_bands(sr))
        return _decibels(sum(squares), sr.size // 3)
    return _decibels(cv2.norm(sr, gt, cv2.NORM_L2SQR), sr.size)  # sums integers: exact


def psnr_from_arrays(a: NDArray[np.float64], b: NDArray[np.float64], crop_border: int = 0) -> float:
    """PSNR of float64 arrays [H, W] or [H, W, C] holding values of the 0..255 range, rounded or not.

    Raises:
        InputError: the shapes differ, or the border leaves no pixel.
    """
    a, b = cropped_pair(a, b, crop_border)
    return _decibels(sum(_squared_error(a[band], b[band]) for band in row_bands(a)), a.size)


@METRICS.register
def calculate_psnr(
    sr: NDArray[np.uint8],
    gt: NDArray[np.uint8],
    *,
    crop_border: int,
    test_y_channel: bool = False,
    input_order: Literal["HWC"] = "HWC",
) -> float:
    """`psnr` under BasicSR's name and options, for option files; `input_order` has only the one value."""
    del input_order
    return psnr(sr, gt, crop_border=crop_border, test_y_channel=test_y_channel)


def checked_pair(sr: NDArray[Any], gt: NDArray[Any], crop_border: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """`cropped_pair` for 8-bit images."""
    if sr.dtype != np.uint8 or gt.dtype != np.uint8:
        raise InputError(f"metrics compare uint8 images; sr is {_words(sr)}, gt is {_words(gt)}.")
    return cropped_pair(sr, gt, crop_border)


def is_rgb(image: NDArray[Any]) -> bool:
    """Whether there are colours, and so a Y, rather than grey alone."""
    return image.ndim == 3 and image.shape[2] == 3


def cropped_pair(a: NDArray[Any], b: NDArray[Any], crop_border: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Check that two images have one shape and cut `crop_border` pixels off each edge of both (views)."""
    is_image = a.ndim == 2 or (a.ndim == 3 and a.shape[2] in (1, 3))
    if a.shape != b.shape or not is_image:
        raise InputError(
            f"metrics compare two images of one shape, [H, W] or [H, W, 3]; sr is {_words(a)}, gt is {_words(b)}."
        )
    height, width = a.shape[:2]
    if crop_border < 0 or min(height, width) <= 2 * crop_border:
        raise InputError(f"crop_border {crop_border} does not fit images of shape {list(a.shape)} and {list(b.shape)}.")
    inside = np.s_[crop_border : height - crop_border, crop_border : width - crop_border]
    return a[inside], b[inside]


def _squared_error(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    error = (a - b).ravel()
    return float(error @ error)


def _decibels(squared_error: float, count: int) -> float:
    return 10 * math.log10(255.0**2 / (squared_error / count)) if squared_error else math.inf


def _words(image: NDArray[Any]) -> str:
    return f"{image.dtype} {list(image.shape)}"
