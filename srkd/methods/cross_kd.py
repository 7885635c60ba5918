"""CrossKD: the student's features go through the rest of the teacher, and what comes out has to be right.

After "Dual Cross Knowledge Distillation for Image Super-Resolution" (2022) and "CrossKD" for detection (Wang et al.,
CVPR 2024, https://arxiv.org/abs/2306.11369). No distance between features is needed: the teacher judges them.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from srkd.methods.base import together
from srkd.methods.distiller import OWN, View
from srkd.methods.feature import FeatureMethod
from srkd.networks.slim import SlimConv2d
from srkd.networks.taps import check_sizes
from srkd.registry import METHODS
from srkd.types import Batch, Losses


@METHODS.register
class CrossKD(FeatureMethod):
    """pix(S, gt) + feature_weight · Σ_l pix(T with r_l(s_l) in place of its own feature, T).

    r_l is a 1×1 convolution to the teacher's channels, in the teacher's range. The default tap is the last block.
    """

    term = "l_cross"
    needs_output = True
    keeps_features = False

    def build(self, channels: tuple[int, int]) -> nn.Module:
        """The regressor."""
        return SlimConv2d(*channels, 1)

    def default_taps(self, network: nn.Module) -> list[str]:
        """The last block: the part of the teacher that follows is short."""
        return super().default_taps(network)[-1:]

    def compare(self, own: View, lesson: View, source: str, batch: Batch) -> Losses:
        """`l_cross`."""
        check_sizes(self.paths[source], own.features, lesson.features)
        network = self.student if source == OWN else self.teachers[source].module
        heads: Any = self.heads[source]
        terms: list[Tensor] = []
        for (_, path), head, feature in zip(self.paths[source], heads, own.features, strict=True):
            replaced = head(self.scaled(feature, OWN)) * self.divisors[source]
            terms.append(self.pixel(continued(network, path, replaced, batch.lq), lesson.picture))
        return {self.term: together(terms)}

    def distance(self, student: Any, teacher: Any) -> Tensor:
        """Not asked: `compare` judges by pictures."""
        raise NotImplementedError


def continued(network: nn.Module, path: str, feature: Tensor, x: Tensor) -> Tensor:
    """What `network` makes of `x` when the module at `path` gives `feature` instead of its own output."""
    handle = network.get_submodule(path).register_forward_hook(lambda *_: feature)
    try:
        return network(x)
    finally:
        handle.remove()
