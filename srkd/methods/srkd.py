"""SRKD: the student's features have to have the teacher's statistics over channels.

Paper: Gao, Zhao, Li, Tong, "Image Super-Resolution Using Knowledge Distillation", ACCV 2018,
https://doi.org/10.1007/978-3-030-20890-5_34. Written from the paper's formulas; there is no public code.
"""

from __future__ import annotations

from torch import nn

from srkd.losses.pixel import PixelLoss
from srkd.losses.statistics import Norm, Statistic, statistic_distance
from srkd.methods.base import FeaturePairs, Method, paired_taps
from srkd.networks.slim import Network
from srkd.networks.taps import default_taps, feature_range
from srkd.registry import METHODS
from srkd.types import Batch, InputError, Losses


@METHODS.register
class SRKD(Method):
    """λ0 · pix(S, gt) + Σ_l λ_l · ‖G(s_l) − G(t_l)‖, λ0 being the pixel loss's `loss_weight`.

    G maps features of any width to one map, so student and teacher may differ in width and depth.

    Args:
        taps: module paths in the student; the default is the ends of the blocks at 0.4, 0.7 and 1.0 of its depth.
        teacher_taps: module paths in the teacher; the default is `taps`, or the same rule where these are not given.
        stage_weights: λ of each tap; the default for three taps is (1, 1, 0), since the paper's last stage harms, and
            1 for each otherwise. A stage of weight 0 is not computed.
        statistic: G: `mean` (mean over channels, to the power), `mean_of_power`, `max`, `min`.
        power: the power p, at least 1; the paper's best is 2.
        keep_sign: sign(x)·|x|^p in place of x^p; EDSR's features are signed and an even power forgets it.
        norm: `mse` or `l1`; the paper's is not known for certain.
        faithful: features as they are; else divided by their network's `img_range`, without which the statistics of
            a network with `img_range: 255` drown the pixel loss (by 10⁵ for p = 1, 10⁸ for p = 2).
    """

    uses_teacher = True

    def __init__(
        self,
        student: Network,
        teacher: nn.Module | None,
        pixel: PixelLoss,
        *,
        taps: tuple[str, ...] | None = None,
        teacher_taps: tuple[str, ...] | None = None,
        stage_weights: tuple[float, ...] | None = None,
        statistic: Statistic = "mean",
        power: int = 2,
        keep_sign: bool = False,
        norm: Norm = "mse",
        faithful: bool = False,
    ) -> None:
        super().__init__(student, teacher, pixel)
        assert self.teacher is not None
        if power < 1:
            raise InputError(f"`power` (={power}) must be at least 1.")
        paths = paired_taps(student, self.teacher.module, taps, teacher_taps, default=default_taps)
        given = stage_weights or ((1.0, 1.0, 0.0) if len(paths) == 3 else (1.0,) * len(paths))
        if len(given) != len(paths):
            names = ", ".join(ours for ours, _ in paths)
            raise InputError(f"`stage_weights` has {len(given)} values for {len(paths)} taps: {names}.")
        if min(given) < 0 or not any(given):
            raise InputError(f"`stage_weights` (={list(given)}) must not be negative, and one must be positive.")
        self.pairs = FeaturePairs(
            student, self.teacher.module, [path for path, weight in zip(paths, given, strict=True) if weight]
        )
        self.stage_weights = tuple(weight for weight in given if weight)
        self.statistic: Statistic = statistic
        self.power, self.keep_sign = power, keep_sign
        self.norm: Norm = norm
        self.divisors = (1.0, 1.0) if faithful else (feature_range(student), feature_range(self.teacher.module))
        self.weights = {"l_pix": pixel.loss_weight, "l_stat": 1.0}

    def forward(self, batch: Batch) -> Losses:
        """`l_pix`, and `l_stat`: the sum over the stages with their weights.

        Raises:
            InputError: the features of a stage differ in height or width.
        """
        sr, _, pairs = self.pairs.run(batch.lq, teacher_output=False)
        ours, theirs = self.divisors
        distances = [
            weight
            * statistic_distance(
                s / ours,
                t / theirs,
                statistic=self.statistic,
                power=self.power,
                keep_sign=self.keep_sign,
                norm=self.norm,
            )
            for weight, (s, t) in zip(self.stage_weights, pairs, strict=True)
        ]
        return {"l_pix": self.pixel(sr, batch.gt), "l_stat": sum(distances[1:], distances[0])}
