"""SRKD: the student's features have to have the teacher's statistics over channels.

Paper: Gao, Zhao, Li, Tong, "Image Super-Resolution Using Knowledge Distillation", ACCV 2018,
https://doi.org/10.1007/978-3-030-20890-5_34. Written from the paper's formulas; there is no public code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from srkd.losses.pixel import PixelLoss
from srkd.losses.statistics import Norm, Statistic, channel_statistic, statistic_distance
from srkd.methods.base import Teachers, together
from srkd.methods.feature import FeatureMethod
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.types import InputError


@METHODS.register
class SRKD(FeatureMethod):
    """λ0 · pix(S, gt) + Σ_l λ_l · ‖G(s_l) − G(t_l)‖, λ0 being the pixel loss's `loss_weight`.

    G maps features of any width to one map, so student and teacher may differ in width and depth.

    Args:
        stage_weights: λ of each tap; the default for three taps is (1, 1, 0), since the paper's last stage harms, and
            1 for each otherwise. A stage of weight 0 is not computed.
        statistic: G: `mean` (mean over channels, to the power), `mean_of_power`, `max`, `min`.
        power: the power p, at least 1; the paper's best is 2.
        keep_sign: sign(x)·|x|^p in place of x^p; EDSR's features are signed and an even power forgets it.
        norm: `mse` or `l1`; the paper's is not known for certain.
        faithful: features as they are; else divided by their network's `img_range`, without which the statistics of
            a network with `img_range: 255` drown the pixel loss (by 10⁵ for p = 1, 10⁸ for p = 2).
        feature_weight: a further factor of all stages.
    """

    term = "l_stat"

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        stage_weights: tuple[float, ...] | None = None,
        statistic: Statistic = "mean",
        power: int = 2,
        keep_sign: bool = False,
        norm: Norm = "mse",
        **options: Any,
    ) -> None:
        super().__init__(student, teacher, pixel, **options)
        if power < 1:
            raise InputError(f"`power` (={power}) must be at least 1.")
        paths = next(iter(self.paths.values()))
        given = (
            ((1.0, 1.0, 0.0) if len(paths) == 3 else (1.0,) * len(paths)) if stage_weights is None else stage_weights
        )
        if len(given) != len(paths):
            names = ", ".join(ours for ours, _ in paths)
            raise InputError(f"`stage_weights` has {len(given)} values for {len(paths)} taps: {names}.")
        if min(given) < 0 or not any(given):
            raise InputError(f"`stage_weights` (={list(given)}) must not be negative, and one must be positive.")
        self.stage_weights = tuple(weight for weight in given if weight)
        for source, every in self.paths.items():
            self.paths[source] = [path for path, weight in zip(every, given, strict=True) if weight]
        self.statistic: Statistic = statistic
        self.reduction = "" if statistic == "mean_of_power" else statistic
        self.power, self.keep_sign = power, keep_sign
        self.norm: Norm = norm

    def reduced(self, feature: Tensor) -> Tensor:
        """One map, of which the power is taken later; the mean of powers needs all channels."""
        return channel_statistic(feature, self.statistic, power=1) if self.reduction else feature

    def relate(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        """The sum over the stages with their weights."""
        stages = zip(self.stage_weights, student, teacher, strict=True)
        return together(weight * self.distance(s, t) for weight, s, t in stages)

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """‖G(s) − G(t)‖."""
        return statistic_distance(
            student, teacher, statistic=self.statistic, power=self.power, keep_sign=self.keep_sign, norm=self.norm
        )
