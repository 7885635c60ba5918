"""LSFD: features are distilled where the student's picture is far from the teacher's.

Paper: "Local-Selective Feature Distillation for Single Image Super-Resolution", 2021, https://arxiv.org/abs/2111.10988.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from srkd.losses.exact import exact
from srkd.methods.distiller import View
from srkd.methods.feature import FeatureMethod
from srkd.networks.slim import SlimConv2d
from srkd.registry import METHODS
from srkd.types import Batch, Losses


@METHODS.register
class LSFD(FeatureMethod):
    """pix(S, gt) + feature_weight · Σ_l mean m · (r_l(s_l) − t_l)², m being |T − S| at low resolution, with mean 1."""

    needs_output = True

    def build(self, channels: tuple[int, int]) -> nn.Module:
        """The regressor, as in FitNet."""
        return SlimConv2d(*channels, 1)

    def compare(self, own: View, lesson: View, source: str, batch: Batch) -> Losses:
        """The feature term, where the pictures differ."""
        self.mask = difference_mask(own.picture, lesson.picture, scale=self.student.scale)
        return super().compare(own, lesson, source, batch)

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Masked mean squared difference."""
        return masked_distance(student, teacher, self.mask)


@exact
def difference_mask(sr: Tensor, target: Tensor, *, scale: int) -> Tensor:
    """|T − S| averaged over colours and over each scale × scale pixels, divided by its mean: [B, 1, h, w], detached."""
    difference = F.avg_pool2d((sr.detach() - target).abs().mean(dim=1, keepdim=True), scale)
    return difference / (difference.mean(dim=(1, 2, 3), keepdim=True) + 1e-8)


@exact
def masked_distance(student: Tensor, teacher: Tensor, mask_B1hw: Tensor) -> Tensor:
    """Mean of mask · (s − t)²."""
    return (mask_B1hw * (student - teacher.detach()).square()).mean()
