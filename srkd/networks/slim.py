"""Channel-split width: one set of weights, every narrower network a prefix of it.

Paper: Wang, Lin, Qu, Wu, Zhang, Xie, Yao, "Towards Compact Single Image Super-Resolution via Contrastive
Self-distillation", IJCAI 2021, https://arxiv.org/abs/2105.11683 (section 3.1, CSSR-Net).

At width w a layer of C channels uses its first w·C: weight[:out, :in], bias[:out]. Sub-pixel upsamplers keep whole
groups of s² channels, so a prefix slice is consistent with PixelShuffle's channel-major layout.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def channels_at(num_feat: int, width: float, *, rule: str = "", trained: Iterable[float] | None = None) -> int:
    """Channels that `width` keeps of `num_feat`.

    The error says `rule` where more than `num_feat` decides, and names the widths that were `trained` first.

    Raises:
        ValueError: `num_feat · width` is not a whole number of at least 1 (within 1e-6), or `width` exceeds 1.
    """
    exact = num_feat * width
    count = round(exact)
    if abs(exact - count) <= 1e-6 and 1 <= count <= num_feat:
        return count
    lower = min(max(int(exact), 1), num_feat)
    near = [f"{count}/{num_feat} = {count / num_feat:.6g}" for count in sorted({lower, min(lower + 1, num_feat)})]
    usual = f"`num_feat` (={num_feat}): num_feat · width must be a whole number from 1 to {num_feat}"
    best = f"Trained: {', '.join(f'{own:g}' for own in trained)}. " if trained else ""
    raise ValueError(f"`width` (={width:g}) is not valid for {rule or usual}. {best}Nearest valid: {', '.join(near)}.")


class SlimConv2d(nn.Conv2d):
    """A convolution that computes with a prefix of its channels.

    The number of input channels is that of the input; the number of output channels is asked for (`out`, default all).
    At full size it is exactly `nn.Conv2d`: same weights, same names, same result. `groups` is 1, or the number of
    channels (depthwise).

    Attributes:
        given: weight and bias for each (out, in), made beforehand by `srkd.networks.cuts`; None where nobody does.
    """

    given: dict[tuple[int, int], tuple[Tensor, Tensor | None] | None] | None = None

    def forward(self, input: Tensor, out: int | None = None) -> Tensor:
        """Convolve [B, in, h, w] with weight[:out, :in] into [B, out, h, w]; depthwise, `out` is `in`."""
        out = self.out_channels if out is None else out
        weight, bias, groups = self.weight, self.bias, self.groups
        ready = None if self.given is None else self.given.setdefault((out, input.shape[1]), None)
        if ready is not None:
            weight, bias = ready
        elif (out, input.shape[1]) != (self.out_channels, self.in_channels):
            groups = 1 if groups == 1 else input.shape[1]
            weight = self.kernel(out, input.shape[1] // groups)
            bias = None if bias is None else bias[:out]
        return F.conv2d(input, weight, bias, self.stride, self.padding, self.dilation, groups)

    def kernel(self, rows: int, columns: int) -> Tensor:
        """The weights of a narrower convolution, [rows, columns, k, k]; `narrow` copies what this returns.

        A convolution whose narrow weights are not a prefix of the wide ones overrides it.
        """
        return self.weight[:rows, :columns]


class SlimConvTranspose2d(nn.ConvTranspose2d):
    """A transposed convolution that computes with a prefix of its channels; otherwise as `SlimConv2d`."""

    def forward(self, input: Tensor, out: int | None = None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Convolve [B, in, h, w] with weight[:in, :out] into [B, out, s·h, s·w]."""
        out = self.out_channels if out is None else out
        weight, bias = self.weight, self.bias
        if (input.shape[1], out) != (self.in_channels, self.out_channels):
            weight = weight[: input.shape[1], :out]
            bias = None if bias is None else bias[:out]
        assert isinstance(self.padding, tuple)  # only a convolution's may be a word
        return F.conv_transpose2d(
            input, weight, bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )


