"""SP, similarity-preserving: patches that are alike to the teacher are alike to the student.

Paper: Tung, Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019, https://arxiv.org/abs/1907.09682.
"""

from __future__ import annotations

from torch import Tensor

from srkd.losses.similarity import similarity_distance
from srkd.methods.feature import FeatureMethod
from srkd.registry import METHODS


@METHODS.register
class SP(FeatureMethod):
    """pix(S, gt) + feature_weight · Σ_l ‖G(s_l) − G(t_l)‖² / B², G being the similarities of the batch's patches."""

    same_sizes = False

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Of the similarities."""
        return similarity_distance(student, teacher)
