"""Photographs to measure with: those of a folder, or the four that ship with scikit-image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RGB8 = NDArray[np.uint8]


def photographs(folder: Path | None) -> dict[str, RGB8]:
    """RGB pictures by name."""
    if folder is not None:
        from srkd.imaging.files import list_images, read_image, to_rgb8

        return {path.stem: to_rgb8(read_image(path)) for path in list_images(folder)}
    import skimage.data

    return {name: getattr(skimage.data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")}


def mirrored(picture: RGB8, height: int, width: int) -> RGB8:
    """[height, width, 3]: cut at the bottom and right, or extended there by mirroring, as often as it takes."""
    below, right = (max(want - have, 0) for want, have in zip((height, width), picture.shape, strict=False))
    return np.pad(picture, ((0, below), (0, right), (0, 0)), "symmetric")[:height, :width]


def mosaics(pictures: list[RGB8], count: int, height: int = 1356, width: int = 2040) -> list[RGB8]:
    """`count` pictures of [height, width, 3], each of two by two others."""
    tiles = [mirrored(picture, height // 2, width // 2) for picture in pictures]
    four = [[tiles[(3 * number + place) % len(tiles)] for place in range(4)] for number in range(count)]
    return [np.vstack([np.hstack(row) for row in (f[:2], f[2:])]) for f in four]


def write_pairs(folder: Path, pictures: dict[str, RGB8], scale: int = 4) -> None:
    """PNG files in `folder`/gt, and MATLAB's bicubic reductions in `folder`/lq."""
    from srkd.imaging.files import write_image
    from srkd.imaging.resize import imresize, mod_crop

    for name, picture in pictures.items():
        gt = mod_crop(picture, scale)
        write_image(folder / "gt" / f"{name}.png", gt)
        write_image(folder / "lq" / f"{name}.png", imresize(gt, scale=1 / scale))
