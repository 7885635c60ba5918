"""Blocks that EDSR-style networks share, each following the width of its input."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from srkd.networks.slim import SlimConv2d


class ResidualBlock(nn.Module):
    """EDSR's residual block without batch normalisation: x + res_scale · conv(relu(conv(x))).

    Paper: Lim, Son, Kim, Nah, Lee, "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017.
    """

    def __init__(self, num_feat: int, res_scale: float) -> None:
        super().__init__()
        self.res_scale = res_scale
        self.conv1 = SlimConv2d(num_feat, num_feat, 3, padding=1)
        self.conv2 = SlimConv2d(num_feat, num_feat, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, c, h, w] -> [B, c, h, w] for any c up to `num_feat`."""
        channels = x.shape[1]
        residual = self.conv2(F.relu(self.conv1(x, channels), inplace=True), channels)
        return x + residual * self.res_scale


def upsampler_factors(scale: int) -> list[int]:
    """Sub-pixel steps that make `scale`: powers of two in steps of 2, and 3.

    Raises:
        ValueError: `scale` is neither a power of two nor 3.
    """
    if scale == 3:
        return [3]
    if scale >= 1 and scale & (scale - 1) == 0:
        return [2] * (scale.bit_length() - 1)
    raise ValueError(f"`upscale` (={scale}) must be 3 or a power of two (1, 2, 4, 8, …).")


class SubPixelUpsampler(nn.Sequential):
    """Convolution to s² times the channels, then PixelShuffle, for each step; children 0, 2, … hold the weights.

    Paper: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
    Neural Network", CVPR 2016.
    """

    def __init__(self, scale: int, num_feat: int) -> None:
        self.factors = upsampler_factors(scale)
        layers: list[nn.Module] = []
        for factor in self.factors:
            layers += [SlimConv2d(num_feat, num_feat * factor**2, 3, padding=1), nn.PixelShuffle(factor)]
        super().__init__(*layers)

    def forward(self, input: Tensor) -> Tensor:
        """[B, c, h, w] -> [B, c, s·h, s·w] for any c up to `num_feat`."""
        channels = input.shape[1]
        for layer in self:
            if isinstance(layer, SlimConv2d):
                input = layer(input, layer.out_channels * channels // layer.in_channels)
            else:
                input = layer(input)
        return input
