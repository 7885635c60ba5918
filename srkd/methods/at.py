"""AT, attention transfer: the student's features are strong where the teacher's are.

Paper: Zagoruyko, Komodakis, "Paying More Attention to Attention", ICLR 2017, https://arxiv.org/abs/1612.03928.
"""

from __future__ import annotations

import torch
from torch import Tensor

from srkd.losses.attention import attention_distance
from srkd.methods.feature import FeatureMethod
from srkd.registry import METHODS


@METHODS.register
class AT(FeatureMethod):
    """pix(S, gt) + feature_weight · Σ_l ‖Q(s_l) − Q(t_l)‖², Q being Σ_c |F_c|² over its L2 norm."""

    reduction = "length"

    def reduced(self, feature: Tensor) -> Tensor:
        """The length of the feature at each position."""
        return torch.linalg.vector_norm(feature, dim=1, keepdim=True)

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Of the attention maps."""
        return attention_distance(student, teacher)
