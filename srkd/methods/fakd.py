"""FAKD: in the student's features the same positions have to resemble each other as in the teacher's.

Paper: He, Dai, Lu, Jiang, Xia, "FAKD: Feature-Affinity Based Knowledge Distillation for Efficient Image
Super-Resolution", ICIP 2020, https://doi.org/10.1109/ICIP40778.2020.9190917. Written from the paper's formulas.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from srkd.losses.affinity import affinity_distance
from srkd.losses.pixel import PixelLoss
from srkd.methods.base import Teachers, require_shares
from srkd.methods.distiller import View
from srkd.methods.feature import FeatureMethod
from srkd.networks.slim import Network
from srkd.networks.taps import body_of
from srkd.registry import METHODS
from srkd.types import Batch, InputError, Losses


@METHODS.register
class FAKD(FeatureMethod):
    """(1 - alpha) · pix(S, gt) + alpha · pix(S, T) + affinity_weight · Σ_l mean |A(s_l) − A(t_l)|.

    A is the cosine similarity of every two positions, so student and teacher may differ in width and depth.

    Args:
        alpha: share of the teacher's picture, from 0 (ground truth only) to 1.
        affinity_weight: weight of the affinity term for images in [0, 1]: the authors' 10 for images in 0..255 is
            10/255, since the pixel loss shrinks by 255 and the affinity does not. Their code at the time of the paper
            read that weight but did not apply it, so the published numbers may be those of 1/255.
        taps: module paths in the student; the default is the ends of the body's thirds, the last of them after the
            long skip as in the authors' code (EDSR: `features`; `conv_after_body` is before the skip).
        pool: average the features over pool × pool positions first (1: the paper). The affinity's cost falls by
            pool⁴, for patches too large for the whole one.
        feature_weight: a further factor of the affinity term.
        faithful: without meaning here: the affinity does not depend on the range of features.
    """

    term = "l_sa"
    needs_output = True

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        alpha: float = 0.5,
        affinity_weight: float = 10 / 255,
        pool: int = 1,
        **options: Any,
    ) -> None:
        options["faithful"] = True  # the affinity does not change with the range: nothing to divide
        super().__init__(student, teacher, pixel, **options)
        require_shares(alpha=alpha)
        if pool < 1:
            raise InputError(f"`pool` (={pool}) must be at least 1.")
        self.pool, self.alpha = pool, alpha
        self.weights |= {"l_ts": alpha * pixel.loss_weight, "l_sa": affinity_weight * self.weights["l_sa"]}

    def default_taps(self, network: nn.Module) -> list[str]:
        """The ends of the thirds."""
        return third_taps(network)

    def compare(self, own: View, lesson: View, source: str, batch: Batch) -> Losses:
        """`l_ts`, and `l_sa`, the sum over the taps.

        Raises:
            InputError: the features of a tap differ in height or width, or are smaller than `pool`.
        """
        for (path, _), s in zip(self.paths[source], own.features, strict=True):
            if min(s.shape[-2:]) < self.pool:
                raise InputError(f"`pool` (={self.pool}) is larger than the features of tap {path!r}, {list(s.shape)}.")
        return {"l_ts": self.pixel(own.picture, lesson.picture), **super().compare(own, lesson, source, batch)}

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Mean |A(s) − A(t)|."""
        return affinity_distance(student, teacher, pool=self.pool)


def third_taps(network: nn.Module) -> list[str]:
    """The ends of the body's first and second third, and the features that the upsampler gets (after the long skip).

    Three in any case, so that they fit those of any other network: with one or two blocks the first two are the same.

    Raises:
        InputError: the network has no `body` of blocks, or no `features`.
    """
    count = len(body_of(network))
    ends = [max(int(count * part / 3), 1) - 1 for part in (1, 2)]
    if not hasattr(network, "features"):
        raise InputError(f"{type(network).__name__} has no `features` after its long skip: name the taps.")
    return [*(f"body.{end}" for end in ends), "features"]
