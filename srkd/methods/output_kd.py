"""Output distillation: learn from the teacher's picture as well as from the ground truth.

The oldest form of distillation, and the baseline that feature distillation has to beat. Paper: Hinton, Vinyals, Dean,
"Distilling the Knowledge in a Neural Network", 2015, https://arxiv.org/abs/1503.02531; for images as in FAKD
(He et al., ICIP 2020), whose first two terms it is.
"""

from __future__ import annotations

import torch
from torch import nn

from srkd.losses.pixel import PixelLoss
from srkd.methods.base import Method
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.types import Batch, InputError, Losses


@METHODS.register
class OutputKD(Method):
    """(1 - alpha) · pix(S, gt) + alpha · pix(S, T).

    Args:
        alpha: share of the teacher's picture, from 0 (ground truth only) to 1 (teacher only).
    """

    uses_teacher = True

    def __init__(self, student: Network, teacher: nn.Module | None, pixel: PixelLoss, *, alpha: float = 0.5) -> None:
        super().__init__(student, teacher, pixel)
        if not 0 <= alpha <= 1:
            raise InputError(f"`alpha` (={alpha}) must be from 0 to 1.")
        self.weights = {"l_pix": (1 - alpha) * pixel.loss_weight, "l_ts": alpha * pixel.loss_weight}

    def forward(self, batch: Batch) -> Losses:
        """`l_pix` and `l_ts`."""
        assert self.teacher is not None
        with torch.no_grad():
            target = self.teacher(batch.lq)
        sr = self.student(batch.lq)
        return {"l_pix": self.pixel(sr, batch.gt), "l_ts": self.pixel(sr, target)}
