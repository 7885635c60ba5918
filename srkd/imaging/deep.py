"""AVIF and JPEG 2000 of more than 8 bits: which files are, as Pillow cuts their colours to 8 and does not say so."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srkd.types import InputError

_SRGB, _GREY = 16, 17
"""JPEG 2000's numbers of the colours that need no conversion."""


def bits_of(data: bytes, kind: str, name: str) -> int:
    """Bits of a sample of an AVIF or JPEG 2000 file.

    Raises:
        InputError: it has more than 8, and signed values or colours that are not RGB's; its components differ.
    """
    return _of_avif(data) if kind == "AVIF" else _of_jpeg2000(data, name)


def over_the_whole_range(image: NDArray[Any], bits: int) -> NDArray[np.uint16]:
    """Levels of 0 to 2^bits - 1 as levels of 16 bits."""
    return (image.astype(np.uint32) * 65_535 // (2**bits - 1)).astype(np.uint16)


def _of_avif(data: bytes) -> int:
    """From the decoder's configuration: https://aomediacodec.github.io/av1-isobmff/, `av1C`."""
    at = data.find(b"av1C") + 6
    flags = data[at] if 6 <= at < len(data) else 0
    return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10


def _of_jpeg2000(data: bytes, name: str) -> int:
    """From the first marker of the code stream, SIZ (ITU-T T.800, A.5.1), and the `colr` box around it."""
    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0 or at + 42 > len(data):
        return 8  # damaged: its reader says so
    (count,) = struct.unpack_from(">H", data, at + 40)
    sizes = set(data[at + 42 : at + 42 + 3 * count : 3])
    deep = [size for size in sizes if size & 0x7F > 7]
    if not deep:
        return 8
    colour = data.find(b"colr", 0, at)
    known = (
        colour < 0 or data[colour + 4] != 1 or int.from_bytes(data[colour + 7 : colour + 11], "big") in (_SRGB, _GREY)
    )
    if len(sizes) > 1 or deep[0] & 0x80 or count not in (1, 3, 4) or not known:
        raise InputError(
            f"the image {name} is a JPEG 2000 of {(deep[0] & 0x7F) + 1} bits whose values are signed, of different "
            "depths, or of colours other than grey and RGB, which srkd does not read; convert it to PNG."
        )
    return deep[0] + 1
