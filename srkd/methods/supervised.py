"""Plain training on ground truth: the baseline of every comparison, and how teachers are made."""

from __future__ import annotations

from torch import nn

from srkd.losses.pixel import PixelLoss
from srkd.methods.base import Method
from srkd.networks.slim import Network
from srkd.registry import METHODS, Width
from srkd.types import Batch, Losses


@METHODS.register
class Supervised(Method):
    """Minimise the pixel loss at one width or several.

    With several widths it is the slimmable baseline: every width sees every batch, and their losses are summed.

    Args:
        widths: the widths to train; the default trains the whole network only.
    """

    def __init__(
        self,
        student: Network,
        teacher: nn.Module | None,
        pixel: PixelLoss,
        *,
        widths: tuple[Width, ...] = (1.0,),
    ) -> None:
        super().__init__(student, teacher, pixel)
        for width in widths:
            student.channels(width)
        self.widths = tuple(sorted(widths, reverse=True))

    def forward(self, batch: Batch) -> Losses:
        """`l_pix`, or one `l_pix@width` a width where there are several."""
        if len(self.widths) == 1:
            return {"l_pix": self.pixel(self.student(batch.lq, self.widths[0]), batch.gt)}
        return {f"l_pix@{width:g}": self.pixel(self.student(batch.lq, width), batch.gt) for width in self.widths}
