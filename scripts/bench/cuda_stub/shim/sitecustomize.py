"""Runs before the program, see ../README.md: counters, and stand-ins for what cannot run without cuDNN and values."""

from __future__ import annotations

import atexit
import collections
import contextlib
import ctypes
import importlib.util
import os
import sys
import time
import warnings

import torch

NAMES = [
    *("launches", "captured", "graph_launches", "h2d", "d2h", "d2d", "sync", "memset", "malloc"),
    *("h2d_bytes", "d2h_bytes", "pinned"),
]  # of cudart.c
_library = ctypes.CDLL(os.environ["CUDA_STUB_LIBRARY"])
_layouts = collections.Counter()


def counters() -> dict[str, int]:
    """What has been called so far, and how often a convolution's input had to be brought into another layout."""
    called = {name: ctypes.c_ulong.in_dll(_library, f"stub_{name}").value for name in NAMES}
    return called | {"layout_copies": _layouts["copies"], "layout_bytes": _layouts["bytes"]}


def _like_channels_last(x: torch.Tensor) -> bool:
    """PyTorch's rule, which decides by strides where one channel or one pixel leave both layouts possible."""
    if x.dim() != 4 or x.stride(1) == 0:
        return False
    least = 0
    for axis in (1, 3, 2, 0):
        if x.shape[axis] == 0 or x.stride(axis) < least or (axis == 0 and least == x.stride(1)):
            return False
        least = x.stride(axis) * max(x.shape[axis], 1)
    return True


def _layout(x: torch.Tensor, weight: torch.Tensor) -> torch.memory_format:
    """That of cuDNN's convolutions: channels-last where one of the two is."""
    last = _like_channels_last(x) or _like_channels_last(weight)
    return torch.channels_last if last else torch.contiguous_format


def _laid_out(x: torch.Tensor, layout: torch.memory_format) -> torch.Tensor:
    if x.is_contiguous(memory_format=layout):
        return x
    _layouts["copies"] += 1
    _layouts["bytes"] += x.numel() * x.element_size()
    return x.contiguous(memory_format=layout)


def _new(shape: torch.Size, like: torch.Tensor, layout: torch.memory_format) -> torch.Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=layout).fill_(0)  # one kernel


def _convolution(x, weight, bias, stride, padding, dilation, transposed, output_padding, groups):
    dtypes, places = ({getattr(t, what) for t in (x, weight, bias) if t is not None} for what in ("dtype", "device"))
    if len(dtypes) > 1 or len(places) > 1:
        raise RuntimeError(f"a convolution's input, weight and bias are of {dtypes} on {places}")
    layout = _layout(x, weight)
    x = _laid_out(x, layout)
    sizes = (torch.empty(t.shape, device="meta") for t in (x, weight))
    shape = torch.ops.aten.convolution.default(
        *sizes, None, stride, padding, dilation, transposed, output_padding, groups
    ).shape
    result = _new(shape, x, layout)
    return result if bias is None else result.add_(bias.view(1, -1, 1, 1))


def _convolution_backward(
    gradient, x, weight, bias_sizes, stride, padding, dilation, transposed, output_padding, groups, mask
):
    layout = _layout(x, weight)
    gradient, x = _laid_out(gradient, layout), _laid_out(x, layout)
    return (
        _new(x.shape, x, layout) if mask[0] else None,
        _new(weight.shape, weight, layout) if mask[1] else None,
        gradient.sum((0, 2, 3)) if mask[2] else None,
    )


def _believe(module) -> None:
    """Make srkd believe that losses, weights and pictures are finite: all values are zero, or what was in memory."""
    if module.__name__ == "srkd.engine.finite":
        module.check_weights = lambda *_: None
    elif module.__name__ == "srkd.engine.meter":
        module.LossMeter.check = lambda *_: None
    else:
        look = module.finite

        def looked_at(sr):  # waits for the device, as it does on a GPU
            with contextlib.suppress(module.WorkError):
                look(sr)
            return sr

        module.finite = looked_at


class _Unwatched:
    """Finds the modules that look at values, for `_believe`."""

    def find_spec(self, name, path, target=None):
        if name not in ("srkd.engine.finite", "srkd.engine.meter", "srkd.inference.forward"):
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        sys.meta_path.insert(0, self)
        execute = spec.loader.exec_module
        spec.loader.exec_module = lambda module: (execute(module), _believe(module))
        return spec


torch.cuda_stub = counters
atexit.register(time.sleep, 0.2)  # autograd's device thread has to let go of its last graph while there is Python
warnings.filterwarnings("ignore", message="(?s).*[Oo]verriding a previously registered kernel.*")
torch.cuda_stub_library = torch.library.Library("aten", "IMPL")  # kept: it unregisters when it is collected
torch.cuda_stub_library.impl("convolution", _convolution, "CUDA")
torch.cuda_stub_library.impl("convolution_backward", _convolution_backward, "CUDA")
torch.amp.GradScaler.get_scale = lambda self: 65536.0 if self.is_enabled() else 1.0
sys.meta_path.insert(0, _Unwatched())
