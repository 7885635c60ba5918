"""What of a teacher's features is compared, made once on whole training images and cut with the patches.

No network turns its features with its input, so each way in which the training set turns its images has its own: the
image is turned first, and the patch is cut out of what the teacher makes of that. One file an image and orientation,
`FOLDER/<teacher and taps>/<image>.npy`, float16, all taps one behind the other in the last dimension.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srkd.atomic import atomic_path
from srkd.data.batches import PairSource, dihedral
from srkd.data.teacher_cache import Picture, Targets
from srkd.types import Crop, InputError

HALF = np.dtype(np.float16)


class Features(Targets):
    """A teacher's features of all images of a data set, in each orientation.

    Args:
        folder: of this teacher and these taps.
        dataset: says which orientations there are.
        channels: of all taps together.
        limit: what they may take, in GB.
        flat: as in `Targets`.

    Raises:
        InputError: they take more than `limit`.
    """

    suffix = ".npy"

    def __init__(
        self, folder: Path, dataset: PairSource, *, channels: int, limit: float, flat: Path | None = None
    ) -> None:
        flips, turns = (False, True)[: 1 + dataset.use_hflip], (False, True)[: 1 + dataset.use_rot]
        self.ways = [*itertools.product(flips, turns, turns)]  # the first is upright
        images, number = len(dataset), len(self.ways)

        def turned(index: int) -> Any:
            hflip, vflip, transpose = self.ways[index % number]
            upright = dataset.pair(index // number)[0]
            return np.ascontiguousarray(dihedral(upright, hflip=hflip, vflip=vflip, transpose=transpose))

        super().__init__(folder, images * number, turned, scale=1, channels=channels, bits=16, flat=flat)
        if self.num_bytes > limit * 1e9:
            raise InputError(
                f"`teacher_cache: features`: {images} images in {number} orientations, with {channels} channels each, "
                f"take {self.num_bytes / 1e9:,.3g} GB, and `limit` is {limit:g}. Name fewer `taps`, turn the images "
                "less (use_hflip: false is half of it, use_rot: false a quarter), raise the limit, or keep nothing."
            )

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the features."""
        return HALF

    def cut(self, crop: Crop, side: int) -> tuple[int, int, int, Crop]:
        """As of `Targets`: the image is turned already, and the place with it."""
        way = crop.hflip, crop.vflip, crop.transpose
        first = crop.image * len(self.ways)
        height, width = self.size(first)
        top, left = crop.corner(height, width, side)
        top = height - top - side if crop.vflip else top
        left = width - left - side if crop.hflip else left
        top, left = (left, top) if crop.transpose else (top, left)
        return first + self.ways.index(way), top, left, crop._replace(hflip=False, vflip=False, transpose=False)

    def write(self, index: int, picture: NDArray[Any]) -> None:
        """Keep the features of an image."""
        with atomic_path(self.file(index)) as temporary:
            np.save(temporary, picture.astype(HALF), allow_pickle=False)

    def read(self, index: int) -> Picture:
        """What was kept."""
        try:
            return np.load(self.file(index), allow_pickle=False)
        except (EOFError, ValueError) as error:
            raise InputError(f"{self.file(index)} cannot be read ({error}): remove it, and it is made again.") from None
