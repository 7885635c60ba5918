"""PISR: a teacher that has seen the high-resolution image, and a student that has to predict its features.

Paper: Lee, Lee, Kim, Ham, "Learning with Privileged Information for Efficient Image Super-Resolution", ECCV 2020,
https://arxiv.org/abs/2007.07524. Written from the paper's formulas.

Two trainings. The first (`PISRTeacher`) makes the teacher: an encoder from the high-resolution image to a
low-resolution one that holds what helps to restore it, and a decoder, which is the student's own architecture. The
second (`PISR`) starts the student from that decoder and distils one feature of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srkd.losses.pixel import L1Loss, PixelLoss
from srkd.losses.variational import Distribution, variational_distance
from srkd.methods.base import Method, Teachers
from srkd.networks.blocks import SlimSequential
from srkd.networks.edsr import EDSR
from srkd.networks.frozen import Frozen
from srkd.networks.slim import Network, SlimConv2d
from srkd.networks.taps import Taps, feature_range
from srkd.networks.weights import load_companion, network_of, read_weights, save_network
from srkd.registry import METHODS
from srkd.types import Batch, InputError, Losses


class Encoder(nn.Sequential):
    """The high-resolution image to a low-resolution one: [B, C, s·h, s·w] -> [B, C, h, w].

    Convolutions 5×5, 5×5 of stride s, 3×3, 3×3; 86,084 parameters for one channel.

    Args:
        channels: of the images.
        scale: s.
    """

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__(
            nn.Conv2d(channels, 56, 5, padding=2),
            nn.PReLU(),
            nn.Conv2d(56, 56, 5, stride=scale, padding=2),
            nn.PReLU(),
            nn.Conv2d(56, 12, 3, padding=1),
            nn.PReLU(),
            nn.Conv2d(12, channels, 3, padding=1),
        )


@METHODS.register
class PISRTeacher(Method):
    """First stage: pix(S(E(gt)), gt) + imitation_weight · |E(gt) − lq|, where E is the encoder and S the decoder.

    The network of the option file is the decoder; the encoder is written beside it into the network file, where the
    second stage finds it. Validation shows the decoder on low-resolution images, which is not what it is trained for.

    Args:
        imitation_weight: how much the encoder's image has to look like the low-resolution one.
    """

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        imitation_weight: float = 1e-4,
        **options: Any,
    ) -> None:
        super().__init__(student, teacher, pixel, **options)
        self.encoder = Encoder(student.num_in_ch, student.scale)
        self.weights["l_im"] = imitation_weight

    @property
    def companions(self) -> dict[str, nn.Module]:
        """The encoder."""
        return {"encoder": self.encoder}

    def forward(self, batch: Batch) -> Losses:
        """`l_pix`, and `l_im`, which has no gradient on the decoder."""
        encoded = self.encoder(batch.gt)
        encoded = encoded.float() if encoded.dtype.itemsize < 4 else encoded
        losses: Losses = {}
        for width in self.widths:
            losses |= self.at(width, {"l_pix": self.pixel(self.student(encoded, width), batch.gt)})
        return {**losses, "l_im": F.l1_loss(encoded, batch.lq)}


@METHODS.register
class PISR(Method):
    """Second stage: pix(S, gt) + information_weight · VID(student's feature, teacher's feature).

    Start the student from the same file: `path.pretrain_network_g`.

    Args:
        stage1: network file of a `PISRTeacher` run: decoder and encoder, the frozen teacher.
        tap: module path of the feature in both; the default is `conv_after_body` (before the long skip) or, for
            FSRCNN, the paper's `expanding`.
        information_weight: weight of the variational term; it presumes the mean over all elements.
        distribution: what the teacher's feature is given the student's: `laplace` (the paper) or `gaussian`.
        faithful: features as they are; else divided by their network's `img_range`, so that the scales of the
            distributions, made for features of networks in [0, 1], fit.
    """

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        stage1: str,
        tap: str | None = None,
        information_weight: float = 1e-6,
        distribution: Distribution = "laplace",
        faithful: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(student, teacher, pixel, **options)
        weights = read_weights(stage1)
        # the encoder was trained with the decoder as it was, not with its moving average
        decoder = network_of(read_weights(stage1, "params") if weights.key else weights)
        encoder = Encoder(decoder.num_in_ch, decoder.scale)
        load_companion(encoder, weights, "encoder")
        theirs, ours = (decoder.scale, decoder.num_in_ch), (student.scale, student.num_in_ch)
        if theirs != ours:
            raise InputError(
                f"`stage1` {stage1} is for scale {theirs[0]} and {theirs[1]} channel(s), the student "
                f"({type(student).__name__}) for scale {ours[0]} and {ours[1]} channel(s)."
            )
        path = tap or _default_tap(student)
        self.taps = Taps(student, [path])
        self._privileged = Frozen(_PrivilegedTeacher(encoder, decoder, path))
        small = torch.zeros(1, student.num_in_ch, 8, 8)
        with torch.no_grad():  # a picture of 8 × 8 tells the channels, and whether the sizes agree
            own = self.taps.features(small)[0].shape
            other = self._privileged(small.repeat(1, 1, student.scale, student.scale)).shape
        if own[-2:] != other[-2:]:
            raise InputError(f"tap {path!r} gives {list(own)} in the student and {list(other)} in the teacher.")
        self.mean_head, self.scale_head = (_head(own[1], other[1]) for _ in range(2))
        self.distribution: Distribution = distribution
        self.divisors = (1.0, 1.0) if faithful else (feature_range(student), feature_range(decoder))
        self.weights["l_vid"] = information_weight

    @classmethod
    def example(cls, folder: Path) -> dict[str, Any]:
        """A first stage that has learnt nothing."""
        first = PISRTeacher(EDSR(num_feat=8, num_block=3, upscale=2), None, L1Loss())
        save_network(folder / "stage1.pth", first.student, companions=first.companions)
        return {"stage1": str(folder / "stage1.pth")}

    def forward(self, batch: Batch) -> Losses:
        """`l_pix` and `l_vid`."""
        with torch.no_grad():
            target = self._privileged(batch.gt) / self.divisors[1]
        losses: Losses = {}
        for width in self.widths:
            sr, features = self.taps.run(batch.lq, width)
            own = features[0] / self.divisors[0]
            information = variational_distance(self.mean_head(own), self.scale_head(own), target, self.distribution)
            losses |= self.at(width, {"l_pix": self.pixel(sr, batch.gt), "l_vid": information})
        return losses


class _PrivilegedTeacher(nn.Module):
    """The decoder's feature of the encoded high-resolution image."""

    def __init__(self, encoder: nn.Module, decoder: Network, tap: str) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.taps = Taps(decoder, [tap])

    def forward(self, gt: Tensor) -> Tensor:
        return self.taps.features(self.encoder(gt))[0]


def _head(inputs: int, outputs: int) -> SlimSequential:
    """Position by position, what of the teacher's feature the student's tells; 6,385 parameters for 56 channels.

    Of a narrower student it takes the first channels.
    """
    return SlimSequential(SlimConv2d(inputs, inputs, 1), nn.PReLU(), SlimConv2d(inputs, outputs, 1))


def _default_tap(network: Network) -> str:
    names = [name for name in ("conv_after_body", "expanding") if hasattr(network, name)]
    if not names:
        raise InputError(f"{type(network).__name__} has no `conv_after_body` and no `expanding`: name the `tap`.")
    return names[0]
