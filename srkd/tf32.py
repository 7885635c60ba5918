"""Whether convolutions in fp32 keep all of its bits: by default NVIDIA's GPUs round their inputs to TF32's 10.

PyTorch has two interfaces to it. From 2.9 on there is `fp32_precision`; once somebody has used it, reading the old
`allow_tf32` is an error. So where there is the new one, the old one is not touched.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

_EXACT, _ROUNDED, _INHERITED = "ieee", "tf32", "none"


def convolutions_round() -> bool:
    """Whether convolutions in fp32 on a CUDA device round to TF32 at this moment."""
    cudnn: Any = torch.backends.cudnn
    return cudnn.conv.fp32_precision == _ROUNDED if hasattr(cudnn, "conv") else cudnn.allow_tf32


@contextmanager
def convolutions(*, tf32: bool) -> Generator[None]:
    """Convolutions in fp32 round to TF32, or do not, inside the `with` block; matrix products stay as they are.

    What they do afterwards is what they did before. Without rounding the CPU's convolutions are exact as well, which
    `torch.backends.fp32_precision` can let round. It is a switch of the process: threads share it.
    """
    with ExitStack() as stack:
        cudnn: Any = torch.backends.cudnn
        mkldnn: Any = torch.backends.mkldnn
        if not hasattr(cudnn, "conv"):  # before PyTorch 2.9
            stack.callback(setattr, cudnn, "allow_tf32", cudnn.allow_tf32)
            cudnn.allow_tf32 = tf32
        else:
            _switch(stack, cudnn, rounds=tf32)
            if not tf32:
                _switch(stack, mkldnn, rounds=False)
        yield


def _switch(stack: ExitStack, backend: Any, *, rounds: bool) -> None:
    """Set what convolutions of a backend do, unless they do it already, and have `stack` undo it."""
    before = backend.conv.fp32_precision
    if (before == _ROUNDED) == rounds and (rounds or before in (_EXACT, _INHERITED)):
        return
    # A value that only comes from above goes on coming from there.
    stack.callback(setattr, backend.conv, "fp32_precision", _INHERITED if before == backend.fp32_precision else before)
    backend.conv.fp32_precision = _ROUNDED if rounds else _EXACT
