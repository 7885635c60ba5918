"""CARN with channel-split width.

Paper: Ahn, Kang, Sohn, "Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual Network", ECCV 2018,
https://arxiv.org/abs/1803.08664.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srkd.networks.blocks import SubPixelUpsampler, reconstruct, require_at_least, require_image_range
from srkd.networks.slim import MeanShift, Network, SlimConv2d
from srkd.registry import NETWORKS


class Fusion(SlimConv2d):
    """A 1×1 convolution over `parts` feature maps of `num_feat` channels each, one behind the other.

    A narrow network concatenates the first c channels of each part. The prefix of the whole weight would multiply them
    with columns that belong to the first parts only (as CSD's code does), so c columns of every part are taken.
    """

    def __init__(self, num_feat: int, parts: int) -> None:
        super().__init__(parts * num_feat, num_feat, 1)
        self.parts = parts

    def kernel(self, rows: int, columns: int) -> Tensor:
        """The weights [rows, columns, 1, 1] of the first columns / parts channels of each part."""
        return self.weight.unflatten(1, (self.parts, -1))[:rows, :, : columns // self.parts].flatten(1, 2)


def cascade(x: Tensor, blocks: nn.Sequential, fusions: nn.ModuleList) -> Tensor:
    """Run blocks, each followed by a fusion of everything so far; x and the result are [B, c, h, w].

    y₀ = x, z₀ = x; z_k = [z_(k-1), block_k(y_(k-1))] concatenated; y_k = relu(fusion_k(z_k)).
    """
    y = seen = x
    for block, fusion in zip(blocks, fusions, strict=True):
        seen = torch.cat([seen, block(y)], dim=1)
        y = F.relu(fusion(seen, x.shape[1]))
    return y


def fusions(num_feat: int, count: int) -> nn.ModuleList:
    """The fusions of a cascade of `count` blocks: over 2, 3, … `count` + 1 parts."""
    return nn.ModuleList(Fusion(num_feat, parts) for parts in range(2, count + 2))


class PlainBlock(nn.Module):
    """CARN's residual block: relu(x + conv(relu(conv(x))))."""

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        self.conv1 = SlimConv2d(num_feat, num_feat, 3, padding=1)
        self.conv2 = SlimConv2d(num_feat, num_feat, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, c, h, w] -> [B, c, h, w] for any c up to `num_feat`."""
        channels = x.shape[1]
        return F.relu(x + self.conv2(F.relu(self.conv1(x, channels)), channels))


class CascadingBlock(nn.Module):
    """A cascade of residual blocks: the local one, which the network repeats at its own level."""

    def __init__(self, num_feat: int, num_block: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(PlainBlock(num_feat) for _ in range(num_block)))
        self.fusions = fusions(num_feat, num_block)

    def forward(self, x: Tensor) -> Tensor:
        """[B, c, h, w] -> [B, c, h, w] for any c up to `num_feat`."""
        return cascade(x, self.blocks, self.fusions)


@NETWORKS.register
class CARN(Network):
    """CARN: head convolution, a cascade of cascades of residual blocks, sub-pixel upsampler, tail convolution.

    The defaults have 1.112 M parameters at ×4. The 1.592 M that tables print are those of a network with the
    upsamplers of ×2, ×3 and ×4 side by side; here there is the one that `upscale` needs.

    Args:
        num_in_ch: channels of the input image.
        num_out_ch: channels of the output image.
        num_feat: channels of the features at full width.
        num_group: cascading blocks.
        num_block: residual blocks in each cascading block.
        upscale: 2, 3, 4 or another power of two.
        img_range: the network computes on images in [0, img_range].
        rgb_mean: mean colour in [0, 1] that is taken off the input and added to the output (neutral: zeros).
    """

    def __init__(
        self,
        *,
        num_in_ch: int = 3,
        num_out_ch: int = 3,
        num_feat: int = 64,
        num_group: int = 3,
        num_block: int = 3,
        upscale: int = 4,
        img_range: float = 1.0,
        rgb_mean: tuple[float, ...] = (0.4488, 0.4371, 0.4040),
    ) -> None:
        super().__init__()
        require_at_least(1, {"num_feat": num_feat, "num_in_ch": num_in_ch, "num_out_ch": num_out_ch})
        require_at_least(1, {"num_group": num_group, "num_block": num_block})
        require_image_range(img_range, rgb_mean, num_in_ch, num_out_ch)
        self.num_in_ch, self.num_out_ch = num_in_ch, num_out_ch
        self.num_feat, self.num_group, self.num_block = num_feat, num_group, num_block
        self.upscale = self.scale = upscale
        self.img_range, self.rgb_mean = img_range, tuple(rgb_mean)

        self.shift = MeanShift(self.rgb_mean, img_range)
        self.conv_first = SlimConv2d(num_in_ch, num_feat, 3, padding=1)
        self.body = nn.Sequential(*(CascadingBlock(num_feat, num_block) for _ in range(num_group)))
        self.fusions = fusions(num_feat, num_group)
        self.upsample = SubPixelUpsampler(upscale, num_feat, relu=True)
        self.conv_last = SlimConv2d(num_feat, num_out_ch, 3, padding=1)
        # One pixel for every 3×3 convolution: one in the head, two a block.
        self.receptive_field = math.ceil(1 + 2 * num_block * num_group + self.upsample.radius)

    def forward(self, x: Tensor, width: float = 1.0) -> Tensor:
        """Super-resolve [B, num_in_ch, h, w] in [0, 1] to [B, num_out_ch, s·h, s·w]; not clipped.

        Raises:
            ValueError: `width` is not valid for `num_feat`.
        """
        head = self.conv_first(self.shift.enter(x, self.conv_first.weight.dtype), self.channels(width))
        features = cascade(head, self.body, self.fusions)
        return self.shift.leave(reconstruct(self.upsample, self.conv_last, features, rows=self.tail_rows))
