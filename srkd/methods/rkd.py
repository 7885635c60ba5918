"""RKD: distances and angles between places are the teacher's.

Paper: Park, Kim, Lu, Cho, "Relational Knowledge Distillation", CVPR 2019, https://arxiv.org/abs/1904.05068.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from srkd.losses.pixel import PixelLoss
from srkd.losses.relations import relation_distance
from srkd.methods.base import Teachers
from srkd.methods.feature import PlaceMethod
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.types import InputError


@METHODS.register
class RKD(PlaceMethod):
    """pix(S, gt) + feature_weight · Σ_l [ distance_weight · Huber(distances) + angle_weight · Huber(angles) ].

    Args:
        distance_weight: of the relative distances of every two places.
        angle_weight: of the angles at every place between every two others; their number is the cube of the places'.
        grid: the places are the means over the cells of a grid × grid of each patch.
    """

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        distance_weight: float = 1.0,
        angle_weight: float = 2.0,
        grid: int = 2,
        **options: Any,
    ) -> None:
        super().__init__(student, teacher, pixel, grid=grid, **options)
        if min(distance_weight, angle_weight) < 0 or not distance_weight + angle_weight:
            raise InputError(
                f"`distance_weight` (={distance_weight}) and `angle_weight` (={angle_weight}) must not be negative, "
                "and not both 0."
            )
        self.distance_weight, self.angle_weight = distance_weight, angle_weight

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Of the relations."""
        places = (self.places(f) for f in (student, teacher))
        return relation_distance(*places, distance_weight=self.distance_weight, angle_weight=self.angle_weight)
