"""FitNet: the student's features, through a trained 1×1 convolution, have to be the teacher's.

Paper: Romero et al., "FitNets: Hints for Thin Deep Nets", ICLR 2015, https://arxiv.org/abs/1412.6550.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from srkd.methods.feature import FeatureMethod
from srkd.networks.slim import SlimConv2d
from srkd.registry import METHODS


@METHODS.register
class FitNet(FeatureMethod):
    """pix(S, gt) + feature_weight · Σ_l mean (r_l(s_l) − t_l)², r_l being a 1×1 convolution to t_l's channels."""

    def build(self, channels: tuple[int, int]) -> nn.Module:
        """The regressor."""
        return SlimConv2d(*channels, 1)

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Mean squared difference."""
        return F.mse_loss(student, teacher)
