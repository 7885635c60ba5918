"""Training batches: random crops of image pairs, a function of the iteration's number alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from srkd.data.cache import PairCache, Progress
from srkd.data.parcels import Parcel, TrainLoader, to_tensor, to_unit, unpacked_images
from srkd.data.random_degradation import degrade_patch
from srkd.data.resident import ResidentBatches, fits
from srkd.data.sampling import plan
from srkd.data.teacher_cache import Targets
from srkd.data.workers import made_by_workers
from srkd.types import Batch, Crop, InputError

DECODING = (
    "Unless it does so already, let it decode the images once (datasets.train.io_backend: {type: cache}; with a `path` "
    "on a fast disk where memory is short)."
)
LOADER = f"{DECODING[:-1]}, and raise datasets.train.num_worker_per_gpu."
RESIDENT = (
    "Its images are on the GPU already: it waits for this process, which another program may keep from the processor."
)
"""What to change where a training waits for its batches: by how they are made."""

RGB8 = NDArray[np.uint8]
Image = TypeVar("Image", bound=NDArray[Any])


class PairSource(Protocol):
    """What a training data set offers; `PairedImageDataset` is one."""

    scale: int
    gt_size: int | None
    use_hflip: bool
    use_rot: bool

    @property
    def gpu_cache(self) -> PairCache | None:
        """The decoded pairs, once `prepare` has made them, if the training GPU may hold a copy of them."""
        ...

    def __len__(self) -> int: ...

    def pair(self, index: int) -> tuple[RGB8, RGB8]:
        """lq [h, w, 3] and gt [s·h, s·w, 3], RGB uint8, gt at least `gt_size` high and wide."""
        ...

    def prepare(self, progress: Progress | None = None) -> None:
        """Do what should happen once, before worker processes start; `progress` is told (done, in all)."""
        ...


def crop_pair(lq: Image, gt: Image, *, gt_size: int, scale: int, u_top: float, u_left: float) -> tuple[Image, Image]:
    """Cut the same square from both images; views, not copies.

    Args:
        lq: [h, w, …], gt: [s·h, s·w, …].
        gt_size: side of the gt patch; the lq patch's is gt_size / scale.
        u_top, u_left: uniform in [0, 1): every place on the lq grid is equally likely, the first and last included.
    """
    side = gt_size // scale
    top, left = Crop(0, u_top, u_left, False, False, False).corner(lq.shape[0], lq.shape[1], side)
    lq = lq[top : top + side, left : left + side]  # pyright: ignore[reportAssignmentType]
    top, left = top * scale, left * scale
    return lq, gt[top : top + gt_size, left : left + gt_size]  # pyright: ignore[reportReturnType]


def dihedral(image: Image, *, hflip: bool, vflip: bool, transpose: bool) -> Image:
    """Flip and transpose [H, W, …] in BasicSR's order: all eight orientations of a square; a view, not a copy."""
    if hflip:
        image = image[:, ::-1]  # pyright: ignore[reportAssignmentType]
    if vflip:
        image = image[::-1]  # pyright: ignore[reportAssignmentType]
    return image.swapaxes(0, 1) if transpose else image  # pyright: ignore[reportReturnType]


def put_turned(place: RGB8, patch: RGB8, *, hflip: bool, vflip: bool, transpose: bool) -> None:
    """`place[:] = dihedral(patch, …)` for uint8 squares [side, side, 3]; OpenCV moves whole pixels, NumPy bytes."""
    if hflip or vflip:
        code = -1 if hflip and vflip else 1 if hflip else 0
        patch = cv2.flip(patch, code, dst=None if transpose else place)  # pyright: ignore[reportAssignmentType]
    if transpose:
        cv2.transpose(patch, dst=place)
    elif not (hflip or vflip):
        place[:] = patch


def images_to_tensor(images: NDArray[Any]) -> Tensor:
    """uint8 (or uint16) images [B, H, W, C] → float32 [B, C, H, W] in [0, 1], channels-last: nothing is moved."""
    return to_unit(to_tensor(images))


