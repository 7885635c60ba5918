"""A method as CONTRIBUTING.md of version 0.1 shows it: a plugin beside the option file."""

from __future__ import annotations

import torch
from torch import nn

from srkd.losses.pixel import PixelLoss
from srkd.methods.base import Method
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.types import Batch, Losses


@METHODS.register
class OldFading(Method):
    """(1 - a) · pix(S, gt) + a · pix(S, T), where a falls from `alpha` to 0 in the course of the training.

    Args:
        alpha: share of the teacher's picture at the start, from 0 to 1.
    """

    uses_teacher = True

    def __init__(self, student: Network, teacher: nn.Module | None, pixel: PixelLoss, *, alpha: float = 0.5) -> None:
        super().__init__(student, teacher, pixel)
        if not 0 <= alpha <= 1:
            raise ValueError(f"`alpha` (={alpha}) must be from 0 to 1.")
        self.weights = {"l_pix": pixel.loss_weight, "l_ts": pixel.loss_weight}
        self.alpha = alpha

    def weight(self, name: str, progress: float) -> float:
        """A schedule is a function of the progress: nothing to store, nothing to resume."""
        share = self.alpha * (1 - progress)
        return super().weight(name, progress) * (share if name == "l_ts" else 1 - share)

    def forward(self, batch: Batch) -> Losses:
        """`l_pix` and `l_ts`, raw: their weights are asked for separately."""
        assert self.teacher is not None
        with torch.no_grad():
            target = self.teacher(batch.lq)
        sr = self.student(batch.lq)
        return {"l_pix": self.pixel(sr, batch.gt), "l_ts": self.pixel(sr, target)}
