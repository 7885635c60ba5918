"""US-Nets: every width is trained, by the widest, the narrowest and a few random ones in each step.

Paper: Yu, Huang, "Universally Slimmable Networks and Improved Training Techniques", ICCV 2019,
https://arxiv.org/abs/1903.05134: the sandwich rule, and in-place distillation from the full width.
"""

from __future__ import annotations

import torch

from srkd.losses.pixel import PixelLoss
from srkd.methods.base import Method, Teachers, require_shares, together
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.signature import Width
from srkd.types import Batch, InputError, Losses


@METHODS.register
class USNets(Method):
    """pix(S_1, gt) + Σ_w [ (1 - alpha) · pix(S_w, gt) + alpha · pix(S_w, S_1) ] over the least and the random widths.

    S_1, the full width, is the teacher of the others, without gradients (in-place distillation). Every width between
    the least and 1 can be used afterwards; validation shows the ends, or `val.widths`.

    Args:
        least: the narrowest width.
        random_widths: how many other widths each step draws, all valid ones being equally likely.
        alpha: share of the full width's picture, from 0 to 1; the paper's is 1.
    """

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        least: Width = 0.25,
        random_widths: int = 2,
        alpha: float = 0.5,
    ) -> None:
        require_shares(alpha=alpha)
        if least >= 1 or random_widths < 0:
            raise InputError(
                f"`least` (={least:g}) must be below 1, and `random_widths` (={random_widths}) not negative."
            )
        super().__init__(student, teacher, pixel, widths=(1.0, least))
        self.between = tuple(width for width in student.widths if least < width < 1)
        self.random_widths = random_widths if self.between else 0
        own, full = (1 - alpha) * pixel.loss_weight, alpha * pixel.loss_weight
        self.alpha = alpha
        self.weights = {"l_pix": pixel.loss_weight, "l_random_pix": own, "l_random_ts": full, "l_ts": full}

    def weight(self, name: str, progress: float) -> float:
        """As in `Method`: at the full width the ground truth has the whole weight."""
        share = 1.0 if name == "l_pix@1" or not name.startswith("l_pix") else 1 - self.alpha
        return super().weight(name, progress) * share

    def forward(self, batch: Batch) -> Losses:
        """`l_pix@1`, `l_pix@w` and `l_ts@w` of the least width, `l_random_pix` and `l_random_ts` of the others."""
        full = self.student(batch.lq)
        losses = {"l_pix@1": self.pixel(full, batch.gt)}
        target = full.detach()
        least = self.student(batch.lq, self.widths[-1])
        losses |= {
            f"l_pix@{self.widths[-1]:g}": self.pixel(least, batch.gt),
            f"l_ts@{self.widths[-1]:g}": self.pixel(least, target),
        }
        if self.random_widths:
            drawn = torch.randint(len(self.between), (self.random_widths,)).tolist()
            pictures = [self.student(batch.lq, self.between[number]) for number in drawn]
            losses["l_random_pix"] = together(self.pixel(picture, batch.gt) for picture in pictures)
            losses["l_random_ts"] = together(self.pixel(picture, target) for picture in pictures)
        return losses
