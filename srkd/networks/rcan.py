"""RCAN with channel-split width.

Paper: Zhang, Li, Li, Wang, Zhong, Fu, "Image Super-Resolution Using Very Deep Residual Channel Attention Networks",
ECCV 2018, https://arxiv.org/abs/1807.02758. Option and state-dict names are BasicSR's; at full width the output is
equal to its.
"""

from __future__ import annotations

from torch import Tensor, nn

from srkd.networks.blocks import (
    SlimSequential,
    SubPixelUpsampler,
    add_scaled,
    reconstruct,
    require_at_least,
    require_image_range,
)
from srkd.networks.slim import MeanShift, Network, SlimConv2d
from srkd.registry import NETWORKS


def squeezed(channels: int, squeeze_factor: int) -> int:
    """Channels of the attention's bottleneck: channels / squeeze_factor rounded down, but at least 1.

    A function of the channels alone, so that a narrow network computes with as many as the slice it equals. Where
    `squeeze_factor` divides `num_feat` it is CSD's floor(num_feat / squeeze_factor · width), without its 0.
    """
    return max(channels // squeeze_factor, 1)


class ChannelAttention(nn.Module):
    """x · sigmoid(conv(relu(conv(mean of x over the positions)))): a factor a channel, seen from the whole image."""

    def __init__(self, num_feat: int, squeeze_factor: int) -> None:
        super().__init__()
        self.squeeze_factor = squeeze_factor
        middle = squeezed(num_feat, squeeze_factor)
        squeeze, excite = SlimConv2d(num_feat, middle, 1), SlimConv2d(middle, num_feat, 1)
        self.attention = nn.Sequential(nn.AdaptiveAvgPool2d(1), squeeze, nn.ReLU(), excite, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """[B, c, h, w] -> [B, c, h, w] for any c up to `num_feat`."""
        channels = x.shape[1]
        pool, squeeze, relu, excite, sigmoid = self.attention
        y = relu(squeeze(pool(x), squeezed(channels, self.squeeze_factor)))
        return x * sigmoid(excite(y, channels))


class AttentionBlock(nn.Module):
    """The paper's RCAB: x + res_scale · attention(conv(relu(conv(x))))."""

    def __init__(self, num_feat: int, squeeze_factor: int, res_scale: float) -> None:
        super().__init__()
        self.res_scale = res_scale
        self.rcab = SlimSequential(
            SlimConv2d(num_feat, num_feat, 3, padding=1),
            nn.ReLU(),
            SlimConv2d(num_feat, num_feat, 3, padding=1),
            ChannelAttention(num_feat, squeeze_factor),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, c, h, w] -> [B, c, h, w] for any c up to `num_feat`."""
        return add_scaled(x, self.rcab(x, x.shape[1]), self.res_scale)


class ResidualGroup(nn.Module):
    """x + conv(blocks(x)), with `num_block` attention blocks."""

    def __init__(self, num_feat: int, num_block: int, squeeze_factor: int, res_scale: float) -> None:
        super().__init__()
        blocks = (AttentionBlock(num_feat, squeeze_factor, res_scale) for _ in range(num_block))
        self.residual_group = nn.Sequential(*blocks)
        self.conv = SlimConv2d(num_feat, num_feat, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, c, h, w] -> [B, c, h, w] for any c up to `num_feat`."""
        return x + self.conv(self.residual_group(x), x.shape[1])


@NETWORKS.register
class RCAN(Network):
    """RCAN: head convolution, `num_group` residual groups with a long skip, sub-pixel upsampler, tail convolution.

    Each group holds `num_block` residual blocks with channel attention. The attention averages over the whole image:
    tiles see another average than the image, so that tiling is not exact.

    Args:
        num_in_ch: channels of the input image.
        num_out_ch: channels of the output image.
        num_feat: channels of the features at full width.
        num_group: residual groups (10 in RCAN).
        num_block: blocks in each group (20 in RCAN, 6 in FAKD's student, 16 in BasicSR's default).
        squeeze_factor: the attention's bottleneck has num_feat / squeeze_factor channels, at any width at least 1.
        upscale: 2, 3, 4 or another power of two.
        res_scale: factor on each block's residual.
        img_range: the network computes on images in [0, img_range].
        rgb_mean: mean colour in [0, 1] that is taken off the input and added to the output (neutral: zeros).
    """

    receptive_field = None

    def __init__(
        self,
        *,
        num_in_ch: int = 3,
        num_out_ch: int = 3,
        num_feat: int = 64,
        num_group: int = 10,
        num_block: int = 16,
        squeeze_factor: int = 16,
        upscale: int = 4,
        res_scale: float = 1.0,
        img_range: float = 255.0,
        rgb_mean: tuple[float, ...] = (0.4488, 0.4371, 0.4040),
    ) -> None:
        super().__init__()
        require_at_least(1, {"num_feat": num_feat, "num_in_ch": num_in_ch, "num_out_ch": num_out_ch})
        require_at_least(1, {"squeeze_factor": squeeze_factor})
        require_at_least(0, {"num_group": num_group, "num_block": num_block})
        require_image_range(img_range, rgb_mean, num_in_ch, num_out_ch)
        self.num_in_ch, self.num_out_ch = num_in_ch, num_out_ch
        self.num_feat, self.num_group, self.num_block = num_feat, num_group, num_block
        self.squeeze_factor = squeeze_factor
        self.upscale, self.res_scale = upscale, res_scale
        self.img_range, self.rgb_mean = img_range, tuple(rgb_mean)
        self.scale = upscale

        self.shift = MeanShift(self.rgb_mean, img_range)
        self.conv_first = SlimConv2d(num_in_ch, num_feat, 3, padding=1)
        groups = (ResidualGroup(num_feat, num_block, squeeze_factor, res_scale) for _ in range(num_group))
        self.body = nn.Sequential(*groups)
        self.conv_after_body = SlimConv2d(num_feat, num_feat, 3, padding=1)
        self.features = nn.Identity()  # computes nothing: a name for the tensor after the long skip, to tap it
        self.upsample = SubPixelUpsampler(upscale, num_feat)
        self.conv_last = SlimConv2d(num_feat, num_out_ch, 3, padding=1)

    def forward(self, x: Tensor, width: float = 1.0) -> Tensor:
        """Super-resolve [B, num_in_ch, h, w] in [0, 1] to [B, num_out_ch, s·h, s·w]; not clipped.

        Raises:
            ValueError: `width` is not valid for `num_feat`.
        """
        channels = self.channels(width)
        head = self.conv_first(self.shift.enter(x, self.conv_first.weight.dtype), channels)
        return self.image(self.joined(head, self.body(head)))

    def joined(self, head: Tensor, deep: Tensor) -> Tensor:
        """The features that the upsampler gets, of what the head and the last group give."""
        return self.features(head + self.conv_after_body(deep, head.shape[1]))

    def image(self, features: Tensor) -> Tensor:
        """The image of the features."""
        return self.shift.leave(reconstruct(self.upsample, self.conv_last, features, rows=self.tail_rows))
