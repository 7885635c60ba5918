"""Several teachers, each heard the more the nearer its picture of this patch is to the ground truth.

After Liu et al., "Adaptive multi-teacher multi-level knowledge distillation", Neurocomputing 2020, and You et al.,
"Learning from Multiple Teacher Networks", KDD 2017; the weights are a softmax of the teachers' own errors.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from srkd.losses.pixel import PixelLoss
from srkd.methods.base import Teachers
from srkd.methods.distiller import OWN, Distiller, View
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.types import Batch, InputError, Losses


@METHODS.register
class AdaptiveKD(Distiller):
    """(1 - alpha) · pix(S, gt) + alpha · Σ_k w_k · |S − T_k|, w = softmax(−|T_k − gt| / temperature) for each patch.

    Args:
        alpha: share of the teachers' pictures, from 0 to 1.
        temperature: difference of the teachers' errors, for images in [0, 1], at which one counts e times as much.
    """

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        alpha: float = 0.5,
        temperature: float = 0.005,
        **options: Any,
    ) -> None:
        super().__init__(student, teacher, pixel, **options)
        if not (0 <= alpha <= 1 and temperature > 0):
            raise InputError(f"`alpha` (={alpha}) must be from 0 to 1, and `temperature` (={temperature}) positive.")
        self.alpha, self.temperature = alpha, temperature
        self.weights["l_ts"] = alpha * pixel.loss_weight

    def listen(self, lessons: dict[str, View], batch: Batch) -> None:
        """Weigh the teachers, patch by patch."""
        self.shares = teacher_shares([view.picture for view in lessons.values()], batch.gt, self.temperature)

    def compare(self, own: View, lesson: View, source: str, batch: Batch) -> Losses:
        """`l_ts`: each patch with its teacher's share, times the number of teachers, by which the weight is divided."""
        difference_B = (own.picture - lesson.picture).abs().float().mean(dim=(1, 2, 3))
        if source == OWN:
            return {"l_ts": difference_B.mean()}
        share_B = self.shares[list(self.teachers).index(source)] * len(self.teachers)
        return {"l_ts": (share_B * difference_B).mean()}


def teacher_shares(pictures: list[Tensor], gt: Tensor, temperature: float) -> Tensor:
    """softmax over the teachers of minus their mean error in each patch, divided by the temperature: [K, B]."""
    if not pictures:
        return gt.new_zeros(0, len(gt))
    errors = torch.stack([(picture.detach() - gt).abs().float().mean(dim=(1, 2, 3)) for picture in pictures])
    return torch.softmax(-errors / temperature, dim=0)
