"""Training batches cut on the GPU, from a copy of the cache that stays there.

A patch, whichever way it is turned, is pixel (i, j) ↦ base + i · row + j · column in the flat cache: a mirrored patch
has a negative step, a transposed one has its steps exchanged. So a batch is one gather, and all that travels to the GPU
at an iteration is three numbers a patch.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from srkd.data.cache import PairCache
from srkd.types import Batch, Crop

if TYPE_CHECKING:
    from srkd.data.batches import TrainBatches

_SHARE = 0.5  # of the memory that is free before the first iteration: activations need the rest
_PART = 2**26  # bytes copied at once

Steps = tuple[int, int, int]
"""Where pixel (0, 0) of a patch lies in the flat cache, and the way to the next row and to the next column."""

log = logging.getLogger(__name__)


def fits(cache: PairCache, device: torch.device) -> bool:
    """Whether `device` is a GPU that has room for the cache; the log says which, and where the pairs lie."""
    if device.type != "cuda":
        return False
    needed, free = cache.pixels.nbytes, torch.cuda.mem_get_info(device)[0]
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
        self._pixels = _copied(cache, device)
        # On the device: CUDA divides by a number of the CPU as a multiplication by its inverse, which rounds otherwise.
        self._peak = torch.tensor(255.0, device=device)
        log.info("training data: %.2f GB on %s, where batches are cut", cache.pixels.nbytes / 1e9, device)

    def __getitem__(self, iteration: int) -> Batch:
        """As `TrainBatches`, [B, 3, H, W] in channels-last memory of the device."""
        steps = [self._steps(crop) for crop in self._batches.crops(iteration)]
        side = self._batches.gt_size
        lq = self._patches([lq for lq, _ in steps], side // self._batches.dataset.scale)
        return Batch(lq, self._patches([gt for _, gt in steps], side))

    def _steps(self, crop: Crop) -> tuple[Steps, Steps]:
        start, height, width = self._cache.place(crop.image)
        scale = self._batches.dataset.scale
        side = self._batches.gt_size // scale
        top, left = crop.corner(height, width, side)
        lq = turned(start, width, top, left, side, crop)
        start += height * width * 3
        return lq, turned(start, width * scale, top * scale, left * scale, side * scale, crop)

    def _patches(self, steps: list[Steps], side: int) -> Tensor:
        device = self._pixels.device
        # Blocking, it would wait for all the work that the GPU still has. So few bytes CUDA copies aside at once.
        base, row, column = torch.tensor(steps).to(device, non_blocking=True).T[..., None, None, None]  # [B, 1, 1, 1]
        along = torch.arange(side, device=device)
        places = base + row * along[:, None, None] + column * along[:, None] + torch.arange(3, device=device)
        return self._pixels[places].float().div_(self._peak).permute(0, 3, 1, 2)


def turned(start: int, width: int, top: int, left: int, side: int, crop: Crop) -> Steps:
    """Steps of the patch at (top, left) of an image [·, width, 3] that begins at `start`; `dihedral` of a view."""
    row, column = width * 3, 3
    base = start + top * row + left * column
    if crop.vflip:
        base, row = base + (side - 1) * row, -row
    if crop.hflip:
        base, column = base + (side - 1) * column, -column
    return (base, column, row) if crop.transpose else (base, row, column)


def _copied(cache: PairCache, device: torch.device) -> Tensor:
    pixels = torch.empty(len(cache.pixels), dtype=torch.uint8, device=device)
    for begin in range(0, len(cache.pixels), _PART):  # in parts, as torch takes no read-only array without copying it
        part = cache.pixels[begin : begin + _PART].copy()
        pixels[begin : begin + len(part)] = torch.from_numpy(part)
    return pixels
