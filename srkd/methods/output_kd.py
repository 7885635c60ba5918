"""Output distillation: learn from the teacher's picture as well as from the ground truth.

The oldest form of distillation, and the baseline that feature distillation has to beat. Paper: Hinton, Vinyals, Dean,
"Distilling the Knowledge in a Neural Network", 2015, https://arxiv.org/abs/1503.02531; for images as in FAKD
(He et al., ICIP 2020), whose first two terms it is.
"""

from __future__ import annotations

from srkd.methods.distiller import PictureMethod, View
from srkd.registry import METHODS
from srkd.types import Batch, Losses


@METHODS.register
class OutputKD(PictureMethod):
    """(1 - alpha) · pix(S, gt) + alpha · pix(S, T); several teachers share alpha equally."""

    def compare(self, own: View, lesson: View, source: str, batch: Batch) -> Losses:
        """`l_ts`."""
        return {"l_ts": self.pixel(own.picture, lesson.picture)}
