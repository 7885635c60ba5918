"""IRG: the graph of distances between places, and how it changes from layer to layer, is the teacher's.

Paper: Liu et al., "Knowledge Distillation via Instance Relationship Graph", CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

from srkd.losses.relations import change_distance, edge_distance
from srkd.methods.base import together
from srkd.methods.feature import PlaceMethod
from srkd.registry import METHODS


@METHODS.register
class IRG(PlaceMethod):
    """pix(S, gt) + feature_weight · [ Σ_l mean (E(s_l) − E(t_l))² + Σ_l mean (ΔE(s_l) − ΔE(t_l))² ].

    E are the relative distances of every two places, ΔE their change from one tap to the next.
    """

    def relate(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """Edges of all taps, and their changes."""
        ours, theirs = ([self.places(f) for f in features] for features in (student, teacher))
        edges = [edge_distance(s, t) for s, t in zip(ours, theirs, strict=True)]
        steps = zip(pairwise(ours), pairwise(theirs), strict=True)
        return together([*edges, *(change_distance(*own, *other) for own, other in steps)])
