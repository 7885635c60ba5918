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

from srkd.metrics.psnr import comparable, cropped_pair
from srkd.registry import METRICS
from srkd.types import InputError

_WINDOW = 11
_SIGMA = 1.5
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2


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
    return ssim_from_arrays(*comparable(sr, gt, crop_border, test_y_channel))


def ssim_from_arrays(a: NDArray[np.float64], b: NDArray[np.float64], crop_border: int = 0) -> float:
    """SSIM of float64 arrays [H, W] or [H, W, C] holding values of the 0..255 range, rounded or not.

    Raises:
        InputError: the shapes differ, or the cropped image is smaller than the 11 × 11 window.
    """
    a, b = cropped_pair(a, b, crop_border)
    if min(a.shape[:2]) < _WINDOW:
        raise InputError(
            f"SSIM needs at least {_WINDOW} × {_WINDOW} pixels inside the cropped border; "
            f"what is left of sr is {list(a.shape)}, of gt {list(b.shape)}."
        )
    if a.ndim == 2:
        return _ssim_of_plane(a, b)
    return float(np.mean([_ssim_of_plane(a[..., i], b[..., i]) for i in range(a.shape[2])]))


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


def _ssim_of_plane(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = np.ascontiguousarray(a), np.ascontiguousarray(b)
    mean_a, mean_b = _blurred(a), _blurred(b)
    mean_ab = mean_a * mean_b
    mean_aa_bb = mean_a * mean_a + mean_b * mean_b
    covariance = _blurred(a * b) - mean_ab
    variances = _blurred(a * a + b * b) - mean_aa_bb  # the formula uses only their sum: one blur less
    similarity = (2 * mean_ab + _C1) * (2 * covariance + _C2) / ((mean_aa_bb + _C1) * (variances + _C2))
    return float(similarity.mean())


def _blurred(plane: NDArray[np.float64]) -> NDArray[Any]:
    """Gaussian-weighted local mean where the whole window fits: [H, W] → [H - 10, W - 10]."""
    kernel = cv2.getGaussianKernel(_WINDOW, _SIGMA, cv2.CV_64F)
    edge = _WINDOW // 2
    return cv2.sepFilter2D(plane, cv2.CV_64F, kernel, kernel)[edge:-edge, edge:-edge]
