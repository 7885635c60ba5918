"""IRG: the graph of distances between places, and how it changes from layer to layer, is the teacher's.

Paper: Liu et al., "Knowledge Distillation via Instance Relationship Graph", CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor

from srkd.losses.patches import patch_embeddings
from srkd.losses.pixel import PixelLoss
from srkd.losses.relations import change_distance, edge_distance
from srkd.methods.base import Teachers, together
from srkd.methods.feature import FeatureMethod
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.types import InputError


@METHODS.register
class IRG(FeatureMethod):
    """pix(S, gt) + feature_weight · [ Σ_l mean (E(s_l) − E(t_l))² + Σ_l mean (ΔE(s_l) − ΔE(t_l))² ].

    E are the relative distances of every two places, ΔE their change from one tap to the next.

    Args:
        grid: the places are the means over the cells of a grid × grid of each patch.
    """

    same_sizes = False

    def __init__(self, student: Network, teacher: Teachers, pixel: PixelLoss, *, grid: int = 4, **options: Any) -> None:
        super().__init__(student, teacher, pixel, **options)
        if grid < 1:
            raise InputError(f"`grid` (={grid}) must be at least 1.")
        self.grid = grid

    def relate(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """Edges of all taps, and their changes."""
        ours, theirs = ([patch_embeddings(f, grid=self.grid) for f in features] for features in (student, teacher))
        edges = [edge_distance(s, t) for s, t in zip(ours, theirs, strict=True)]
        steps = zip(pairwise(ours), pairwise(theirs), strict=True)
        return together([*edges, *(change_distance(*own, *other) for own, other in steps)])
