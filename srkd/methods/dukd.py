"""DUKD: the teacher also labels images that have no ground truth, made from the training images by zooming.

Paper: Zhang et al., "Data Upcycling Knowledge Distillation for Image Super-Resolution", 2023,
https://arxiv.org/abs/2309.14162. Written from the paper's formulas.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from srkd.losses.pixel import PixelLoss
from srkd.methods.base import Teachers
from srkd.methods.distiller import OWN, Distiller, View
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.types import Batch, InputError, Losses

Turns = tuple[bool, bool, bool, bool]
"""Whether colours are inverted, and the image is flipped left to right, upside down, and transposed; in this order."""


@METHODS.register
class DUKD(Distiller):
    """ground_truth_weight · pix(S(x), y) + pix(S(x), T(x)) + zoom_in · pix(A⁻¹ S(A x_i), T(x_i)) + zoom_out · […].

    x_i is a piece of the high-resolution image, as large as x. x_o is x made smaller by the scale; its terms are
    pix(S(x_o), x) + pix(S(x_o), T(x_o)). A inverts colours, flips and transposes, each with probability 0.3.

    Args:
        ground_truth_weight: of pix(S(x), y).
        zoom_in: weight of the piece; photographs that were saved as JPEG were measured to harm here (−0.03 dB).
        zoom_out: weight of the smaller image.
        shrink: pieces are cut from the high-resolution image made smaller by this factor, against JPEG's traces.
    """

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        ground_truth_weight: float = 5.0,
        zoom_in: float = 1.0,
        zoom_out: float = 1.0,
        shrink: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(student, teacher, pixel, **options)
        if min(ground_truth_weight, zoom_in, zoom_out) < 0 or not 1 <= shrink <= student.scale:
            raise InputError(
                f"`ground_truth_weight` (={ground_truth_weight}), `zoom_in` (={zoom_in}) and `zoom_out` (={zoom_out}) "
                f"must not be negative, and `shrink` (={shrink}) from 1 to the scale."
            )
        unit = pixel.loss_weight
        self.shrink, self.zooms = shrink, (zoom_in, zoom_out)
        self.weights = {
            "l_pix": ground_truth_weight * unit, "l_ts": unit,
            "l_zoom_in": zoom_in * unit, "l_zoom_out": zoom_out * unit, "l_zoom_out_ts": zoom_out * unit,
        }  # fmt: skip

    def listen(self, lessons: dict[str, View], batch: Batch) -> None:
        """Make the images of this batch, and ask the teachers."""
        if min(batch.lq.shape[-2:]) < self.student.scale:
            raise InputError(
                f"DUKD makes the low-resolution patch ({list(batch.lq.shape[-2:])}) smaller by the scale "
                f"{self.student.scale}: use a larger gt_size."
            )
        self.piece = random_piece(batch.gt, batch.lq.shape[-2:], shrink=self.shrink)
        flags = (torch.rand(4) < 0.3).tolist()
        self.turns: Turns = (flags[0], flags[1], flags[2], flags[3])
        self.sums = (16 + 235) / 255 if self.student.num_in_ch == 1 else 1.0
        self.smaller = shrunk(batch.lq, self.student.scale)
        with torch.no_grad():
            self.known = {
                name: (frozen(self.piece), frozen(self.smaller)) for name, frozen in self.teachers.items()
            }  # fmt: skip
            if OWN in self.sources:
                self.known[OWN] = self.student(self.piece), self.student(self.smaller)

    def supervise(self, own: View, batch: Batch) -> Losses:
        """`l_pix` and `l_zoom_out`."""
        small = self._pictures(own)[1]
        edge = batch.lq[..., : small.shape[-2], : small.shape[-1]]
        return {**super().supervise(own, batch), "l_zoom_out": self.pixel(small, edge)}

    def compare(self, own: View, lesson: View, source: str, batch: Batch) -> Losses:
        """`l_ts`, `l_zoom_in` and `l_zoom_out_ts`."""
        piece, small = self._pictures(own)
        zoomed, smaller = self.known[source]
        return {
            "l_ts": self.pixel(own.picture, lesson.picture),
            "l_zoom_in": self.pixel(piece, zoomed),
            "l_zoom_out_ts": self.pixel(small, smaller),
        }

    def weight(self, name: str, progress: float) -> float:
        """As in `Distiller`; ground truth of the smaller image is no teacher's."""
        weight = super().weight(name, progress)
        count = len(self.sources_at(float(name.partition("@")[2] or self.widths[0])))
        return weight * max(count, 1) if name.partition("@")[0] == "l_zoom_out" else weight

    def _pictures(self, own: View) -> tuple[Tensor, Tensor]:
        """The student's picture of the piece, turned there and back, and of the smaller image, at a width."""
        if getattr(self, "_of", None) is not own.output:
            turned = self.student(turn(self.piece, self.turns, self.sums), own.width)
            self._seen = turn_back(turned, self.turns, self.sums), self.student(self.smaller, own.width)
            self._of = own.output
        return self._seen


def random_piece(gt: Tensor, size: tuple[int, ...] | torch.Size, *, shrink: int) -> Tensor:
    """A piece of height × width `size` at a random place of gt [B, C, H, W], made smaller by `shrink` first."""
    gt = shrunk(gt, shrink)
    top, left = (int(torch.randint(have - want + 1, ())) for have, want in zip(gt.shape[-2:], size, strict=True))
    return gt[..., top : top + size[0], left : left + size[1]]


def shrunk(x: Tensor, factor: int) -> Tensor:
    """x [B, C, H, W] made smaller by antialiased bicubic, H and W cut to a multiple of the factor; in [0, 1]."""
    height, width = (side // factor for side in x.shape[-2:])
    if factor == 1 or not min(height, width):
        return x
    x = x[..., : height * factor, : width * factor].float()
    return F.interpolate(x, size=(height, width), mode="bicubic", antialias=True).clamp(0, 1)


def turn(x: Tensor, turns: Turns, total: float) -> Tensor:
    """Invert (total − x), flip and transpose."""
    invert, horizontal, vertical, transpose = turns
    x = total - x if invert else x
    x = x.flip([axis for axis, wanted in ((3, horizontal), (2, vertical)) if wanted])
    return x.transpose(2, 3) if transpose else x


def turn_back(x: Tensor, turns: Turns, total: float) -> Tensor:
    """Undo `turn`: the same steps in the opposite order."""
    invert, horizontal, vertical, transpose = turns
    x = x.transpose(2, 3) if transpose else x
    x = x.flip([axis for axis, wanted in ((3, horizontal), (2, vertical)) if wanted])
    return total - x if invert else x
