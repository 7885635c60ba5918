"""The form of a network that phones and NPUs like best: the same function, of as few and as plain operations as can be.

- The range is folded into the weights: the features of a network with `img_range: 255` become 255 times smaller, and
  runtimes that compute in half precision do not overflow.
- The mean is added to the output by the last convolution's bias. Of the mean shift a subtraction of three constants
  remains, at the input: a zero-padded convolution cannot contain it exactly, as its padding is zero *after* the shift.
- On request each PixelShuffle is a transposed convolution with fixed weights, for runtimes without PixelShuffle.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from srkd.networks.blocks import DirectUpsampler, SubPixelUpsampler
from srkd.networks.carn import CARN
from srkd.networks.edsr import EDSR
from srkd.networks.fsrcnn import FSRCNN
from srkd.networks.rcan import RCAN, ChannelAttention
from srkd.networks.slim import Network, SlimConv2d
from srkd.networks.snsr import SNSR, TNSR
from srkd.types import InputError


def mobile_form(network: Network, *, conv_transpose: bool = False) -> Network:
    """A copy of `network` that computes the same at full width, up to the rounding of float32 (1e-5 in [0, 1]).

    Networks without mean shift (FSRCNN, TNSR, SNSR) have nothing to fold and are copied as they are.

    Args:
        network: float32, already of the width that is wanted (`narrow`); it is left as it is.
        conv_transpose: replace each PixelShuffle.

    Raises:
        InputError: the network is another one, or it has no PixelShuffle to replace.
    """
    form = copy.deepcopy(network)
    if isinstance(form, EDSR | RCAN | CARN):
        with torch.no_grad():
            fold_range(form)
            fold_mean(form)
    elif not isinstance(form, FSRCNN | TNSR | SNSR):
        raise InputError(
            f"{type(network).__name__} has no mobile form: it is known of EDSR, RCAN, CARN, FSRCNN, TNSR and SNSR. "
            "Export it without --mobile."
        )
    if conv_transpose:
        replace_pixel_shuffle(form)
    return form


def fold_range(network: EDSR | RCAN | CARN) -> None:
    """Make `network` compute on [0, 1], in place: every feature, and so every bias, is `img_range` times smaller.

    Convolutions and ReLUs are homogeneous, f(x / r) with biases b / r is f(x) / r. Channel attention has a sigmoid,
    which is not: its first convolution is scaled up instead and the rest of it sees what it saw.
    """
    attentions = [module for module in network.modules() if isinstance(module, ChannelAttention)]
    inside = {id(parameter) for module in attentions for parameter in module.parameters()}
    for name, parameter in network.named_parameters():
        if name.endswith("bias") and id(parameter) not in inside:
            parameter /= network.img_range
    for module in attentions:
        squeeze = module.attention[1]
        assert isinstance(squeeze, SlimConv2d)
        squeeze.weight *= network.img_range
    network.img_range = 1.0


def fold_mean(network: EDSR | RCAN | CARN) -> None:
    """Put the mean that is added at the end into the last convolution, in place; the range has to be folded before."""
    last = network.last_convolution if isinstance(network, EDSR) else network.conv_last
    assert network.img_range == 1 and last.bias is not None
    mean = network.shift.mean
    last.bias += mean.expand(network.num_out_ch).repeat_interleave(len(last.bias) // network.num_out_ch)
    network.shift = _Centre(mean)  # pyright: ignore[reportAttributeAccessIssue]: it has the same two methods


class _Centre(nn.Module):
    """What is left of `MeanShift`."""

    mean: Tensor

    def __init__(self, mean: Tensor) -> None:
        super().__init__()
        self.is_zero = not bool(mean.any())
        self.register_buffer("mean", mean.view(1, -1, 1, 1).clone(), persistent=False)

    def enter(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """[B, C, h, w] in [0, 1], less the mean."""
        return (x if self.is_zero else x - self.mean).to(dtype)

    def leave(self, x: Tensor) -> Tensor:
        """The output as it is: the last convolution has added the mean."""
        return x


def replace_pixel_shuffle(network: nn.Module) -> None:
    """Replace each PixelShuffle of the upsamplers by `shuffle_by_convolution`, in place.

    Raises:
        InputError: there is none.
    """
    upsamplers = [
        module
        for module in network.modules()
        if isinstance(module, SubPixelUpsampler | DirectUpsampler) and module.factors
    ]
    if not upsamplers:
        raise InputError(
            f"{type(network).__name__} has no PixelShuffle that --conv-transpose could replace: its upsampling is a "
            "transposed convolution already, or there is none."
        )
    for upsampler in upsamplers:
        for step, factor in enumerate(upsampler.factors):
            convolution = upsampler[2 * step]
            assert isinstance(convolution, SlimConv2d)
            upsampler[2 * step + 1] = shuffle_by_convolution(convolution.out_channels // factor**2, factor)


def shuffle_by_convolution(channels: int, factor: int) -> nn.ConvTranspose2d:
    """PixelShuffle as a transposed convolution: [B, channels · f², h, w] -> [B, channels, f·h, f·w], bit for bit.

    Its weights are ones and zeros: input channel c·f² + f·i + j goes to row i and column j of the f × f pixels of
    channel c. Not grouped, because the runtimes that need it (LiteRT) have no grouped transposed convolution.
    """
    layer = nn.ConvTranspose2d(channels * factor**2, channels, factor, stride=factor, bias=False)
    ones = torch.eye(channels * factor**2).view(channels * factor**2, channels, factor, factor)
    layer.weight = nn.Parameter(ones, requires_grad=False)
    return layer
