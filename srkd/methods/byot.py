"""Be your own teacher: a network's whole depth teaches exits at smaller depths.

Paper: Zhang, Song, Gao, Chen, Bao, Ma, "Be Your Own Teacher: Improve the Performance of Convolutional Neural Networks
via Self Distillation", ICCV 2019, https://arxiv.org/abs/1905.08094.
"""

from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn import functional as F

from srkd.losses.pixel import PixelLoss
from srkd.methods.base import Method, Teachers, require_shares
from srkd.networks.exits import exit_at, tail_of
from srkd.networks.slim import Network
from srkd.networks.taps import Taps, body_of, feature_range
from srkd.registry import METHODS
from srkd.types import Batch, InputError, Losses


@METHODS.register
class BYOT(Method):
    """pix(S, gt) + Σ_e [ (1 - alpha) · pix(S_e, gt) + alpha · pix(S_e, S) + feature_weight · mean (f_e − f)² ].

    S_e, an exit, is what the student's first blocks give through a tail of its own, which begins as a copy of the
    student's; f_e is its feature after the long skip, and f the student's. S and f teach without gradients. An exit is
    a network with fewer blocks, averaged, validated and saved beside the student: `net_exit4_latest.pth`.

    Args:
        exits: after how many blocks (of RCAN, groups); the default is after a third and two thirds of them.
        alpha: share of the whole network's picture, from 0 to 1.
        feature_weight: weight of the feature term; features are divided by the network's `img_range`.
    """

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        exits: tuple[int, ...] | None = None,
        alpha: float = 0.5,
        feature_weight: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(student, teacher, pixel, **options)
        require_shares(alpha=alpha)
        if feature_weight < 0:
            raise InputError(f"`feature_weight` (={feature_weight}) must not be negative.")
        count = len(body_of(student))
        depths = sorted({*((round(count / 3), round(count * 2 / 3)) if exits is None else exits)})
        if not depths:
            raise InputError("`exits` is empty: name at least one, or leave it out.")
        # in a plain dict: as modules of the method they would bring the student's own parameters once more
        self.exits: dict[str, Any] = {f"exit{depth}": exit_at(student, depth) for depth in depths}
        self.tails = nn.ModuleDict({name: tail_of(found) for name, found in self.exits.items()})
        self.taps = Taps(student, ["conv_first", *(f"body.{depth - 1}" for depth in depths), "features"])
        self.divisor = feature_range(student)
        own, whole = (1 - alpha) * pixel.loss_weight, alpha * pixel.loss_weight
        self.weights |= {"l_exit_pix": own, "l_exit_ts": whole, "l_exit_feat": feature_weight}

    @property
    def networks(self) -> dict[str, Network]:
        """The student and the exits."""
        return {**super().networks, **self.exits}

    def forward(self, batch: Batch) -> Losses:
        """`l_pix`, and of each exit `l_exit_pix`, `l_exit_ts` and `l_exit_feat`, at each width."""
        losses: Losses = {}
        for width in self.widths:
            sr, (head, *depths, whole) = self.taps.run(batch.lq, width)
            terms = {"l_pix": self.pixel(sr, batch.gt)}
            for (name, found), deep in zip(self.exits.items(), depths, strict=True):
                feature = found.joined(head, deep)
                picture = found.image(feature)
                terms[f"l_exit_pix.{name}"] = self.pixel(picture, batch.gt)
                terms[f"l_exit_ts.{name}"] = self.pixel(picture, sr.detach())
                difference = F.mse_loss(feature / self.divisor, whole.detach() / self.divisor)
                terms[f"l_exit_feat.{name}"] = difference
            losses |= self.at(width, terms)
        return losses
