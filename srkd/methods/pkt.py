"""PKT: places that are neighbours to the teacher are neighbours to the student.

Paper: Passalis, Tefas, "Learning Deep Representations with Probabilistic Knowledge Transfer", ECCV 2018,
https://arxiv.org/abs/1803.10837.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from srkd.losses.patches import patch_embeddings
from srkd.losses.pixel import PixelLoss
from srkd.losses.probability import probability_distance
from srkd.methods.base import Teachers
from srkd.methods.feature import FeatureMethod
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.types import InputError


@METHODS.register
class PKT(FeatureMethod):
    """pix(S, gt) + feature_weight · Σ_l KL(P(t_l) ‖ P(s_l)), P being the probabilities that places are neighbours.

    Args:
        grid: the samples are the means over the cells of a grid × grid of each patch.
    """

    same_sizes = False

    def __init__(self, student: Network, teacher: Teachers, pixel: PixelLoss, *, grid: int = 4, **options: Any) -> None:
        super().__init__(student, teacher, pixel, **options)
        if grid < 1:
            raise InputError(f"`grid` (={grid}) must be at least 1.")
        self.grid = grid

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Of the probabilities."""
        return probability_distance(*(patch_embeddings(f, grid=self.grid) for f in (student, teacher)))
