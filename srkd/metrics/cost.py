"""What a network costs: parameters and multiply-adds (latency and memory are measured, not counted: see benchmarks).

Convention: one multiplication with its addition counts 1; convolutions, transposed convolutions and matrix products
(linear layers, attention) count, everything else (biases, activations, additions, pixel shuffle) does not. Papers quote
multiply-adds for a 1280 × 720 *output*: at scale s that is an input of 720/s × 1280/s, for ×4 `height=180,
width_px=320`; the ×3 width is not whole, papers scale the count.
"""

from __future__ import annotations

from itertools import chain

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from srkd.types import InputError


def parameters(network: nn.Module) -> int:
    """Number of learnable and frozen parameters; shared ones count once, buffers do not count."""
    return sum(parameter.numel() for parameter in network.parameters())


def multi_adds(network: nn.Module, *, height: int, width_px: int, width: float = 1.0) -> int:
    """Multiply-adds of one forward pass `network(x, width)` on one image.

    Nothing is computed and nothing copied: the pass runs on tensors that have shapes but no values.

    Args:
        network: called as `network(x, width)` with x [1, C, height, width_px]; C is its `num_in_ch`, or 3 without one.
        height: rows of the *input* image.
        width_px: columns of the input image (`width` being the share of channels that is used).
        width: share of the network's channels, in (0, 1].

    Raises:
        InputError: `height` or `width_px` below 1.
    """
    if min(height, width_px) < 1:
        raise InputError(f"multi_adds: the input is at least 1 × 1 pixel; it is {height} × {width_px}.")
    state = dict(chain(network.named_parameters(), network.named_buffers()))
    like = next(iter(state.values()), torch.empty(0))
    # The mode also takes in tensors that a network keeps as plain attributes, which a move to "meta" would miss.
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True), FlopCounterMode(display=False) as counter:
        image = torch.zeros(1, getattr(network, "num_in_ch", 3), height, width_px, dtype=like.dtype, device=like.device)
        # Stand-ins for parameters and buffers too: the running statistics of a network in training stay as they are.
        hollow = {name: torch.empty_like(value) for name, value in state.items()}
        torch.func.functional_call(network, hollow, (image, width))
    return counter.get_total_flops() // 2
