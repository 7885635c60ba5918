"""What a network costs, counted from shapes: parameters, multiply-adds, activations, convolutions, peak memory.

Convention: one multiplication with its addition counts 1; convolutions, transposed convolutions and matrix products
(linear layers, attention) count, everything else (biases, activations, additions, pixel shuffle) does not. Papers quote
multiply-adds for a 1280 × 720 *output*: at scale s that is an input of 720/s × 1280/s, for ×4 `height=180,
width_px=320`; the ×3 width is not whole, papers scale the count. The NTIRE challenges on efficient super-resolution
count at a 256 × 256 *input*, call a multiply-add a FLOP, and add the elements of all convolutions' outputs to what they
call activations. PyTorch and others count two FLOPs a multiply-add.
"""

from __future__ import annotations

import copy
import threading
import weakref
from contextlib import AbstractContextManager
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from srkd.types import InputError

_ONE_AT_A_TIME = threading.Lock()
"""PyTorch keeps some of what it knows of tensors without values in places that all threads share."""


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
    counter = FlopCounterMode(display=False)
    _hollow_forward(network, counter, height=height, width_px=width_px, width=width)
    return counter.get_total_flops() // 2


class Convolutions(NamedTuple):
    """How many convolutions one pass runs, transposed ones included, and the elements of all their outputs."""

    number: int
    elements: int


def convolutions(network: nn.Module, *, height: int, width_px: int, width: float = 1.0) -> Convolutions:
    """Convolutions and activations of one forward pass, in NTIRE's sense. Arguments as for `multi_adds`."""
    meter = _ConvolutionMeter()
    _hollow_forward(network, meter, height=height, width_px=width_px, width=width)
    return Convolutions(meter.count, meter.elements)


def peak_activations(network: nn.Module, *, height: int, width_px: int, width: float = 1.0) -> int:
    """Bytes that the tensors of one forward pass take up at most at any one moment, without gradients.

    Input and output are among them, parameters are not, nor what the libraries use inside an operation. Nothing is
    computed; under `torch.autocast` the count is that of the lower precision. Arguments as for `multi_adds`.
    """
    meter = _PeakMeter()
    _hollow_forward(network, meter, height=height, width_px=width_px, width=width)
    return meter.peak


def _hollow_forward(
    network: nn.Module, meter: AbstractContextManager[Any], *, height: int, width_px: int, width: float
) -> None:
    """Run `network(x, width)` on tensors that have shapes but no values, watched by `meter`."""
    if min(height, width_px) < 1:
        raise InputError(f"cost: the input is at least 1 × 1 pixel; it is {height} × {width_px}.")
    state = list(chain(network.parameters(), network.buffers()))
    like = next(iter(state), torch.empty(0))
    # The mode also takes in tensors that a network keeps as plain attributes, which a move to "meta" would miss.
    with _ONE_AT_A_TIME, torch.no_grad():
        # A copy with stand-ins for parameters and buffers: other threads may be using the network itself, and neither
        # the running statistics of one in training nor what it keeps from one pass for the next is touched.
        mode = FakeTensorMode(allow_non_fake_inputs=True)
        with mode:
            stand_ins: dict[int, Any] = {id(value): _hollow(value) for value in state}
        hollow = copy.deepcopy(network, stand_ins)
        with mode, meter:
            shape = (1, getattr(network, "num_in_ch", 3), height, width_px)
            image = torch.zeros(shape, dtype=like.dtype, device=like.device)
            hollow(image, width)


def _hollow(value: torch.Tensor) -> torch.Tensor:
    empty = torch.empty_like(value, requires_grad=False)
    return nn.Parameter(empty, requires_grad=False) if isinstance(value, nn.Parameter) else empty


class _ConvolutionMeter(TorchDispatchMode):
    """Counts the convolutions that run and the elements they make."""

    def __init__(self) -> None:
        super().__init__()
        self.count = self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket is torch.ops.aten.convolution:
            self.count += 1
            self.elements += result.numel()
        return result


class _PeakMeter(TorchDispatchMode):
    """Adds up the storages that operations make, until Python lets go of them."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        self.peak = max(self.peak, self.live)
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = id(storage)  # one Python object a storage, as long as the storage lives
        if key not in self._known:
            self._known.add(key)
            self.live += storage.nbytes()
            weakref.finalize(storage, self._forget, key, storage.nbytes())

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size
