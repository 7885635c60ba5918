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
from srkd.methods.distiller import OWN, PictureMethod, View
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.types import Batch, InputError, Losses


@METHODS.register
class AdaptiveKD(PictureMethod):
    """(1 - alpha) · pix(S, gt) + alpha · Σ_k w_k · |S − T_k|, w = softmax(−|T_k − gt| / temperature) for each patch.

    Args:
        temperature: difference of the teachers' errors, for images in [0, 1], at which one counts e times as much.
    """

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        temperature: float = 0.005,
        **options: Any,
    ) -> None:
        super().__init__(student, teacher, pixel, **options)
        if temperature <= 0:
            raise InputError(f"`temperature` (={temperature}) must be positive.")
        self.temperature = temperature

    def listen(self, lessons: dict[str, View], batch: Batch) -> None:
        """See how wrong each teacher is, patch by patch."""
        self.errors = {name: _difference(view.picture, batch.gt).detach() for name, view in lessons.items()}

    def compare(self, own: View, lesson: View, source: str, batch: Batch) -> Losses:
        """`l_ts`: each patch with its teacher's share, times the number of teachers, by which the weight is divided."""
        difference_B = _difference(own.picture, lesson.picture)
        if source == OWN:
            return {"l_ts": difference_B.mean()}
        teachers = [name for name in self.sources_at(own.width) if name != OWN]
        shares = teacher_shares([self.errors[name] for name in teachers], self.temperature)
        return {"l_ts": (shares[teachers.index(source)] * len(teachers) * difference_B).mean()}


def _difference(a: Tensor, b: Tensor) -> Tensor:
    """Mean absolute difference of each patch: [B]."""
    return (a - b).abs().float().mean(dim=(1, 2, 3))


def teacher_shares(errors: list[Tensor], temperature: float) -> Tensor:
    """softmax over the teachers of minus their mean error [B] in each patch, divided by the temperature: [K, B]."""
    return torch.softmax(-torch.stack(errors) / temperature, dim=0)
