"""A module that is used but not trained."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn

from srkd import tf32


class Frozen(nn.Module):
    """A module that is used but never trained: always in eval mode, without gradients, and in no state dict.

    It follows `.to(device)`; `train()`, `parameters()` and `state_dict()` of the owner do not see it.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._held = [module.eval().requires_grad_(False)]  # in a list, so that torch does not register it

    @property
    def module(self) -> nn.Module:
        """The frozen module itself."""
        return self._held[0]

    def forward(self, *inputs: Tensor) -> Any:
        """Call the module. Gradients flow to the inputs; wrap in `torch.no_grad()` where they are not wanted."""
        return self._held[0](*inputs)

    def _apply(self, fn: Any, recurse: bool = True) -> Frozen:
        self._held[0]._apply(fn, recurse)
        super()._apply(fn, recurse)
        return self


class FrozenCopy(Frozen):
    """A frozen module that exists nowhere else: part of its owner's state dict, and so of the training state."""

    def get_extra_state(self) -> dict[str, Any]:
        """The module's state dict."""
        return self.module.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Load it."""
        self.module.load_state_dict(state)


class _Rounded(torch.autograd.Function):
    """A part of a graph with a setting of its own: autograd alone would take the one of when it runs."""

    @staticmethod
    def forward(ctx: Any, features: nn.Module, x: Tensor) -> tuple[Tensor, ...]:
        with tf32.convolutions(tf32=True), torch.set_grad_enabled(x.requires_grad):
            ctx.x = x.detach().requires_grad_(x.requires_grad)
            ctx.results = tuple(features(ctx.x))
        return tuple(result.detach() for result in ctx.results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor]:
        with tf32.convolutions(tf32=True):
            # kept: somebody may ask for several gradients of one graph
            (found,) = torch.autograd.grad(ctx.results, ctx.x, gradients, retain_graph=True)
        return None, found


@functools.cache
def _uncompiled() -> Any:
    return torch.compiler.disable(_Rounded.apply)  # when it is needed: it imports the compiler, which takes a second


def rounded(features: nn.Module, x: Tensor) -> list[Tensor]:
    """What a module with several outputs makes of `x`, its convolutions rounding to TF32, in the backward pass too.

    What surrounds it computes as it did; its parameters get no gradient.
    """
    return list(_uncompiled()(features, x))
