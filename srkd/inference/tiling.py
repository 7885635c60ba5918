"""Upscaling an image window by window, so that memory does not grow with the image.

With a margin of the network's receptive field the result is that of the whole image: every pixel that is kept sees the
same neighbourhood, and windows end at the image's own border where the network pads with zeros anyway.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

RESIZE_MARGIN = 4
"""Low-resolution pixels that bicubic enlargement sees beyond a window; chroma and alpha go that way."""

APPROXIMATE_MARGIN = 32
"""Margin for a network whose receptive field is unbounded: what is further away matters little, but not nothing."""

SMALLEST_TILE = 16
"""Side in low-resolution pixels below which a window is mostly margin."""


class Span(NamedTuple):
    """One axis of a window: it reads [start, stop) of the image and keeps [first, last)."""

    start: int
    stop: int
    first: int
    last: int


def spans(length: int, tile: int, margin: int) -> list[Span]:
    """Cut an axis into parts of at most `tile`, each read with `margin` on both sides, or up to the border.

    All windows are equally long, which is what makes them fast: near the border they reach further inwards instead.
    """
    count = -(-length // tile)
    kept = list(itertools.pairwise(length * part // count for part in range(count + 1)))
    size = min(max(last - first for first, last in kept) + 2 * margin, length)
    starts = [min(max(first - margin, 0), length - size) for first, _ in kept]
    return [Span(start, start + size, first, last) for start, (first, last) in zip(starts, kept, strict=True)]


def windows(height: int, width: int, tile: int, margin: int) -> Iterator[tuple[Span, Span]]:
    """Every window of an image, row by row: (rows, columns)."""
    for rows in spans(height, tile, margin):
        for columns in spans(width, tile, margin):
            yield rows, columns


def upscale_tiled(
    upscale: Callable[[NDArray[Any]], NDArray[Any]],
    image: NDArray[Any],
    *,
    scale: int,
    tile: int,
    margin: int,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Upscale [h, w, …] in windows of `tile` × `tile` pixels and their margins.

    Args:
        upscale: an image to one `scale` times as large; called with windows of equal size.
        image: any image.
        scale: s.
        tile: low-resolution pixels that one window contributes along each axis, at least 1.
        margin: low-resolution pixels read beyond it.
        out: [s·h, s·w, …] to write into, for example a memory-mapped file; None makes one.
    """
    height, width = image.shape[:2]
    if out is None:
        out = np.empty((height * scale, width * scale, *image.shape[2:]), image.dtype)
    for rows, columns in windows(height, width, tile, margin):
        result = upscale(np.ascontiguousarray(image[rows.start : rows.stop, columns.start : columns.stop]))
        kept = [slice((axis.first - axis.start) * scale, (axis.last - axis.start) * scale) for axis in (rows, columns)]
        out[rows.first * scale : rows.last * scale, columns.first * scale : columns.last * scale] = result[*kept]
    return out
