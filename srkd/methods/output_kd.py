"""Output distillation: learn from the teacher's picture as well as from the ground truth.

The oldest form of distillation, and the baseline that feature distillation has to beat. Paper: Hinton, Vinyals, Dean,
"Distilling the Knowledge in a Neural Network", 2015, https://arxiv.org/abs/1503.02531; for images as in FAKD
(He et al., ICIP 2020), whose first two terms it is.
"""

from __future__ import annotations

from typing import Any

from srkd.losses.pixel import PixelLoss
from srkd.methods.base import Teachers, require_shares
from srkd.methods.distiller import Distiller, View
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.types import Batch, Losses


@METHODS.register
class OutputKD(Distiller):
    """(1 - alpha) · pix(S, gt) + alpha · pix(S, T); several teachers share alpha equally.

    Args:
        alpha: share of the teacher's picture, from 0 (ground truth only) to 1 (teacher only).
    """

    def __init__(
        self, student: Network, teacher: Teachers, pixel: PixelLoss, *, alpha: float = 0.5, **options: Any
    ) -> None:
        super().__init__(student, teacher, pixel, **options)
        require_shares(alpha=alpha)
        self.alpha = alpha
        self.weights["l_ts"] = alpha * pixel.loss_weight

    def compare(self, own: View, lesson: View, source: str, batch: Batch) -> Losses:
        """`l_ts`."""
        return {"l_ts": self.pixel(own.picture, lesson.picture)}