class TrainBatches(Dataset[Batch]):
    """The training batches of one process: `batches[iteration]` is a `Batch`, always the same for an iteration.

    Args:
        dataset: where pairs come from; its `gt_size` must be set.
        seed: decides order, crops and flips.
        batch_size: of this process; the whole batch has batch_size · world_size images.
        rank, world_size: this process among those that share the batch.
        name: what the data are called; network files record it.

    Attributes:
        targets: what teachers make of the images, by the teacher's name; batches hold its patches too.
    """

    def __init__(
        self,
        dataset: PairSource,
        *,
        seed: int,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        name: str | None = None,
    ) -> None:
        if dataset.gt_size is None:
            raise InputError("the training data set has no gt_size: set the side of the patches, for example 192.")
        if batch_size < 1:
            raise InputError(f"the batch size is {batch_size}; it must be at least 1.")
        self.dataset = dataset
        self.gt_size = dataset.gt_size
        self.seed = seed
        self.batch_size = batch_size
        self.rank = rank
        self.world_size = world_size
        self.name = name
        self.targets: dict[str, Targets] = {}

    def __getitem__(self, iteration: int) -> Batch:
        """Float32 lq [B, 3, gt_size / s, gt_size / s] and gt [B, 3, gt_size, gt_size] in [0, 1], and the targets."""
        return unpacked_images(self.parcel(iteration))

    def parcel(self, iteration: int) -> Parcel:
        """The images of a batch as they lie on disk, 8 bits (or 16) a value: a quarter of what the batch takes."""
        data, gt_size, scale = self.dataset, self.gt_size, self.dataset.scale
        lqs = np.empty((self.batch_size, gt_size // scale, gt_size // scale, 3), np.uint8)
        gts = np.empty((self.batch_size, gt_size, gt_size, 3), np.uint8)
        crops = self.crops(iteration)
        for j, crop in enumerate(crops):
            lq, gt = data.pair(crop.image)
            small, large = crop_pair(lq, gt, gt_size=gt_size, scale=scale, u_top=crop.u_top, u_left=crop.u_left)
            if how := getattr(data, "of_patches", None):  # a plugin's data set may know nothing of it
                side = gt_size // scale
                top, left = crop.corner(lq.shape[0], lq.shape[1], side)
                small = degrade_patch(lq, how, top=top, left=left, side=side, u=crop.u_degradation)
            for place, patch in zip((lqs[j], gts[j]), (small, large), strict=True):
                put_turned(place, patch, hflip=crop.hflip, vflip=crop.vflip, transpose=crop.transpose)
        targets = {name: self._target(held, crops) for name, held in self.targets.items()}
        return Parcel({"lq": to_tensor(lqs), "gt": to_tensor(gts), **targets}, crops)

    def _target(self, held: Targets, crops: Sequence[Crop]) -> Tensor:
        """The patches of a teacher's pictures, [B, C, gt_size, gt_size], or of its features, as they are kept."""
        small = self.gt_size // self.dataset.scale
        side = small * held.scale
        patches = np.empty((self.batch_size, side, side, held.channels), held.dtype)
        for place, crop in zip(patches, crops, strict=True):
            index, top, left, how = held.cut(crop, small)
            patch = held.picture(index)[top : top + side, left : left + side]
            place[:] = dihedral(patch, hflip=how.hflip, vflip=how.vflip, transpose=how.transpose)
        return to_tensor(patches)

    def crops(self, iteration: int) -> list[Crop]:
        """What the batch of an iteration is made of."""
        data = self.dataset
        images, u = plan(
            self.seed,
            iteration,
            rank=self.rank,
            world_size=self.world_size,
            batch_size=self.batch_size,
            num_images=len(data),
        )
        return [
            Crop(
                image,
                u_top,
                u_left,
                data.use_hflip and u_h < 0.5,
                data.use_rot and u_v < 0.5,
                data.use_rot and u_t < 0.5,
                u_degradation,
            )
            for image, (u_top, u_left, u_h, u_v, u_t, u_degradation) in zip(
                images.tolist(), u[:, :6].tolist(), strict=True
            )
        ]


def train_loader(
    batches: TrainBatches,
    *,
    start_iter: int,
    total_iter: int,
    num_workers: int,
    device: torch.device,
    progress: Progress | None = None,
) -> TrainLoader:
    """Batches `start_iter` … `total_iter` − 1 in order, made by `num_workers` processes (0: by this one).

    The data set's cache is filled before this returns, so that the workers share it; `progress` is told. If `device`,
    the one that trains, is a GPU with room for the cache, it is copied there, and batches are made there, by this
    process: the same bits, in channels-last memory.

    Raises:
        InputError: as the data set does; from a worker too it arrives here as it was raised.
        WorkError: a worker was killed.
    """
    batches.dataset.prepare(progress)
    cache = batches.dataset.gpu_cache
    extra = sum(held.num_bytes for held in batches.targets.values())
    if cache and fits(cache, device, extra):
        resident = ResidentBatches(batches, cache, device)
        parcels = (resident.parcel(iteration) for iteration in range(start_iter, total_iter))
        return TrainLoader(parcels, resident.unpack, why_wait=RESIDENT)
    numbers, pin_memory = range(start_iter, total_iter), device.type == "cuda"
    parcels = made_by_workers(batches.parcel, numbers, num_workers, pin_memory=pin_memory)
    return TrainLoader(parcels, unpacked_images, why_wait=LOADER if pin_memory else DECODING)
