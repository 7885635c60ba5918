"""Images by Pillow: opening them within srkd's limit of pixels, and their pixels as srkd's kinds of arrays."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srkd.imaging.size import check_pixels
from srkd.types import InputError

ORIENTATION = 0x0112
"""The EXIF tag that says which way is up."""

_one_at_a_time = threading.Lock()


@contextmanager
def opened(source: bytes | Path, name: str, kind: str) -> Generator[Image.Image]:
    """An image of the format `kind` (Pillow's word), its header read; what goes wrong within is an `InputError`.

    Raises:
        InputError: the file is damaged or truncated, or has more pixels than srkd reads.
    """
    try:
        with _header_read(io.BytesIO(source) if isinstance(source, bytes) else source, kind) as image:
            check_pixels(image.height, image.width, name)
            yield image
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a damaged file: whatever Pillow's readers come upon
        reason = str(error).rstrip(".") or type(error).__name__
        raise InputError(f"the image {name} cannot be decoded: {reason}.") from error


def _header_read(source: io.BytesIO | Path, kind: str) -> Image.Image:
    """Pillow's own limit of pixels is lifted for a moment: srkd's stands in its place, the same for every format."""
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about truncated files and odd tags, with the class of a plugin as the place
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(source, formats=[kind, "MPO"] if kind == "JPEG" else [kind])
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def pixels(image: Image.Image, name: str) -> NDArray[Any]:
    """The first frame as grey [H, W], RGB [H, W, 3] or RGBA [H, W, 4], uint8 or (grey only) uint16.

    Raises:
        InputError: a mode without a range (`F`, `I`), or of colours that are not RGB's.
    """
    if image.mode == "La":  # grey multiplied by alpha, which Pillow converts to nothing else
        image = image.convert("LA")
    mode = image.mode
    if mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if mode in ("F", "I", "LAB", "HSV"):
        raise InputError(f"the image {name} is of Pillow's mode {mode}, which srkd does not read; convert it to RGB.")
    if mode in ("LA", "PA", "RGBa", "RGBA") or "transparency" in image.info:
        return np.asarray(image.convert("RGBA"))
    return np.asarray(image.convert("L" if mode in ("1", "L") else "RGB"))
