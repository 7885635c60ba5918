"""Structural similarity as super-resolution tables compute it, equal to BasicSR's `calculate_ssim` to 1e-9.

Gaussian window 11 × 11 with σ 1.5, only where it fits into the image ("valid"), K1 = 0.01, K2 = 0.03, range 255,
population covariance; colour images: the mean of the channels' values. Arrays here are RGB, BasicSR's are BGR.

Paper: Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli, "Image quality assessment: from error visibility to
structural similarity", IEEE Transactions on Image Processing, 2004, https://doi.org/10.1109/TIP.2003.819861, eq. (13).
"""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from srkd.imaging.color import rgb_to_y, row_bands
from srkd.metrics.psnr import checked_pair, cropped_pair, is_rgb
from srkd.registry import METRICS
from srkd.types import InputError

_WINDOW = 11
_SIGMA = 1.5
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2
_KERNEL = cv2.getGaussianKernel(_WINDOW, _SIGMA, cv2.CV_64F)


def ssim(sr: NDArray[np.uint8], gt: NDArray[np.uint8], *, crop_border: int = 0, test_y_channel: bool = False) -> float:
    """SSIM of a super-resolved image against its ground truth; 1 for identical images.

    Args:
        sr: uint8 RGB [H, W, 3] or grey [H, W] (or [H, W, 1]).
        gt: the same shape and dtype.
        crop_border: pixels ignored along each edge; tables use the scale.
        test_y_channel: compare the BT.601 luma (16..235, not rounded) of RGB images; grey ones are taken as they are.

    Raises:
        InputError: shapes or dtypes differ from the above or from each other, or the cropped image is smaller than
            the 11 × 11 window.
    """
    sr, gt = checked_pair(sr, gt, crop_border)
    if test_y_channel and is_rgb(sr):
        return ssim_from_arrays(rgb_to_y(sr), rgb_to_y(gt))
    return ssim_from_arrays(sr, gt)


def ssim_from_arrays(a: NDArray[Any], b: NDArray[Any], crop_border: int = 0) -> float:
    """SSIM of arrays [H, W] or [H, W, C] holding values of the 0..255 range, uint8 or float64, rounded or not.

    Raises:
        InputError: the shapes differ, or the cropped image is smaller than the 11 × 11 window.
    """
    a, b = cropped_pair(a, b, crop_border)
    if min(a.shape[:2]) < _WINDOW:
        raise InputError(
            f"SSIM needs at least {_WINDOW} × {_WINDOW} pixels inside the cropped border; "
            f"what is left of sr is {list(a.shape)}, of gt {list(b.shape)}."
        )
    around = _WINDOW - 1  # rows that a band needs beyond its own
    bands = [slice(band.start, band.stop + around) for band in row_bands(a[around:])]
    total = sum(_similarity(a[band].astype(np.float64), b[band].astype(np.float64)) for band in bands)
    return total / ((a.shape[0] - around) * (a.shape[1] - around) * a[0, 0].size)


@METRICS.register
def calculate_ssim(
    sr: NDArray[np.uint8],
    gt: NDArray[np.uint8],
    *,
    crop_border: int,
    test_y_channel: bool = False,
    input_order: Literal["HWC"] = "HWC",
) -> float:
    """`ssim` under BasicSR's name and options, for option files; `input_order` has only the one value."""
    del input_order
    return ssim(sr, gt, crop_border=crop_border, test_y_channel=test_y_channel)


def _similarity(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The sum of the similarities of all windows in [H, W] or [H, W, C]; overwrites both."""
    mean_a, mean_b = _blurred(a), _blurred(b)
    product = _blurred(a * b)
    a *= a
    b *= b
    a += b
    squares = _blurred(a)  # the formula uses only the sum of both variances: one blur less
    mean_ab = mean_a * mean_b
    mean_a *= mean_a
    mean_b *= mean_b
    mean_a += mean_b
    similarity = (2 * mean_ab + _C1) * (2 * (product - mean_ab) + _C2)
    similarity /= (mean_a + _C1) * (squares - mean_a + _C2)
    return float(similarity.sum())


def _blurred(image: NDArray[np.float64]) -> NDArray[Any]:
    """Gaussian-weighted local mean where the whole window fits: [H, W, …] → [H - 10, W - 10, …]."""
    edge = _WINDOW // 2
    return cv2.sepFilter2D(image, cv2.CV_64F, _KERNEL, _KERNEL)[edge:-edge, edge:-edge]
