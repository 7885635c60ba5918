"""Masked output distillation: the teacher's picture counts where it is near the ground truth.

A teacher is wrong too, most at fine texture. Where it is, its picture teaches its mistakes.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from srkd.losses.exact import exact
from srkd.losses.pixel import PixelLoss
from srkd.methods.base import Teachers
from srkd.methods.distiller import PictureMethod, View
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.types import Batch, InputError, Losses


@exact
def masked_difference(sr: Tensor, target: Tensor, gt: Tensor, *, tolerance: float) -> Tensor:
    """mean( m · |S − T| ), m = exp(−|T − gt| / tolerance), averaged over colours: [B, C, H, W] each."""
    mask_B1HW = (-(target.detach() - gt).abs().mean(dim=1, keepdim=True) / tolerance).exp()
    return (mask_B1HW * (sr - target.detach()).abs()).mean()


@METHODS.register
class MaskedKD(PictureMethod):
    """(1 - alpha) · pix(S, gt) + alpha · mean( exp(−|T − gt| / tolerance) · |S − T| ).

    Args:
        tolerance: error of the teacher, for images in [0, 1], at which it counts 1/e.
    """

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        tolerance: float = 0.05,
        **options: Any,
    ) -> None:
        super().__init__(student, teacher, pixel, **options)
        if tolerance <= 0:
            raise InputError(f"`tolerance` (={tolerance}) must be positive.")
        self.tolerance = tolerance

    def compare(self, own: View, lesson: View, source: str, batch: Batch) -> Losses:
        """`l_ts`."""
        return {"l_ts": masked_difference(own.picture, lesson.picture, batch.gt, tolerance=self.tolerance)}
