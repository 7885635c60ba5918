"""Pictures to a GPU and back through page-locked memory, which a GPU reads and writes by itself."""

from __future__ import annotations

import torch
from torch import Tensor

PART = 2**24
"""Bytes that are copied at once: while one part is on its way, the one before is put in its place."""


def to_device(x: Tensor, device: torch.device) -> Tensor:
    """`x` on the device; the host does not wait for it."""
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)


def to_host(x: Tensor) -> Tensor:
    """`x` in main memory; from CUDA through two small page-locked buffers, however large it is."""
    if not x.is_cuda:
        return x.cpu()
    count = PART // x.element_size()
    buffers = [torch.empty(min(count, x.numel()), dtype=x.dtype, pin_memory=True) for _ in range(2)]
    result = torch.empty(x.shape, dtype=x.dtype)
    under_way: tuple[torch.Event, Tensor, Tensor] | None = None
    for number, (part, place) in enumerate(zip(x.reshape(-1).split(count), result.view(-1).split(count), strict=True)):
        buffer = buffers[number % 2][: len(part)]
        buffer.copy_(part, non_blocking=True)
        arrived = torch.cuda.current_stream(x.device).record_event()
        if under_way:
            _put(*under_way)
        under_way = arrived, buffer, place
    if under_way:
        _put(*under_way)
    return result


def _put(arrived: torch.Event, buffer: Tensor, place: Tensor) -> None:
    arrived.synchronize()
    place.copy_(buffer)
