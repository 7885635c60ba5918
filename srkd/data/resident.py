"""Training batches cut on the GPU, from a copy of the cache that stays there.

A patch, whichever way it is turned, is pixel (i, j) ↦ base + i · row + j · column in the flat cache: a mirrored patch
has a negative step, a transposed one has its steps exchanged. So a batch is one gather, and all that travels to the GPU
at an iteration is three numbers a patch.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srkd.data.cache import PairCache
from srkd.data.parcels import Parcel, to_unit
from srkd.types import Batch, Crop

if TYPE_CHECKING:
    from srkd.data.batches import TrainBatches

_SHARE = 0.5  # of the memory that is free before the first iteration: activations need the rest
_PART = 2**26  # bytes copied at once

Steps = tuple[int, int, int]
"""Where pixel (0, 0) of a patch lies in the flat cache, and the way to the next row and to the next column."""

log = logging.getLogger(__name__)


def fits(cache: PairCache, device: torch.device, extra: int = 0) -> bool:
    """Whether `device` is a GPU that has room for the cache and `extra` bytes; the log says where the pairs lie."""
    if device.type != "cuda":
        return False
    needed, free = cache.pixels.nbytes + extra, torch.cuda.mem_get_info(device)[0]
    if needed > _SHARE * free:
        log.info(
            "training data: in main memory, %.2f GB being more than half of the %.2f GB that %s has free",
            needed / 1e9,
            free / 1e9,
            device,
        )
        return False
    return True


class ResidentBatches:
    """The batches of `TrainBatches`, bit for bit, made on a device that holds all pixels.

    Args:
        batches: says which patches an iteration has.
        cache: the decoded pairs of its data set.
        device: where to; any device of torch's.
    """

    def __init__(self, batches: TrainBatches, cache: PairCache, device: torch.device) -> None:
        self._batches, self._cache = batches, cache
        self._pixels = _copied(cache.pixels, device)
        self._targets = {name: _copied(held.load(), device) for name, held in batches.targets.items()}
        log.info("training data: %.2f GB on %s, where batches are cut", cache.pixels.nbytes / 1e9, device)

    def __getitem__(self, iteration: int) -> Batch:
        """As `TrainBatches`, [B, 3, H, W] in channels-last memory of the device."""
        return self.unpack(self.parcel(iteration))

    def parcel(self, iteration: int) -> Parcel:
        """Where the patches lie: `places` [2 + targets, B, 3], see `Steps`, of lq, gt and each target."""
        crops = self._batches.crops(iteration)
        steps = [self._steps(crop) for crop in crops]
        targets = [self._target(name, crops) for name in self._targets]
        places = torch.tensor([[lq for lq, _ in steps], [gt for _, gt in steps], *targets])
        return Parcel({"places": places.pin_memory() if self._pixels.is_cuda else places}, crops)

    def unpack(self, parcel: Parcel) -> Batch:
        """Cut the patches of a parcel; if its tensor is not on the device yet, nothing waits until it is."""
        places = parcel.tensors["places"].to(self._pixels.device, non_blocking=True)
        side = self._batches.gt_size
        lq = self._patches(self._pixels, places[0], side // self._batches.dataset.scale)
        gt = self._patches(self._pixels, places[1], side)
        small, kept = side // self._batches.dataset.scale, self._batches.targets
        targets = {
            name: self._patches(pixels, steps, small * kept[name].scale, kept[name].channels)
            for (name, pixels), steps in zip(self._targets.items(), places[2:], strict=True)
        }
        return Batch(lq, gt, targets, parcel.crops)

    def _target(self, name: str, crops: Sequence[Crop]) -> list[Steps]:
        held, small = self._batches.targets[name], self._batches.gt_size // self._batches.dataset.scale
        steps: list[Steps] = []
        for crop in crops:
            index, top, left, how = held.cut(crop, small)
            place = held.start(index), held.size(index)[1], top, left
            steps.append(turned(*place, small * held.scale, how, held.channels))
        return steps

    def _steps(self, crop: Crop) -> tuple[Steps, Steps]:
        start, height, width = self._cache.place(crop.image)
        scale = self._batches.dataset.scale
        side = self._batches.gt_size // scale
        top, left = crop.corner(height, width, side)
        lq = turned(start, width, top, left, side, crop)
        start += height * width * 3
        return lq, turned(start, width * scale, top * scale, left * scale, side * scale, crop)

    def _patches(self, pixels: Tensor, steps: Tensor, side: int, channels: int = 3) -> Tensor:
        """The patches at `steps` [B, 3] of the flat pixels, [B, C, side, side] in [0, 1]."""
        base, row, column = steps.T[..., None, None, None]  # [B, 1, 1, 1]
        along, colours = (_counted(number, pixels.device) for number in (side, channels))
        places = base + row * along[:, None, None] + column * along[:, None] + colours
        return to_unit(pixels[places]).permute(0, 3, 1, 2)


@functools.cache
def _counted(number: int, device: torch.device) -> Tensor:
    return torch.arange(number, device=device)


def turned(start: int, width: int, top: int, left: int, side: int, crop: Crop, channels: int = 3) -> Steps:
    """Steps of the patch at (top, left) of an image [·, width, C] that begins at `start`; `dihedral` of a view."""
    row, column = width * channels, channels
    base = start + top * row + left * column
    if crop.vflip:
        base, row = base + (side - 1) * row, -row
    if crop.hflip:
        base, column = base + (side - 1) * column, -column
    return (base, column, row) if crop.transpose else (base, row, column)


def _copied(pixels: NDArray[Any], device: torch.device) -> Tensor:
    """A flat array on the device; uint16, of which torch knows little, as int16 of the same bits."""
    pixels = pixels.view(np.int16) if pixels.dtype == np.uint16 else pixels
    copied = torch.empty(len(pixels), dtype=torch.from_numpy(pixels[:0].copy()).dtype, device=device)
    for begin in range(0, len(pixels), _PART):  # in parts, as torch takes no read-only array without copying it
        part = pixels[begin : begin + _PART].copy()
        copied[begin : begin + len(part)] = torch.from_numpy(part)
    return copied
