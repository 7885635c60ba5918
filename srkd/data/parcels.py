"""How training batches travel: small on the way, made into numbers where they are needed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srkd.types import Batch, Crop


@dataclass(frozen=True)
class Parcel:
    """What is sent to the device for one batch.

    Attributes:
        tensors: by name, with the same names and shapes for every batch; in main memory, or already on the device.
        crops: which patches they are.
    """

    tensors: Mapping[str, Tensor]
    crops: Sequence[Crop] = ()

    def map(self, change: Callable[[Tensor], Tensor]) -> Parcel:
        """The parcel with `change` done to each of its tensors."""
        return replace(self, tensors={name: change(tensor) for name, tensor in self.tensors.items()})

    def pin_memory(self) -> Parcel:
        """The parcel in page-locked memory, which PyTorch's data loader asks for."""
        return self.map(lambda tensor: tensor.pin_memory())


class TrainLoader(Iterator[Batch]):
    """Training batches in order. `next` makes them here; `parcel` and `unpack` let them be made elsewhere.

    Args:
        parcels: one for each batch.
        unpack: makes the batch of a parcel where its tensors are.
        why_wait: what to change if a training waits for these batches.
    """

    def __init__(self, parcels: Iterator[Parcel], unpack: Callable[[Parcel], Batch], *, why_wait: str = "") -> None:
        self.parcels, self.unpack, self.why_wait = parcels, unpack, why_wait

    def parcel(self) -> Parcel:
        """What is sent for the next batch."""
        return next(self.parcels)

    def __next__(self) -> Batch:
        return self.unpack(self.parcel())


def to_tensor(images: NDArray[Any]) -> Tensor:
    """uint8 or uint16 images [B, H, W, C] as a tensor [B, C, H, W] of the same bits, uint16 as int16: nothing is moved.

    Torch knows little of uint16.
    """
    writable = np.require(images, requirements="W")  # torch warns about read-only arrays, such as cached ones
    return torch.from_numpy(writable.view(np.int16) if images.dtype == np.uint16 else writable).permute(0, 3, 1, 2)


def to_unit(x: Tensor) -> Tensor:
    """What `to_tensor` gives (or a part of it) → float32 in [0, 1], where it is; features, in float16, as they are."""
    if x.dtype == torch.float16:
        return x.float()
    if x.dtype == torch.int16:
        return (x.int() & 0xFFFF).float().div_(_peak(16, x.device))
    return x.float().div_(_peak(8, x.device))


@functools.cache
def _peak(bits: int, device: torch.device) -> Tensor:
    # On the device: CUDA divides by a number of the CPU as a multiplication by its inverse, which rounds otherwise.
    with torch.inference_mode(False):  # it is kept, and used in training too
        return torch.tensor(2.0**bits - 1, device=device)


def unpacked_images(parcel: Parcel) -> Batch:
    """The batch of a parcel that holds the images themselves: `lq`, `gt`, and the targets by name."""
    images = {name: to_unit(tensor) for name, tensor in parcel.tensors.items()}
    return Batch(images.pop("lq"), images.pop("gt"), images, parcel.crops)
