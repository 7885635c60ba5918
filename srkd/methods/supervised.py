"""Plain training on ground truth: the baseline of every comparison, and how teachers are made."""

from __future__ import annotations

from srkd.methods.base import Method
from srkd.registry import METHODS
from srkd.types import Batch, Losses


@METHODS.register
class Supervised(Method):
    """Minimise the pixel loss at one width or several.

    With several widths it is the slimmable baseline: every width sees every batch, and their losses are summed.
    """

    def forward(self, batch: Batch) -> Losses:
        """`l_pix`, or one `l_pix@width` a width where there are several."""
        losses: Losses = {}
        for width in self.widths:
            losses |= self.at(width, {"l_pix": self.pixel(self.student(batch.lq, width), batch.gt)})
        return losses
