"""Mean teacher: the student learns from the moving average of itself.

Paper: Tarvainen, Valpola, "Mean teachers are better role models", NeurIPS 2017, https://arxiv.org/abs/1703.01780.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from srkd.losses.pixel import PixelLoss
from srkd.methods.base import Method, Teachers, require_shares
from srkd.networks.frozen import FrozenCopy
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.types import Batch, Losses


@METHODS.register
class EMATeacher(Method):
    """(1 - a) · pix(S, gt) + a · pix(S, Ŝ), Ŝ being the average of the student, a rising from 0 to `alpha`.

    Args:
        alpha: share of the average's picture, from 0 to 1, from `ramp` on. Below 0.5 with L1: at half, the student has
            no gradient anywhere between the average and the ground truth, stays at the average, and both stand still.
        decay: of the average, for each step. In step t it is at most 1 - 1 / (t + 1), as with the authors: else the
            random weights of the start would teach for a thousand steps.
        ramp: share of the training over which `alpha` rises from 0.
    """

    steps: Tensor  # so far

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        alpha: float = 0.2,
        decay: float = 0.999,
        ramp: float = 0.2,
        **options: Any,
    ) -> None:
        super().__init__(student, teacher, pixel, **options)
        require_shares(alpha=alpha, decay=decay, ramp=ramp)
        self.average = FrozenCopy(copy.deepcopy(student))
        self.alpha, self.decay, self.ramp = alpha, decay, ramp
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.weights["l_ts"] = pixel.loss_weight

    def weight(self, name: str, progress: float) -> float:
        """As in `Method`, with the share of the average."""
        share = self.alpha * min(progress / self.ramp, 1.0) if self.ramp else self.alpha
        return super().weight(name, progress) * (share if name.startswith("l_ts") else 1 - share)

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """Average in the student's new values."""
        own = self.student.state_dict()
        self.steps += 1
        new = (1 / (self.steps + 1)).clamp_min(1 - self.decay)  # a tensor: a number would wait for the GPU
        for name, value in self.average.module.state_dict().items():
            if value.is_floating_point():
                value.lerp_(own[name].to(value.dtype), new.to(value.dtype))
            else:
                value.copy_(own[name])

    def forward(self, batch: Batch) -> Losses:
        """`l_pix` and `l_ts` of each width; the average has the same width."""
        losses: Losses = {}
        for width in self.widths:
            with torch.no_grad():
                target = self.average.module(batch.lq, width)
            sr = self.student(batch.lq, width)
            losses |= self.at(width, {"l_pix": self.pixel(sr, batch.gt), "l_ts": self.pixel(sr, target)})
        return losses
