"""Which part of an image is worth seeing, and how it is shown: cut, enlarged, side by side, errors as colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

RGB8 = NDArray[np.uint8]

# Dark violet over red and orange to pale yellow: lightness rises evenly, so that it reads without colour vision too.
_HEAT = np.array([(0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164)], np.float64)
_HEAT_LEVELS = 64  # more cannot be told apart, and a picture of few colours is small


class Window(NamedTuple):
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int


def best_window(weight: NDArray[np.floating[Any]], size: tuple[int, int], *, align: int = 1) -> Window:
    """The window with the largest sum of `weight` [H, W]; of equal ones the topmost, then the leftmost.

    Args:
        weight: what is worth seeing, at least 0; H and W are multiples of `align`.
        size: height and width wanted; cut to the image and to multiples of `align`.
        align: top and left are multiples of it, so that whole low-resolution pixels are cut.
    """
    height, width = (
        max(min(wanted, there) // align * align, 1) for wanted, there in zip(size, weight.shape, strict=True)
    )
    sums = np.pad(weight.astype(np.float64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    # rounded: equal windows shall be equal whatever the order of the additions was
    row, column = np.unravel_index(np.argmax(np.round(inside[::align, ::align], 6)), inside[::align, ::align].shape)
    return Window(int(row) * align, int(column) * align, height, width)


def cut(image: NDArray[Any], window: Window) -> NDArray[Any]:
    """The pixels [height, width, …] of `image` [H, W, …] inside `window`."""
    return image[window.top : window.top + window.height, window.left : window.left + window.width]


def difference(a: RGB8, b: RGB8) -> NDArray[np.float64]:
    """Mean over the channels of |a - b|, in 8-bit levels: [H, W, 3] twice -> [H, W]."""
    return np.abs(a.astype(np.float64) - b.astype(np.float64)).mean(axis=2)


def heat(errors: NDArray[np.float64], peak: float) -> RGB8:
    """Errors [H, W] as colours [H, W, 3]: dark where there is none, pale yellow from `peak` upwards."""
    level = np.clip(errors / max(peak, 1e-9), 0, 1)
    position = (level * (_HEAT_LEVELS - 1)).round() / (_HEAT_LEVELS - 1) * (len(_HEAT) - 1)
    stops = np.arange(len(_HEAT))
    return (
        np.stack([np.interp(position, stops, _HEAT[:, channel]) for channel in range(3)], -1).round().astype(np.uint8)
    )


def enlarged(image: RGB8, factor: int) -> RGB8:
    """Every pixel repeated `factor` times along both axes."""
    return image.repeat(factor, axis=0).repeat(factor, axis=1)


def side_by_side(images: Sequence[RGB8], *, gap: int = 4) -> RGB8:
    """Images [H, W, 3] of one size in a row, white between them."""
    white = np.full((images[0].shape[0], gap, 3), 255, np.uint8)
    return np.hstack([part for image in images for part in (white, image)][1:])


def captioned(images: Sequence[RGB8], captions: Sequence[str], *, gap: int = 6, text_px: int = 13) -> RGB8:
    """A strip: images of one size in a row, black captions on white under them; lines that are too long are cut."""
    height, width = images[0].shape[:2]
    font = ImageFont.load_default(text_px)
    lines = max(caption.count("\n") + 1 for caption in captions)
    sheet = Image.fromarray(
        np.pad(side_by_side(images, gap=gap), ((0, lines * (text_px + 5) + 4), (0, 0), (0, 0)), constant_values=255)
    )
    draw = ImageDraw.Draw(sheet)
    for number, caption in enumerate(captions):
        for line, text in enumerate(caption.split("\n")):
            while len(text) > 1 and draw.textlength(text, font) > width:
                text = text[:-2] + "…"
            place = (number * (width + gap), height + 4 + line * (text_px + 5))
            draw.text(place, text, fill=(0, 0, 0), font=font)
    return np.asarray(sheet)
