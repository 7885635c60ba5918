"""Pairs of low- and high-resolution images from folders or LMDBs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from srkd.data.cache import PairCache, Progress, Recipe, in_file, in_memory
from srkd.data.degradation import BICUBIC, Degradation, degrade
from srkd.data.pairing import Pair, find_pairs
from srkd.data.random_degradation import RandomDegradation, degrade_image
from srkd.data.storage import RGB8, StoredImage, first_few, is_lmdb
from srkd.registry import DATASETS
from srkd.types import InputError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class IOBackend:
    """How images reach the batches.

    Attributes:
        type: `cache` decodes everything once; `disk` and `lmdb` decode whole images at every use.
        path: folder of a memory-mapped cache file, shared by all processes of a run and kept for the next run;
            None keeps the cache in this process's memory.
        on_gpu: copy the cache to the training GPU if it takes at most half of the free memory, and cut batches there.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}  # a misspelt key is an error

    type: Literal["disk", "lmdb", "cache"] = "cache"
    path: str | None = None
    on_gpu: bool = True


@DATASETS.register
class PairedImageDataset:
    """Pairs (lq, gt) of images, BasicSR's option names; for training with `gt_size`, without it for validation.

    Pairs are found by stem: `GTmod12/baby.png` with `LRbicx4/baby.png` (BasicSR), `HR/baby.png` with
    `LR_bicubic/X4/babyx4.png` (EDSR); suffixes may differ. A root whose name ends in `.lmdb` is an LMDB as BasicSR's
    scripts write it. Names and sizes are checked at once, from the files' headers.

    Args:
        scale: gt size / lq size.
        dataroot_gt: folder (or LMDB, or a list of either) of high-resolution images. They may be up to scale − 1
            pixels larger than a multiple of the scale; the rest is cut off at the bottom and right.
        dataroot_lq: the low-resolution images, in lists of the same length. None: each is made from the whole gt by
            MATLAB's bicubic, rounded to uint8.
        degradation: how the lq images are made instead, without dataroot_lq: `{type: BD}`, `{type: DN, sigma: 30}`,
            `{type: JPEG, quality: 50}`, see `Degradation`; or, another draw for each patch,
            `{type: random, jpeg: [40, 95], noise: [0, 10], blur: [0, 1.2], p: 0.8}`, see `RandomDegradation`.
        filename_tmpl: stem of the lq file, `{}` being the gt's. Where `{}` finds nothing, `{}x4` is tried by itself,
            and the gt's name with LR for HR or LQ for GT (SelfExSR's `img_001_SRF_4_HR` and `img_001_SRF_4_LR`).
        meta_info_file: its lines (`0001_s001.png (480,480,3)`) choose and order the gt images. With several folders a
            list of as many, null for a folder that is taken whole.
        io_backend: see `IOBackend`.
        gt_size: side of the square gt patches, a multiple of the scale. None: whole images.
        use_hflip: flip half of the patches horizontally.
        use_rot: flip half vertically and transpose half, which makes the rotations.
        small_images: what to do with images smaller than `gt_size`: leave them out, or mirror them at the bottom and
            right until they are large enough.

    Attributes:
        names: stem of every pair.
        skipped: the images left out as too small.
        of_patches: what each low-resolution patch goes through, another draw each time; None: nothing.

    Raises:
        InputError: a folder is missing, an image unpaired or unreadable, sizes are not `scale` apart, all images are
            too small, or options contradict each other.
    """

    def __init__(
        self,
        *,
        scale: int,
        dataroot_gt: str | list[str],
        dataroot_lq: str | list[str] | None = None,
        degradation: Annotated[Degradation | RandomDegradation, Field(discriminator="type")] = BICUBIC,
        filename_tmpl: str = "{}",
        meta_info_file: str | list[str | None] | None = None,
        io_backend: IOBackend = IOBackend(),
        gt_size: int | None = None,
        use_hflip: bool = False,
        use_rot: bool = False,
        small_images: Literal["skip", "pad"] = "skip",
    ) -> None:
        if scale < 1:
            raise InputError(f"scale is {scale}; it must be at least 1.")
        if gt_size is not None and (gt_size < scale or gt_size % scale):
            raise InputError(f"gt_size is {gt_size}; it must be a positive multiple of the scale, {scale}.")
        if dataroot_lq is not None and degradation.type != "BI":
            raise InputError(
                f"degradation {degradation.type} makes the low-resolution images from dataroot_gt: remove it, "
                f"or dataroot_lq ({dataroot_lq})."
            )
        roots_gt = _paths(dataroot_gt)
        roots_lq = None if dataroot_lq is None else _paths(dataroot_lq)
        _check_backend(io_backend, [*roots_gt, *(roots_lq or [])])
        self.scale = scale
        self.gt_size = gt_size
        self.use_hflip = use_hflip
        self.use_rot = use_rot
        self.io_backend = io_backend
        patches = gt_size is not None and isinstance(degradation, RandomDegradation)
        self.of_patches = degradation if patches else None
        self.degradation = BICUBIC if patches else degradation
        pairs = find_pairs(
            roots_gt,
            roots_lq,
            scale=scale,
            filename_tmpl=filename_tmpl,
            meta_info_files=_meta_info_files(meta_info_file, roots_gt),
        )
        self.skipped: list[str] = []
        if gt_size is not None and small_images == "skip":
            pairs = self._skip_small(pairs, gt_size)
        self.names = [pair.name for pair in pairs]
        self._pairs = pairs
        least = gt_size // scale if gt_size is not None else 1
        self._sizes = [(max(pair.size[0], least), max(pair.size[1], least)) for pair in pairs]
        self._cache: PairCache | None = None

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Height and width of every low-resolution image."""
        return self._sizes

    @property
    def gpu_cache(self) -> PairCache | None:
        """The decoded pairs, once `prepare` has made them; None without a cache, or with `on_gpu: false`."""
        return self._cache if self.io_backend.on_gpu and self.of_patches is None else None

    def pair(self, index: int) -> tuple[RGB8, RGB8]:
        """lq [h, w, 3] and gt [s·h, s·w, 3], RGB uint8; from the cache they are read-only views.

        Raises:
            InputError: an image cannot be decoded.
        """
        self.prepare()
        return self._cache.pair(index) if self._cache else self._decode(index)

    def prepare(self, progress: Progress | None = None) -> None:
        """Fill the cache, once, if there is one to fill; `pair` does it too, but only this can show progress.

        Args:
            progress: called with (pairs done, pairs in all) while images are decoded.

        Raises:
            InputError: an image cannot be decoded, or the cache does not fit.
        """
        if self.io_backend.type != "cache" or self._cache is not None:
            return
        made = "" if self.degradation.type == "BI" else str(self.degradation)
        recipe = Recipe(
            names=[f"{pair.gt.where} {pair.lq.where if pair.lq else made}".rstrip() for pair in self._pairs],
            identity=[[pair.gt.identity(), pair.lq.identity() if pair.lq else None] for pair in self._pairs],
            sizes=self._sizes,
            scale=self.scale,
            decode=self._decode,
        )
        path = self.io_backend.path
        self._cache = (
            in_memory(recipe, progress) if path is None else in_file(recipe, Path(path).expanduser(), progress)
        )

    def _decode(self, index: int) -> tuple[RGB8, RGB8]:
        pair, scale = self._pairs[index], self.scale
        height, width = pair.size
        gt = _read(pair.gt)[: height * scale, : width * scale]
        lq = _read(pair.lq) if pair.lq else self._reduced(gt, pair.name)
        padded_height, padded_width = self._sizes[index]
        below, right = padded_height - height, padded_width - width
        return _mirror(lq, below, right), _mirror(gt, below * scale, right * scale)

    def _reduced(self, gt: RGB8, name: str) -> RGB8:
        make = degrade_image if isinstance(self.degradation, RandomDegradation) else degrade
        return make(gt, self.degradation, scale=self.scale, name=name)  # pyright: ignore[reportArgumentType]

    def _skip_small(self, pairs: list[Pair], gt_size: int) -> list[Pair]:
        large = [pair for pair in pairs if min(pair.size) * self.scale >= gt_size]
        self.skipped = [pair.name for pair in pairs if min(pair.size) * self.scale < gt_size]
        if not large:
            raise InputError(
                f"all {len(pairs)} images are smaller than gt_size {gt_size}: {first_few(self.skipped)}. "
                "Lower gt_size, or set small_images: pad."
            )
        if self.skipped:
            log.warning(
                "%d of %d images are smaller than gt_size %d and left out: %s",
                len(self.skipped),
                len(pairs),
                gt_size,
                first_few(self.skipped),
            )
        return large


def _paths(roots: str | list[str]) -> list[Path]:
    return [Path(root).expanduser() for root in ([roots] if isinstance(roots, str) else roots)]


def _meta_info_files(given: str | list[str | None] | None, roots: list[Path]) -> list[Path | None]:
    """One file, or None, for each root."""
    files = given if isinstance(given, list) else [given] if given is not None else [None] * len(roots)
    if len(files) != len(roots):
        raise InputError(
            f"meta_info_file names {len(files)} file(s) and dataroot_gt {len(roots)} folder(s): a list of folders "
            "takes a list of as many files, with null for a folder whose images are all wanted."
        )
    return [None if file is None else Path(file).expanduser() for file in files]


def _check_backend(backend: IOBackend, roots: list[Path]) -> None:
    if backend.path is not None and backend.type != "cache":
        raise InputError(f"io_backend.path belongs to type: cache; the type is {backend.type}.")
    folders = [str(root) for root in roots if not is_lmdb(root)]
    if backend.type == "lmdb" and folders:
        raise InputError(f"io_backend has type: lmdb, but {folders[0]} does not end in .lmdb; set type: disk or cache.")


def _read(stored: StoredImage) -> RGB8:
    image = stored.read()
    if image.shape[:2] != stored.size():
        raise InputError(
            f"{stored.where} decodes to {image.shape[0]}×{image.shape[1]} (height×width), "
            f"but its header or meta information says {stored.size()[0]}×{stored.size()[1]}."
        )
    return image


def _mirror(image: RGB8, below: int, right: int) -> RGB8:
    """Extend at the bottom and right by mirroring, the edge pixel repeated.

    Without repeating it the mirror would stand in the middle of the edge pixel, which is another place in lq than in
    gt, and the pair would no longer be aligned.
    """
    if not below and not right:
        return image
    return np.pad(image, ((0, below), (0, right), (0, 0)), mode="symmetric")