class Network(nn.Module):
    """Base of every super-resolution network: `forward(x, width=1.0)`, [B, C, h, w] -> [B, C, s·h, s·w] in [0, 1].

    Every constructor option is kept as an attribute of the same name, so that `config` rebuilds the network.

    Attributes:
        scale: upscaling factor s.
        num_in_ch: channels of the input: 3 for RGB; 1 for Y in [16, 235]/255 (BT.601), then training, validation and
            inference convert images to Y by themselves.
        num_out_ch: channels of the output.
        num_feat: channels at full width.
        receptive_field: how many low-resolution pixels an output pixel sees in each direction (a radius, hence also the
            margin of exact tiling); None where it is unbounded or depends on the position.
        trained_widths: widths that training supervised, as recorded in the checkpoint; None where unknown.
        tail_rows: low-resolution rows that upsampler and last convolution take at a time (`blocks.reconstruct`); None
            for all of them. Set for inference, where it saves memory.
    """

    scale: int
    num_in_ch: int = 3
    num_out_ch: int = 3
    num_feat: int
    receptive_field: int | None = None
    trained_widths: tuple[float, ...] | None = None
    tail_rows: int | None = None

    @property
    def config(self) -> dict[str, Any]:
        """The constructor's options with their values: `type(self)(**self.config)` is an equal network."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @property
    def widths(self) -> tuple[float, ...]:
        """Every valid width, widest first."""
        return tuple(count / self.num_feat for count in range(self.num_feat, 0, -1))

    def channels(self, width: float) -> int:
        """How many of the `num_feat` channels `width` keeps.

        Raises:
            ValueError: `width` is not one of `widths`; the message names the nearest ones.
        """
        return channels_at(self.num_feat, width, trained=self.trained_widths)

    def narrowed_config(self, width: float) -> dict[str, Any]:
        """The constructor's options of the physically smaller network that equals this one at `width`."""
        return {**self.config, "num_feat": self.channels(width)}

    def narrower(self, width: float) -> Network:
        """A network of the size of this one at `width`; its parameters are not yet this one's."""
        return type(self)(**self.narrowed_config(width))

    def unpadded(self, feature: Tensor, x: Tensor) -> Tensor:
        """The positions of the input `x` in a `feature` inside; a network that enlarges its input cuts it here."""
        del x
        return feature

    def forward(self, x: Tensor, width: float = 1.0) -> Tensor:
        """Super-resolve `x` with the first `width` of the channels."""
        raise NotImplementedError


class MeanShift(nn.Module):
    """EDSR's input and output convention: (x - mean) · range going in, x / range + mean coming out.

    The mean is never in a state dict, and stays fp32 whatever the network is cast to: in bf16 it would be off by a
    quarter of a grey level.
    """

    mean: Tensor

    def __init__(self, rgb_mean: tuple[float, ...], img_range: float) -> None:
        super().__init__()
        self.img_range = img_range
        self.register_buffer("mean", torch.tensor(rgb_mean), persistent=False)

    def enter(self, x: Tensor, dtype: torch.dtype) -> Tensor:
        """Shift and scale [B, C, h, w] in [0, 1], then cast to the weights' `dtype`."""
        return ((x - self.mean.view(1, -1, 1, 1)) * self.img_range).to(dtype)

    def leave(self, x: Tensor) -> Tensor:
        """Undo `enter`; half-precision features become fp32 before the mean is added."""
        return (x.float() if x.dtype.itemsize < 4 else x) / self.img_range + self.mean.view(1, -1, 1, 1)

    def _apply(self, fn: Any, recurse: bool = True) -> MeanShift:
        exact = self.mean
        super()._apply(fn, recurse)
        if self.mean.dtype != exact.dtype:
            self.mean = exact.to(self.mean.device)
        return self


def narrow(network: Network, width: float) -> Network:
    """Return a stand-alone ordinary network equal to `network` at `width`: smaller layers, copied weights.

    Narrow tensors are prefixes of the wide ones, but for the weights of a convolution whose `kernel` says otherwise.
    """
    small = network.narrower(width)
    wide = network.state_dict()
    reference = next(network.parameters())
    small.to(device=reference.device, dtype=reference.dtype if reference.is_floating_point() else None)
    narrow_state: dict[str, Tensor] = {}
    for name, tensor in small.state_dict().items():
        path, _, kind = name.rpartition(".")
        layer = network.get_submodule(path)
        if isinstance(layer, SlimConv2d) and kind == "weight":
            part = layer.kernel(*tensor.shape[:2]).detach()
        else:
            part = wide[name][tuple(slice(size) for size in tensor.shape)]
        narrow_state[name] = part.clone()
    small.load_state_dict(narrow_state)
    return small.train(network.training)
