"""MATLAB's bicubic `imresize`: the operation that makes the low-resolution images of super-resolution benchmarks.

Cubic convolution with a = -0.5, widened when shrinking (antialiasing), symmetric padding, pixel centres at half
integers. Everything is computed in float64, so the result is exact up to rounding. Other libraries' bicubic resize
(OpenCV, Pillow, `torch.nn.functional.interpolate`) gives other pixels.

Source: R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Transactions on Acoustics, Speech
and Signal Processing, 1981; size, phase and padding rules as MATLAB documents them for `imresize`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from srkd.types import InputError

_KERNEL_WIDTH = 4.0  # support of the cubic, in pixels of the coarser grid
_BAND = 2**17  # pixels, old or new, that are worked on at once: what stays in the processor's cache


def imresize(image: NDArray[Any], *, scale: float | None = None, size: tuple[int, int] | None = None) -> NDArray[Any]:
    """Resize as MATLAB's `imresize(image, scale)` or `imresize(image, size)` does with its defaults.

    Args:
        image: [H, W] or [H, W, C], any H and W from 1 up: uint8, uint16 or floating point of any range.
        scale: factor for both axes; the new size is ceil(H · scale), ceil(W · scale). 0.25 makes ×4 LR images.
        size: the new (height, width) instead; each axis then has its own factor.

    Returns:
        [H', W'] or [H', W', C] of the same dtype: integers rounded (halves up) and clipped, floats neither.

    Raises:
        InputError: both or neither of `scale` and `size`, a value out of range, another dtype or an empty image.
    """
    if image.ndim not in (2, 3) or image.size == 0:
        raise InputError(f"imresize takes an image [H, W] or [H, W, C] that is not empty; it is {list(image.shape)}.")
    if image.dtype.name not in ("uint8", "uint16") and image.dtype.kind != "f":
        raise InputError(f"imresize takes uint8, uint16 or floating-point images, not {image.dtype}.")
    height, width = image.shape[:2]
    (new_height, scale_h), (new_width, scale_w) = _target(height, width, scale, size)
    channels = math.prod(image.shape[2:])
    rows, columns = _weights(height, new_height, scale_h), _weights(width, new_width, scale_w)
    result = np.empty((new_height, new_width, channels), image.dtype)
    step = max(1, int(_BAND / max(new_width, width / scale_h)))
    for top in range(0, new_height, step):
        band = rows[top : top + step]
        count, first, last = band.shape[0], int(band.indices.min()), int(band.indices.max()) + 1
        pixels = band[:, first:last] @ image[first:last].reshape(last - first, width * channels).astype(np.float64)
        # The matrix works on the first axis: bring the columns there, and back once the result is in its final dtype.
        pixels = pixels.reshape(count, width, channels).transpose(1, 0, 2).reshape(width, count * channels)
        pixels = _as_dtype(columns @ pixels, image.dtype)
        result[top : top + count] = pixels.reshape(new_width, count, channels).transpose(1, 0, 2)
    return result.reshape(new_height, new_width, *image.shape[2:])


def mod_crop(image: NDArray[Any], scale: int) -> NDArray[Any]:
    """Cut [H, W, …] at the bottom and right to multiples of `scale`; a view, not a copy.

    Raises:
        InputError: `scale` is below 1, or the image is smaller than it.
    """
    height, width = image.shape[:2]
    if scale < 1 or min(height, width) < scale:
        raise InputError(f"an image of {height} × {width} pixels cannot be cut to a multiple of scale {scale}.")
    return image[: height - height % scale, : width - width % scale]


def _target(
    height: int, width: int, scale: float | None, size: tuple[int, int] | None
) -> tuple[tuple[int, float], tuple[int, float]]:
    """Length and scale of each axis of the result."""
    if (scale is None) == (size is None):
        raise InputError(f"imresize takes either scale or size; they are {scale} and {size}.")
    if size is not None:
        if len(size) != 2 or min(size) < 1:
            raise InputError(f"imresize: size is (height, width), both at least 1; it is {size}.")
        return (size[0], size[0] / height), (size[1], size[1] / width)
    assert scale is not None
    if not (math.isfinite(scale) and scale > 0):
        raise InputError(f"imresize: scale is a finite number above 0; it is {scale}.")
    return (math.ceil(height * scale), scale), (math.ceil(width * scale), scale)


@lru_cache(maxsize=128)
def _weights(length: int, new_length: int, scale: float) -> sparse.csr_array:
    """Sparse matrix [new_length, length] that resamples one axis; its rows sum to 1."""
    shrink = min(scale, 1.0)  # below 1 the kernel is stretched to average over all pixels it replaces
    support = _KERNEL_WIDTH / shrink
    # Centres of the new pixels on the old grid, both counted from 0: pixel i covers [i, i + 1).
    centre = (np.arange(new_length) + 0.5) / scale - 0.5
    first = np.floor(centre - support / 2).astype(np.int64)
    taps = first[:, None] + np.arange(math.ceil(support) + 2)
    weights = _cubic((centre[:, None] - taps) * shrink)
    weights /= weights.sum(axis=1, keepdims=True)
    # Symmetric padding is a reflection that repeats the edge pixel; periodic, so that tiny images work too.
    period = taps % (2 * length)
    columns = np.where(period < length, period, 2 * length - 1 - period)
    rows = np.broadcast_to(np.arange(new_length)[:, None], taps.shape)
    matrix = sparse.coo_array((weights.ravel(), (rows.ravel(), columns.ravel())), shape=(new_length, length)).tocsr()
    matrix.eliminate_zeros()
    return matrix


def _cubic(x: NDArray[Any]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel, a = -0.5."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _as_dtype(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    values += 0.5
    np.clip(values, 0, np.iinfo(dtype).max, out=values)  # the cast then truncates: a floor, as all are positive
    return values.astype(dtype)
