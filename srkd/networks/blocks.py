"""Blocks that EDSR-style networks share, each following the width of its input."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srkd.networks.slim import SlimConv2d, SlimConvTranspose2d


def require_at_least(least: int, options: Mapping[str, int]) -> None:
    """Check options by name.

    Raises:
        ValueError: one of them is below `least`.
    """
    for name, value in options.items():
        if value < least:
            raise ValueError(f"`{name}` (={value}) must be at least {least}.")


def require_image_range(img_range: float, rgb_mean: tuple[float, ...], num_in_ch: int, num_out_ch: int) -> None:
    """Check the options of `MeanShift`.

    Raises:
        ValueError: the range is not positive, or the mean has neither one value nor one a channel.
    """
    if not img_range > 0:
        raise ValueError(f"`img_range` (={img_range}) must be positive.")
    if len(rgb_mean) != 1 and {len(rgb_mean)} != {num_in_ch, num_out_ch}:
        raise ValueError(
            f"`rgb_mean` has {len(rgb_mean)} values; it needs one, or one a channel (`num_in_ch` = {num_in_ch}, "
            f"`num_out_ch` = {num_out_ch})."
        )


class SlimSequential(nn.Sequential):
    """Layers one after the other, all of whose convolutions have the same number of output channels."""

    def forward(self, input: Tensor, out: int | None = None) -> Tensor:
        """[B, in, h, w] -> [B, out, h', w'] for any `in` and `out` up to the full ones (None: all)."""
        for layer in self:
            sliced = isinstance(layer, SlimConv2d | SlimConvTranspose2d)
            input = layer(input, out) if sliced else layer(input)
        return input


def add_scaled(x: Tensor, residual: Tensor, scale: float) -> Tensor:
    """x + scale · residual. On a GPU it is one kernel and one rounding; elsewhere the two of the formula."""
    if scale == 1:
        return x + residual  # multiplying by 1 would change nothing
    return torch.add(x, residual, alpha=scale) if x.is_cuda else x + residual * scale


class PixelShuffle(nn.PixelShuffle):
    """`nn.PixelShuffle`, whose result on CUDA stays in channels-last memory where the input is in it.

    PyTorch's own leaves it there, and every convolution that follows would have to copy it back.
    """

    def forward(self, input: Tensor) -> Tensor:
        """[B, C·r², h, w] -> [B, C, r·h, r·w]."""
        if not (input.is_cuda and input.is_contiguous(memory_format=torch.channels_last)):
            return super().forward(input)
        return shuffle_channels_last(input, self.upscale_factor)


def shuffle_channels_last(x: Tensor, r: int) -> Tensor:
    """As `F.pixel_shuffle`, for a tensor in channels-last memory and into such: one copy, which is all it is."""
    batch, height, width, channels = x.permute(0, 2, 3, 1).shape
    parts = x.permute(0, 2, 3, 1).reshape(batch, height, width, channels // r**2, r, r)
    image = parts.permute(0, 1, 4, 2, 5, 3).reshape(batch, height * r, width * r, channels // r**2)
    return image.permute(0, 3, 1, 2)


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
        return add_scaled(x, residual, self.res_scale)


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

    Args:
        scale: the product of the steps' factors.
        num_feat: channels at full width.
        relu: whether each step ends with a ReLU.
    """

    def __init__(self, scale: int, num_feat: int, *, relu: bool = False) -> None:
        self.factors = upsampler_factors(scale)
        self.relu = relu
        layers: list[nn.Module] = []
        for factor in self.factors:
            layers += [SlimConv2d(num_feat, num_feat * factor**2, 3, padding=1), PixelShuffle(factor)]
        super().__init__(*layers)

    def forward(self, input: Tensor) -> Tensor:
        """[B, c, h, w] -> [B, c, s·h, s·w] for any c up to `num_feat`."""
        channels = input.shape[1]
        for layer in self:
            if isinstance(layer, SlimConv2d):
                input = layer(input, layer.out_channels * channels // layer.in_channels)
            else:
                input = F.relu(layer(input)) if self.relu else layer(input)
        return input

    @property
    def radius(self) -> float:
        """How many low-resolution pixels it sees in each direction, together with a 3×3 convolution after it."""
        # Every 3×3 convolution adds one pixel of the resolution it works at.
        radius, resolution = 0.0, 1
        for factor in self.factors:
            radius += 1 / resolution
            resolution *= factor
        return radius + 1 / resolution


class DirectUpsampler(nn.Sequential):
    """One convolution to s² times the image's channels, then one PixelShuffle: features in, image out.

    All of it but the shuffle is at low resolution, so it costs a fraction of `SubPixelUpsampler` and the convolution
    after it. What it gives is the image: its output channels are the same at every width.

    Args:
        scale: s, any whole number.
        num_feat: channels at full width.
        num_out_ch: channels of the image.
    """

    def __init__(self, scale: int, num_feat: int, num_out_ch: int) -> None:
        self.factors = [scale] if scale > 1 else []
        super().__init__(SlimConv2d(num_feat, num_out_ch * scale**2, 3, padding=1), PixelShuffle(scale))

    @property
    def radius(self) -> int:
        """How many low-resolution pixels it sees in each direction."""
        return 1


def reconstruct(
    upsample: SubPixelUpsampler, conv_last: SlimConv2d, features: Tensor, *, rows: int | None = None
) -> Tensor:
    """The image of the features [B, c, h, w]: enlarged and through the last convolution, [B, C, s·h, s·w].

    The widest tensors of a network are in here, s² times the size of all others. With `rows` it is done in bands of as
    many rows, with the rows that a band sees beside its own computed twice: the same image from a fraction of the
    memory. Meant for inference; without it is the plain composition.
    """
    height = features.shape[2]
    halo = math.ceil(upsample.radius)
    if rows is None or height <= rows + 2 * halo:
        return conv_last(upsample(features))
    scale, image = math.prod(upsample.factors), features.new_empty(0)
    for first in range(0, height, rows):
        last = min(first + rows, height)
        start, stop = max(first - halo, 0), min(last + halo, height)
        band = conv_last(upsample(features[:, :, start:stop]))
        if not first:
            image = band.new_empty((*band.shape[:2], height * scale, band.shape[3]))
        image[:, :, first * scale : last * scale] = band[:, :, (first - start) * scale : (last - start) * scale]
    return image
