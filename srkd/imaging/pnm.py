"""PBM, PGM and PPM: Pillow reads headers, bitmaps and a maxval of 255; values of any other maxval are scaled here.

Pillow scales them too, one by one in Python, and colours to 8 bits only.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srkd.imaging.pillow import opened, pixels
from srkd.types import InputError


def decode_pnm(data: bytes, name: str) -> NDArray[Any]:
    """uint8 for a maxval up to 255, else uint16; every maxval is scaled to the whole range, rounded.

    Raises:
        InputError: the file is damaged or truncated, or a value is above its maxval.
    """
    with opened(data, name, "PPM") as image:
        decoder, _, offset, arguments = image.tile[0]  # pyright: ignore[reportAttributeAccessIssue]
        maxval = arguments[1] if isinstance(arguments, tuple) else 65_535 if image.mode == "I" else 255
        if maxval == 255:
            return pixels(image, name)
        shape = (image.height, image.width, 3) if image.mode == "RGB" else (image.height, image.width)
        count = math.prod(shape)
        if decoder == "ppm_plain":
            text = re.sub(rb"#[^\r\n]*", b"", data[offset:])
            values = np.array([int(token) for token in text.split()], np.int64)
        else:
            kind = np.dtype(">u2" if maxval > 255 else np.uint8)
            values = np.frombuffer(data, kind, min(count, (len(data) - offset) // kind.itemsize), offset)
        if len(values) < count:
            raise InputError(f"the image {name} is truncated: it has {len(values):,} of {count:,} values.")
        values = values[:count].reshape(shape)
        if values.max() > maxval or values.min() < 0:
            raise InputError(f"the image {name} has values outside of its range, 0 to {maxval}.")
        if maxval == 65_535:
            return values.astype(np.uint16)
        kind = np.uint16 if maxval > 255 else np.uint8
        return np.rint(values / maxval * np.iinfo(kind).max).astype(kind)
