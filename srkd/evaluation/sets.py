"""Test sets: folders of images, or names known under the folder of data sets."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from srkd.imaging.files import IMAGE_SUFFIXES, list_images, read_image, to_rgb8
from srkd.types import InputError, did_you_mean

RGB8 = NDArray[np.uint8]

# Each set under every name its folder has in common layouts (papers', BasicSR's, EDSR's), below the data folder.
_KNOWN: dict[str, tuple[str, ...]] = {
    "Set5": ("Set5",),
    "Set14": ("Set14",),
    "B100": ("B100", "BSD100", "BSDS100"),
    "Urban100": ("Urban100",),
    "Manga109": ("Manga109",),
    "DIV2K_valid": ("DIV2K_valid", "DIV2K_valid_HR", "DIV2K/DIV2K_valid_HR", "DIV2K/DIV2K_valid"),
}
_INSIDE = ("HR", "GTmod12")


@dataclass(frozen=True)
class TestSet:
    """Images to evaluate on.

    Attributes:
        name: the word in tables.
        images: the name of each image.
        read: position -> (ground truth, LR image or None where it is to be made), RGB uint8 [H, W, 3]; it raises
            `InputError` where an image cannot be read.
    """

    __test__ = False  # pytest: the name begins with "Test" but this is no test

    name: str
    images: Sequence[str]
    read: Callable[[int], tuple[RGB8, RGB8 | None]]

    def first(self, limit: int | None) -> TestSet:
        """The set cut to its first `limit` images; None: all."""
        return TestSet(self.name, self.images[:limit], self.read)


def find_set(name: str) -> TestSet:
    """The set that is a folder, or has a known name (in any case) below `datasets/`, or below $SRKD_DATASETS.

    A folder holds its images in `HR/`, in `GTmod12/`, or directly.

    Raises:
        InputError: there is no such set; the message says where was looked.
    """
    if Path(name).is_dir():
        return _open(Path(name))
    root = datasets_root()
    known = _known_name(name)
    tried: list[str] = []
    for candidate in _KNOWN[known] if known else (name,):
        tried.append(str(root / candidate))
        folder = _below(root, candidate)
        if folder is not None:
            return _open(folder, name=known)
    raise InputError(
        f"there is no test set {name!r}: it is no folder, nor is there {' or '.join(tried)} (in any case) with images "
        f"in {'/, '.join(_INSIDE)}/ or directly.{did_you_mean(name, _KNOWN)} "
        f"Known names: {', '.join(_KNOWN)}; $SRKD_DATASETS names another folder than datasets/."
    )


def datasets_root() -> Path:
    """The folder of data sets: $SRKD_DATASETS, else `datasets/`."""
    return Path(os.environ.get("SRKD_DATASETS") or "datasets")


def known_sets() -> dict[str, Path]:
    """The known sets that are there, with their folders."""
    root = datasets_root()
    found = {name: _below(root, place) for name, places in _KNOWN.items() for place in reversed(places)}
    return {name: folder for name, folder in found.items() if folder is not None}


def folder_set(folder: Path, name: str) -> TestSet:
    """The images directly inside `folder` as a set.

    Raises:
        InputError: two images differ in their suffix only.
    """
    paths = list_images(folder)
    stems = [path.stem for path in paths]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise InputError(f"{folder} holds several images called {', '.join(twice)}, which differ only in the suffix.")
    return TestSet(name, stems, lambda index: (to_rgb8(read_image(paths[index])), None))


def _open(folder: Path, name: str | None = None) -> TestSet:
    for inside in _INSIDE:
        below = _below(folder, inside)
        if below is not None:
            return folder_set(below, name or _name_of(folder))
    if not any(path.suffix.lower() in IMAGE_SUFFIXES for path in folder.iterdir()):
        raise InputError(f"the test set {folder} has no image, neither in {'/, '.join(_INSIDE)}/ nor directly.")
    return folder_set(folder, name or _name_of(folder))


def _name_of(folder: Path) -> str:
    folder = folder.resolve()
    named = folder.parent if folder.name.lower() in [inside.lower() for inside in _INSIDE] else folder
    return _known_name(named.name) or named.name


def _known_name(name: str) -> str | None:
    for known, places in _KNOWN.items():
        if name.lower() in [known.lower(), *(place.lower() for place in places)]:
            return known
    return None


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
