"""Test sets: folders of images, or names known under the folder of data sets."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from srkd.imaging.files import IMAGE_SUFFIXES, list_images, read_image, to_rgb8
from srkd.missing import here
from srkd.types import InputError, did_you_mean

UInt8 = NDArray[np.uint8]

# Each set under every name its folder has in common layouts (papers', BasicSR's, EDSR's), below the data folder.
_KNOWN: dict[str, tuple[str, ...]] = {
    "Set5": ("Set5",),
    "Set14": ("Set14",),
    "B100": ("B100", "BSD100", "BSDS100"),
    "Urban100": ("Urban100",),
    "Manga109": ("Manga109",),
    "DIV2K_valid": ("DIV2K_valid", "DIV2K_valid_HR", "DIV2K/DIV2K_valid_HR", "DIV2K/DIV2K_valid"),
}
_USUAL_SIZES = {"Set5": 5, "Set14": 14, "B100": 100, "Urban100": 100, "Manga109": 109, "DIV2K_valid": 100}
_INSIDE = ("HR", "GTmod12")
_BELOW = ("", "benchmark/")  # EDSR's archive unpacks to benchmark/


@dataclass(frozen=True)
class TestSet:
    """Images to evaluate on.

    Attributes:
        name: the word in tables.
        images: the name of each image.
        read: position -> (ground truth, LR image or None where it is to be made), uint8: RGB [H, W, 3], the ground
            truth of a grey file [H, W]; it raises `InputError` where an image cannot be read.
        origin: the folder, or whatever says where the images are from.
        stamp: another text where names, sizes or times of the files change; empty: unknown.
    """

    __test__ = False  # pytest: the name begins with "Test" but this is no test

    name: str
    images: Sequence[str]
    read: Callable[[int], tuple[UInt8, UInt8 | None]]
    origin: str = ""
    stamp: str = ""

    def first(self, limit: int | None) -> TestSet:
        """The set cut to its first `limit` images; None: all."""
        return replace(self, images=self.images[:limit])


def find_set(name: str, *, given_lr: int | None = None) -> TestSet:
    """The set that is a folder, or has a known name (in any case) below `datasets/`, or below $SRKD_DATASETS.

    A folder holds its images in `HR/`, in `GTmod12/`, or directly.

    Args:
        name: folder or known name.
        given_lr: a scale: take the LR images that lie beside, in `LRbicx4/` or `LR_bicubic/X4/`; None: they are made.

    Raises:
        InputError: there is no such set, or it has no LR images; the message says where was looked.
    """
    if Path(name).is_dir():
        return _open(Path(name), given_lr)
    root = datasets_root()
    known = _known_name(name)
    places = _KNOWN[known] if known else (name,)
    if folder := _found(root, places):
        return _open(folder, given_lr, name=known)
    tried = " or ".join(str(root / place) for place in places)
    raise InputError(
        f"there is no test set {name!r}: it is no folder, nor is there {tried} (in any case) with images "
        f"in {'/, '.join(_INSIDE)}/ or directly.{did_you_mean(name, (*_KNOWN, *here(Path(), Path.is_dir)))} "
        f"Known names: {', '.join(_KNOWN)}; $SRKD_DATASETS names another folder than datasets/."
    )


def datasets_root() -> Path:
    """The folder of data sets: $SRKD_DATASETS, else `datasets/`."""
    return Path(os.environ.get("SRKD_DATASETS") or "datasets")


def known_sets() -> dict[str, Path]:
    """The known sets that are there, with their folders."""
    root = datasets_root()
    return {name: folder for name, places in _KNOWN.items() if (folder := _found(root, places))}


def usual_size(name: str) -> int | None:
    """How many images the set of that name has in papers; None where it is no known set."""
    return _USUAL_SIZES.get(name)


def folder_set(folder: Path, name: str, *, lr: Mapping[str, Path] | None = None) -> TestSet:
    """The images directly inside `folder` as a set; `lr` has the file of each LR image by name, where they are given.

    Raises:
        InputError: two images differ in their suffix only.
    """
    paths = list_images(folder)
    stems = [path.stem for path in paths]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise InputError(f"{folder} holds several images called {', '.join(twice)}, which differ only in the suffix.")
    files = [*paths, *(lr[stem] for stem in stems)] if lr else paths
    stamp = hashlib.sha256(repr([_state(path) for path in files]).encode()).hexdigest()[:16]

    def read(index: int) -> tuple[UInt8, UInt8 | None]:
        gt = read_image(paths[index])
        rgb = to_rgb8(gt)
        grey = gt.ndim == 2 or (gt.shape[2] == 4 and not np.ptp(rgb, axis=2).any())  # grey with alpha is read as RGBA
        return rgb[..., 0] if grey else rgb, to_rgb8(read_image(lr[stems[index]])) if lr else None

    return TestSet(name, stems, read, str(folder), stamp)


def _state(path: Path) -> tuple[str, int, int]:
    state = path.stat()
    return path.name, state.st_size, state.st_mtime_ns


def _open(folder: Path, given_lr: int | None, name: str | None = None) -> TestSet:
    real, inside = folder.resolve(), [part.lower() for part in _INSIDE]
    named = (real.parent if real.name.lower() in inside else real).name
    name = name or _known_name(named) or named
    around = real.parent if folder.name.lower() in inside else folder
    images = next((below for inside in _INSIDE if (below := _below(folder, inside)) is not None), folder)
    if images == folder and not any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir()):
        raise InputError(f"the test set {folder} has no image, neither in {'/, '.join(_INSIDE)}/ nor directly.")
    found = folder_set(images, name)
    return found if given_lr is None else folder_set(images, name, lr=_lr_files(around, found.images, given_lr))


def _lr_files(folder: Path, names: Sequence[str], scale: int) -> dict[str, Path]:
    """The LR image of each name, called like it or with x4 behind, as in BasicSR's and EDSR's folders."""
    places = (f"LRbicx{scale}", f"LR_bicubic/X{scale}")
    below = next((found for place in places if (found := _below(folder, place)) is not None), None)
    if below is None:
        raise InputError(f"{folder} has no LR images of scale {scale}: neither {' nor '.join(places)} is there.")
    by_stem = {path.stem: path for path in list_images(below)}
    files = {name: by_stem.get(name) or by_stem.get(f"{name}x{scale}") for name in names}
    missing = [name for name, path in files.items() if path is None]
    if missing:
        raise InputError(f"{below} has no LR image of {', '.join(missing)} (called so, or with x{scale} behind).")
    return {name: path for name, path in files.items() if path is not None}


def _known_name(name: str) -> str | None:
    spelled = {spelling.lower(): known for known, places in _KNOWN.items() for spelling in (known, *places)}
    return spelled.get(name.lower())


def _found(root: Path, places: Sequence[str]) -> Path | None:
    """The first of some places that is there, below the folder of data sets."""
    folders = (_below(root, below + place) for place in places for below in _BELOW)
    return next((folder for folder in folders if folder), None)


def _below(root: Path, place: str) -> Path | None:
    """The folder `place` below `root` in any case; None where it is not there."""
    folder = root
    for part in place.split("/"):
        children = sorted(folder.iterdir()) if folder.is_dir() else []
        matching = [child for child in children if child.is_dir() and child.name.lower() == part.lower()]
        if not matching:
            return None
        folder = next((child for child in matching if child.name == part), matching[0])
    return folder
