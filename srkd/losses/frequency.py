"""Distances of spectra and of wavelets: what a pixel loss averages away.

Papers: Fuoli, Van Gool, Timofte, "Fourier Space Losses for Efficient Perceptual Image Super-Resolution", ICCV 2021,
https://arxiv.org/abs/2106.00783 (Fourier); Haar, "Zur Theorie der orthogonalen Funktionensysteme", 1910 (wavelet).
"""

from __future__ import annotations

import torch
from torch import Tensor

from srkd.losses.exact import exact


@exact
def fourier_distance(sr_BCHW: Tensor, gt_BCHW: Tensor) -> Tensor:
    """Mean length of the difference of the two spectra; the transform is orthonormal, so an image's energy stays."""
    difference = torch.fft.fft2(sr_BCHW - gt_BCHW, norm="ortho")
    return (difference.real.square() + difference.imag.square() + 1e-12).sqrt().mean()


def haar(x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """One level of the orthonormal Haar transform: the half-size image, and its three bands [B, 3·C, H/2, W/2].

    An odd last row or column is left out.
    """
    x_BCHW = x_BCHW[..., : x_BCHW.shape[-2] // 2 * 2, : x_BCHW.shape[-1] // 2 * 2]
    a, b = x_BCHW[..., 0::2, 0::2], x_BCHW[..., 0::2, 1::2]
    c, d = x_BCHW[..., 1::2, 0::2], x_BCHW[..., 1::2, 1::2]
    bands = ((a - b + c - d) / 2, (a + b - c - d) / 2, (a - b - c + d) / 2)
    return (a + b + c + d) / 2, torch.cat(bands, dim=1)


@exact
def haar_distance(sr_BCHW: Tensor, gt_BCHW: Tensor, *, levels: int = 3) -> Tensor:
    """Mean absolute difference of the bands of each level, summed over the levels that the image has room for."""
    total, rest = sr_BCHW.new_zeros(()), sr_BCHW - gt_BCHW
    for _ in range(levels):
        if min(rest.shape[-2:]) < 2:
            break
        rest, bands = haar(rest)
        total = total + bands.abs().mean()
    return total
