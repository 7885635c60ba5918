"""VID: the student's features have to predict the teacher's, and say how surely.

Paper: Ahn, Hu, Damianou, Lawrence, Dai, "Variational Information Distillation for Knowledge Transfer", CVPR 2019,
https://arxiv.org/abs/1904.05835. PISR is this with a teacher that has seen the high-resolution image.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from srkd.losses.variational import variational_distance
from srkd.methods.feature import FeatureMethod
from srkd.networks.blocks import SlimSequential
from srkd.networks.slim import SlimConv2d
from srkd.registry import METHODS


class _Prediction(nn.Module):
    """The mean of the teacher's features, position by position, and one raw variance a channel."""

    def __init__(self, ours: int, theirs: int) -> None:
        super().__init__()
        self.mean = SlimSequential(SlimConv2d(ours, theirs, 1), nn.ReLU(), SlimConv2d(theirs, theirs, 1))
        self.raw_variance = nn.Parameter(torch.full((1, theirs, 1, 1), 5.0))

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean(feature), self.raw_variance


@METHODS.register
class VID(FeatureMethod):
    """pix(S, gt) + feature_weight · Σ_l mean [ log(v)/2 + (μ(s_l) − t_l)² / 2v ], v being one variance a channel."""

    def build(self, channels: tuple[int, int]) -> nn.Module:
        """The prediction."""
        return _Prediction(*channels)

    def distance(self, student: Any, teacher: Tensor) -> Tensor:
        """Negative log-likelihood of the teacher's feature."""
        mean, raw_variance = student
        return variational_distance(mean, raw_variance, teacher, "gaussian")
