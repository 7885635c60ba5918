"""EDSR with channel-split width.

Paper: Lim, Son, Kim, Nah, Lee, "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017,
https://arxiv.org/abs/1707.02921. Option and state-dict names are BasicSR's; at full width the output is equal to its.
"""

from __future__ import annotations

import math
from typing import Literal

from torch import Tensor, nn

from srkd.networks.blocks import (
    DirectUpsampler,
    ResidualBlock,
    SubPixelUpsampler,
    reconstruct,
    require_at_least,
    require_image_range,
)
from srkd.networks.slim import MeanShift, Network, SlimConv2d
from srkd.registry import NETWORKS


@NETWORKS.register
class EDSR(Network):
    """EDSR: head convolution, `num_block` residual blocks with a long skip, sub-pixel upsampler, tail convolution.

    Args:
        num_in_ch: channels of the input image.
        num_out_ch: channels of the output image.
        num_feat: channels of the features at full width (64 in EDSR-baseline, 256 in EDSR).
        num_block: residual blocks (16 in EDSR-baseline, 32 in EDSR).
        upscale: 2, 3, 4 or another power of two; with the direct upsampler any whole number.
        res_scale: factor on each block's residual (1 in EDSR-baseline, 0.1 in EDSR).
        img_range: the network computes on images in [0, img_range].
        rgb_mean: mean colour in [0, 1] that is taken off the input and added to the output (neutral: zeros).
        upsampler: `two_step` is the paper's and BasicSR's: sub-pixel convolutions in steps of 2 or 3, and a last
            convolution at full resolution. `direct` is one convolution to `num_out_ch` · s² channels and one
            PixelShuffle (as in ESPCN): a small network spends its multiply-adds at low resolution then.
    """

    def __init__(
        self,
        *,
        num_in_ch: int = 3,
        num_out_ch: int = 3,
        num_feat: int = 64,
        num_block: int = 16,
        upscale: int = 4,
        res_scale: float = 1.0,
        img_range: float = 255.0,
        rgb_mean: tuple[float, ...] = (0.4488, 0.4371, 0.4040),
        upsampler: Literal["two_step", "direct"] = "two_step",
    ) -> None:
        super().__init__()
        positive = {"num_feat": num_feat, "num_in_ch": num_in_ch, "num_out_ch": num_out_ch, "upscale": upscale}
        require_at_least(1, positive)
        require_at_least(0, {"num_block": num_block})
        require_image_range(img_range, rgb_mean, num_in_ch, num_out_ch)
        self.num_in_ch, self.num_out_ch = num_in_ch, num_out_ch
        self.num_feat, self.num_block = num_feat, num_block
        self.upscale, self.res_scale = upscale, res_scale
        self.img_range, self.rgb_mean = img_range, tuple(rgb_mean)
        self.upsampler = upsampler
        self.scale = upscale

        self.shift = MeanShift(self.rgb_mean, img_range)
        self.conv_first = SlimConv2d(num_in_ch, num_feat, 3, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(num_feat, res_scale) for _ in range(num_block)))
        self.conv_after_body = SlimConv2d(num_feat, num_feat, 3, padding=1)
        self.features = nn.Identity()  # computes nothing: a name for the tensor after the long skip, to tap it
        if upsampler == "direct":
            self.upsample = DirectUpsampler(upscale, num_feat, num_out_ch)
        else:
            self.upsample = SubPixelUpsampler(upscale, num_feat)
            self.conv_last = SlimConv2d(num_feat, num_out_ch, 3, padding=1)

        # One pixel for every 3×3 convolution: two in head and body's end, two a block.
        self.receptive_field = math.ceil(2 + 2 * num_block + self.upsample.radius)

    def forward(self, x: Tensor, width: float = 1.0) -> Tensor:
        """Super-resolve [B, num_in_ch, h, w] in [0, 1] to [B, num_out_ch, s·h, s·w]; not clipped.

        Raises:
            ValueError: `width` is not valid for `num_feat`.
        """
        channels = self.channels(width)
        head = self.conv_first(self.shift.enter(x, self.conv_first.weight.dtype), channels)
        return self.image(self.joined(head, self.body(head)))

    def joined(self, head: Tensor, deep: Tensor) -> Tensor:
        """The features that the upsampler gets, of what the head and the last block give."""
        return self.features(head + self.conv_after_body(deep, head.shape[1]))

    def image(self, features: Tensor) -> Tensor:
        """The image of the features."""
        if isinstance(self.upsample, DirectUpsampler):  # nothing here is wider than the features: no bands of rows
            return self.shift.leave(self.upsample(features))
        return self.shift.leave(reconstruct(self.upsample, self.conv_last, features, rows=self.tail_rows))

    @property
    def last_convolution(self) -> SlimConv2d:
        """The convolution whose output is the image; with the direct upsampler s² values a pixel and channel."""
        last = self.upsample[0] if isinstance(self.upsample, DirectUpsampler) else self.conv_last
        assert isinstance(last, SlimConv2d)
        return last
