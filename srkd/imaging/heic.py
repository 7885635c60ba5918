"""HEIC, the photographs of telephones: read by pillow-heif, which is an extra; 8 bits, or more as 16.

libheif turns them upright as the file says. Pillow would be given more than 8 bits cut to 8, so pixels do not come
through it; size and profile do.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srkd.types import InputError

_KINDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def is_heic(start: bytes) -> bool:
    """Whether a file that begins like this is one, and can be read here."""
    found = start[4:8] == b"ftyp" and start[8:12] in _KINDS and importlib.util.find_spec("pillow_heif") is not None
    if found:
        _library().register_heif_opener()  # Pillow reads size and profile
    return found


def pixels(data: bytes, name: str) -> NDArray[Any]:
    """Grey [H, W], RGB [H, W, 3] or RGBA [H, W, 4], uint8, or uint16 over the whole range.

    Raises:
        InputError: the file is damaged.
    """
    try:
        picture = _library().open_heif(data, convert_hdr_to_8bit=False)
        image = np.asarray(picture)
    except Exception as error:  # whatever libheif comes upon
        raise InputError(f"the image {name} cannot be decoded: {error}.") from error
    if image.dtype == np.uint8:
        return image
    bits = int(picture.info["bit_depth"])  # in the upper bits of 16
    return ((image >> (16 - bits)).astype(np.uint32) * 65_535 // (2**bits - 1)).astype(np.uint16)


def _library() -> Any:
    return importlib.import_module("pillow_heif")
