"""The weights of a step, at every width it uses, cut out and cast together.

Left to themselves, convolutions cost several small kernels each: a cast of weight and bias for autocast, and in the
backward pass, for each narrow width, a full-sized gradient of zeros, copies into it, and an addition. Here all weights
of one shape are stacked, so that a width is one kernel for all of them, and its gradients are one addition to a part of
the full ones. The numbers, and the order in which they are added, are the same.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from srkd.networks.slim import SlimConv2d

Size = tuple[int, int]
"""Output and input channels that a convolution is asked for."""


class Cuts:
    """What the ordinary convolutions in `module` compute with, step by step; the first step only shows the sizes.

    Args:
        module: whose `SlimConv2d` layers are looked after; depthwise ones and those with their own `kernel` are not.
    """

    def __init__(self, module: nn.Module) -> None:
        found = [layer for layer in module.modules() if type(layer) is SlimConv2d]
        self._layers = [layer for layer in found if layer.groups == 1 and layer.weight.requires_grad]
        self._sizes: list[tuple[Size, ...]] = [()] * len(self._layers)

    @contextmanager
    def given(self, dtype: torch.dtype) -> Generator[None]:
        """Inside the `with` block the convolutions find their weights ready, in `dtype`: one forward pass of a step."""
        made: list[dict[Size, tuple[Tensor, Tensor | None] | None]] = [dict.fromkeys(sizes) for sizes in self._sizes]
        groups: dict[Any, list[int]] = {}
        for index, (layer, sizes) in enumerate(zip(self._layers, self._sizes, strict=True)):
            plain = layer.weight.dtype == dtype and sizes == ((layer.out_channels, layer.in_channels),)
            if sizes and not plain:  # the whole weight as it is: nothing to do
                groups.setdefault((layer.weight.shape, layer.bias is None, sizes), []).append(index)
        for (_, _, sizes), members in groups.items():
            layers = [self._layers[index] for index in members]
            kernels = _cut([layer.weight for layer in layers], sizes, dtype)
            biases = _cut([layer.bias for layer in layers if layer.bias is not None], sizes, dtype)
            for number, index in enumerate(members):
                for at, size in enumerate(sizes):
                    made[index][size] = kernels[at][number], biases[at][number] if biases else None
        for layer, ready in zip(self._layers, made, strict=True):
            layer.given = ready
        try:
            yield
        finally:
            self._sizes = [tuple(ready) for ready in made]
            for layer in self._layers:
                layer.given = None


def _cut(tensors: Sequence[Tensor], sizes: Sequence[Size], dtype: torch.dtype) -> list[list[Tensor]]:
    """For each size the first channels of each tensor (kernels or biases of one shape)."""
    if not tensors:
        return []
    flat: Any = _Cut.apply(sizes, dtype, *tensors)
    return [list(flat[start : start + len(tensors)]) for start in range(0, len(flat), len(tensors))]


class _Cut(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, sizes: Sequence[Size], dtype: torch.dtype, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.sizes, ctx.number = sizes, len(tensors)
        ctx.set_materialize_grads(False)
        full = _stacked(tensors)
        ctx.shape = full.shape
        result: list[Tensor] = []
        for size in sizes:
            part = _part(full, size)
            result += _unstacked(torch.empty(part.shape, dtype=dtype, device=part.device).copy_(part))
        return tuple(result)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *grad_outputs: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        total: Tensor | None = None
        for at in reversed(range(len(ctx.sizes))):  # as autograd comes by them: the last that was used first
            own = grad_outputs[at * ctx.number : (at + 1) * ctx.number]
            there = next((gradient for gradient in own if gradient is not None), None)
            if there is None:
                continue
            stacked = _stacked([torch.zeros_like(there) if gradient is None else gradient for gradient in own])
            if total is None:
                total = stacked.new_zeros(ctx.shape, dtype=torch.float32)
            _part(total, ctx.sizes[at]).add_(stacked)
        return None, None, *((None,) * ctx.number if total is None else _unstacked(total))


def _stacked(tensors: Sequence[Tensor]) -> Tensor:
    """[n, O, k, k, I] of kernels, which lie like that in channels-last memory; [n, O] of biases."""
    return torch.stack([t.permute(0, 2, 3, 1) if t.ndim == 4 else t for t in tensors])


def _unstacked(stack: Tensor) -> list[Tensor]:
    return [t.permute(0, 3, 1, 2) if t.ndim == 4 else t for t in stack.unbind()]


def _part(stack: Tensor, size: Size) -> Tensor:
    return stack[:, : size[0], :, :, : size[1]] if stack.ndim == 5 else stack[:, : size[0]]
