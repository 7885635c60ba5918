"""Plain training on ground truth: the baseline of every comparison, and how teachers are made."""

from __future__ import annotations

from torch import nn

from srkd.losses.pixel import PixelLoss
from srkd.methods.base import Method, widest_first
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.signature import Width
from srkd.types import Batch, InputError, Losses


@METHODS.register
class Supervised(Method):
    """Minimise the pixel loss at one width or several.

    With several widths it is the slimmable baseline: every width sees every batch, and their losses are summed.

    Args:
        widths: the widths to train; the default trains the whole network only.
        width_weights: factor of each width's loss, in the same order; the default is 1 for all. Narrow widths converge
            last: a larger factor helps them, a little at the expense of the wide ones.
    """

    def __init__(
        self,
        student: Network,
        teacher: nn.Module | None,
        pixel: PixelLoss,
        *,
        widths: tuple[Width, ...] = (1.0,),
        width_weights: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__(student, teacher, pixel)
        for width in widths:
            student.channels(width)
        factors = width_weights or (1.0,) * len(widths)
        if len(factors) != len(widths) or min(factors) < 0 or max(factors) <= 0:
            raise InputError(
                f"`width_weights` ({', '.join(f'{factor:g}' for factor in factors)}) has one factor for each of the "
                f"{len(widths)} `widths`, none below 0 and not all 0."
            )
        self.widths = widest_first(widths)
        self.factors = {self._name(width): factor for width, factor in zip(widths, factors, strict=True)}

    def weight(self, name: str, progress: float) -> float:
        """As in `Method`, with the width's own factor."""
        return super().weight(name, progress) * self.factors.get(name, 1.0)

    def forward(self, batch: Batch) -> Losses:
        """`l_pix`, or one `l_pix@width` a width where there are several."""
        return {self._name(width): self.pixel(self.student(batch.lq, width), batch.gt) for width in self.widths}

    def _name(self, width: float) -> str:
        return "l_pix" if len(self.widths) == 1 else f"l_pix@{width:g}"
