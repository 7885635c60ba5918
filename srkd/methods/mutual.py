"""Deep mutual learning: two students that begin differently learn from each other.

Paper: Zhang, Xiang, Hospedales, Lu, "Deep Mutual Learning", CVPR 2018, https://arxiv.org/abs/1706.00384.
"""

from __future__ import annotations

from typing import Any

from srkd.losses.pixel import PixelLoss
from srkd.methods.base import Method, Teachers, require_shares
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.types import Batch, Losses


@METHODS.register
class MutualLearning(Method):
    """(1 - alpha) · [ pix(S, gt) + pix(P, gt) ] + alpha · [ pix(S, P) + pix(P, S) ], each learning from a fixed other.

    P, the peer, has the student's architecture and another start. Both are trained at once, averaged, validated and
    saved: the student as `net_g_latest.pth`, the peer as `net_peer_latest.pth`.

    Args:
        alpha: share of the other's picture, from 0 to 1. Below 0.5 with L1: at half, neither has a gradient anywhere
            between the other and the ground truth, and they hold each other back.
    """

    def __init__(
        self, student: Network, teacher: Teachers, pixel: PixelLoss, *, alpha: float = 0.2, **options: Any
    ) -> None:
        super().__init__(student, teacher, pixel, **options)
        require_shares(alpha=alpha)
        self.peer = type(student)(**student.config)
        own, other = (1 - alpha) * pixel.loss_weight, alpha * pixel.loss_weight
        self.weights = {"l_pix": own, "l_ts": other, "l_peer_pix": own, "l_peer_ts": other}

    @property
    def networks(self) -> dict[str, Network]:
        """The student and the peer."""
        return {**super().networks, "peer": self.peer}

    def forward(self, batch: Batch) -> Losses:
        """`l_pix`, `l_ts`, `l_peer_pix` and `l_peer_ts` of each width."""
        losses: Losses = {}
        for width in self.widths:
            sr, other = self.student(batch.lq, width), self.peer(batch.lq, width)
            terms = {
                "l_pix": self.pixel(sr, batch.gt),
                "l_ts": self.pixel(sr, other.detach()),
                "l_peer_pix": self.pixel(other, batch.gt),
                "l_peer_ts": self.pixel(other, sr.detach()),
            }
            losses |= self.at(width, terms)
        return losses
