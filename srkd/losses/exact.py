"""Losses are computed in fp32 at least, whatever the precision of what they compare."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")


def at_least_fp32(x: Tensor) -> Tensor:
    """`x`, half precision as fp32."""
    return x.float() if x.dtype.itemsize < 4 else x


def exact(loss: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Function decorator: positional tensors come in fp32 at least, and autocast is off inside."""

    @functools.wraps(loss)
    def computed(*args: P.args, **options: P.kwargs) -> Tensor:
        given: tuple[Any, ...] = args
        device = next(value.device.type for value in given if isinstance(value, Tensor))
        with torch.autocast(device, enabled=False):
            cast: Any = tuple(at_least_fp32(value) if isinstance(value, Tensor) else value for value in given)
            return loss(*cast, **options)

    return computed
