"""PKT: places that are neighbours to the teacher are neighbours to the student.

Paper: Passalis, Tefas, "Learning Deep Representations with Probabilistic Knowledge Transfer", ECCV 2018,
https://arxiv.org/abs/1803.10837.
"""

from __future__ import annotations

from torch import Tensor

from srkd.losses.probability import probability_distance
from srkd.methods.feature import PlaceMethod
from srkd.registry import METHODS


@METHODS.register
class PKT(PlaceMethod):
    """pix(S, gt) + feature_weight · Σ_l KL(P(t_l) ‖ P(s_l)), P being the probabilities that places are neighbours."""

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Of the probabilities."""
        return probability_distance(*(self.places(f) for f in (student, teacher)))
