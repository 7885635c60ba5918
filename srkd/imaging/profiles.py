"""What a picture's file says beside its pixels: colour profile (ICC) and, outside of JPEG, which way is up (EXIF)."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

KEPT_IN = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
"""Suffixes of the formats that are written with a profile."""

_ORIENTATION = 0x0112
_TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: np.swapaxes(image, 0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(np.swapaxes(image, 0, 1), 2),
    8: np.rot90,
}
_PART = 65_519  # bytes of a profile in one segment of a JPEG


def upright_and_profile(path: Path, image: NDArray[Any]) -> tuple[NDArray[Any], bytes]:
    """`image`, as read from `path`, turned as EXIF says, and its ICC profile.

    A JPEG's decoder and a TIFF's have turned it already. The profile is b"" where there is none, or where it is not of
    these pixels (CMYK has become RGB).
    """
    turn, profile = None, b""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # nothing is decoded here
            with Pillow.open(path) as picture:
                if path.suffix.lower() in (".png", ".webp"):
                    turn = _TURNS.get(picture.getexif().get(_ORIENTATION, 1))
                profile = picture.info.get("icc_profile") or b""
    except (OSError, ValueError, Pillow.DecompressionBombError):  # a kind that Pillow does not know
        pass
    fits = profile[16:20] == (b"GRAY" if image.ndim == 2 else b"RGB ")
    return np.ascontiguousarray(turn(image)) if turn else image, profile if fits else b""


def with_profile(data: bytes, suffix: str, profile: bytes) -> bytes:
    """An encoded PNG or JPEG with a profile put in; without one, or in another format, as it was."""
    if profile and suffix == ".png":
        body = b"iCCPICC Profile\0\0" + zlib.compress(profile)
        chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
        return data[:33] + chunk + data[33:]  # behind the signature and IHDR
    if profile and suffix in (".jpg", ".jpeg"):
        parts = [profile[at : at + _PART] for at in range(0, len(profile), _PART)]
        segments = [
            b"\xff\xe2" + (len(part) + 16).to_bytes(2, "big") + b"ICC_PROFILE\0" + bytes((number, len(parts))) + part
            for number, part in enumerate(parts, 1)
        ]
        at = 4 + int.from_bytes(data[4:6], "big") if data[2:4] == b"\xff\xe0" else 2  # JFIF's own segment comes first
        return data[:at] + b"".join(segments) + data[at:]
    return data
