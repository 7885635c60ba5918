"""FSP: between two layers the student's features change as the teacher's do.

Paper: Yim, Joo, Bae, Kim, "A Gift from Knowledge Distillation", CVPR 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from srkd.losses.flow import flow_distance
from srkd.losses.pixel import PixelLoss
from srkd.methods.base import Teachers, together
from srkd.methods.feature import FeatureMethod
from srkd.networks.slim import Network, SlimConv2d
from srkd.registry import METHODS
from srkd.types import InputError


@METHODS.register
class FSP(FeatureMethod):
    """pix(S, gt) + feature_weight · Σ_l mean (G(s_l, s_l+1) − G(t_l, t_l+1))², G being the inner products of channels.

    Student and teacher may differ in width: 1×1 convolutions make the student's features as wide as the teacher's.
    """

    def __init__(self, student: Network, teacher: Teachers, pixel: PixelLoss, **options: Any) -> None:
        super().__init__(student, teacher, pixel, **options)
        if min(len(paths) for paths in self.paths.values()) < 2:
            raise InputError("`taps`: FSP compares what happens between taps, so it needs at least two.")

    def build(self, channels: tuple[int, int]) -> nn.Module:
        """The regressor."""
        return SlimConv2d(*channels, 1)

    def relate(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """The sum over neighbouring taps."""
        steps = zip(pairwise(student), pairwise(teacher), strict=True)
        return together(flow_distance(*ours, *theirs) for ours, theirs in steps)
