"""NST, neuron selectivity transfer: the student's channels look where the teacher's look, in any order.

Paper: Huang, Wang, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer", 2017,
https://arxiv.org/abs/1707.01219.
"""

from __future__ import annotations

from torch import Tensor

from srkd.losses.neurons import neuron_distance
from srkd.methods.feature import FeatureMethod
from srkd.registry import METHODS


@METHODS.register
class NST(FeatureMethod):
    """pix(S, gt) + feature_weight · Σ_l MMD²(channels of s_l, channels of t_l), with the kernel (x·y)²."""

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Of the two sets of channels."""
        return neuron_distance(student, teacher)
