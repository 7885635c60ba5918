"""Pixel losses, under BasicSR's names and options."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srkd.losses.frequency import fourier_distance, haar_distance
from srkd.registry import LOSSES


class PixelLoss(nn.Module):
    """A distance between two images [B, C, H, W]; `forward` is raw, `loss_weight` is what a method multiplies with."""

    def __init__(self, *, loss_weight: float = 1.0, reduction: Literal["mean", "sum"] = "mean") -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.reduction: Literal["mean", "sum"] = reduction

    def forward(self, sr: Tensor, gt: Tensor) -> Tensor:
        """Scalar distance, in fp32 whatever the precision of `sr`."""
        raise NotImplementedError


def l1(a: Tensor, b: Tensor) -> Tensor:
    """The mean of |a - b|.

    A sum, divided: the gradient of torch's mean forgets the images' memory layout, and convolutions copy it back.
    """
    return F.l1_loss(a, b, reduction="sum") / a.numel()


@LOSSES.register
class L1Loss(PixelLoss):
    """Mean (or sum of) absolute difference."""

    def forward(self, sr: Tensor, gt: Tensor) -> Tensor:
        """|sr - gt|."""
        return l1(sr, gt) if self.reduction == "mean" else F.l1_loss(sr, gt, reduction="sum")


@LOSSES.register
class MSELoss(PixelLoss):
    """Mean (or sum of) squared difference."""

    def forward(self, sr: Tensor, gt: Tensor) -> Tensor:
        """(sr - gt)²."""
        return F.mse_loss(sr, gt, reduction=self.reduction)


@LOSSES.register
class CharbonnierLoss(PixelLoss):
    """A differentiable L1: sqrt((sr - gt)² + eps).

    Paper: Lai, Huang, Ahuja, Yang, "Deep Laplacian Pyramid Networks", CVPR 2017; `eps` in the root as in BasicSR.
    """

    def __init__(
        self, *, loss_weight: float = 1.0, reduction: Literal["mean", "sum"] = "mean", eps: float = 1e-12
    ) -> None:
        super().__init__(loss_weight=loss_weight, reduction=reduction)
        self.eps = eps

    def forward(self, sr: Tensor, gt: Tensor) -> Tensor:
        """sqrt((sr - gt)² + eps)."""
        distance = torch.sqrt((sr - gt) ** 2 + self.eps)
        return distance.mean() if self.reduction == "mean" else distance.sum()


@LOSSES.register
class FrequencyLoss(PixelLoss):
    """Mean absolute difference, and a distance of the spectra (`fourier`) or of the wavelet bands (`haar`).

    Args:
        transform: which one.
        frequency_weight: of the second distance.
    """

    def __init__(
        self,
        *,
        loss_weight: float = 1.0,
        reduction: Literal["mean", "sum"] = "mean",
        transform: Literal["fourier", "haar"] = "fourier",
        frequency_weight: float = 0.05,
    ) -> None:
        super().__init__(loss_weight=loss_weight, reduction=reduction)
        if frequency_weight < 0:
            raise ValueError(f"`frequency_weight` (={frequency_weight}) must not be negative.")
        self.distance = fourier_distance if transform == "fourier" else haar_distance
        self.frequency_weight = frequency_weight

    def forward(self, sr: Tensor, gt: Tensor) -> Tensor:
        """|sr - gt| + frequency_weight · distance."""
        total = l1(sr, gt) + self.frequency_weight * self.distance(sr, gt)
        return total if self.reduction == "mean" else total * sr.numel()
