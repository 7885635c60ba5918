"""What a picture's file says beside its pixels: colour profile (ICC) and, outside of JPEG, which way is up (EXIF)."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from srkd.imaging import pillow
from srkd.imaging.decode import image_format
from srkd.imaging.tiff import TURNS, tiff_header
from srkd.types import InputError

KEPT_IN = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
"""Suffixes of the formats that are written with a profile."""

_PART = 65_519  # bytes of a profile in one segment of a JPEG


def upright_and_profile(path: Path, image: NDArray[Any]) -> tuple[NDArray[Any], bytes]:
    """`image`, as read from `path`, turned as EXIF says, and its ICC profile.

    A JPEG's decoder and a TIFF's have turned it already. The profile is b"" where there is none, or where it is not of
    these pixels (CMYK has become RGB).
    """
    turn, profile = None, b""
    try:
        with path.open("rb") as file:
            kind = image_format(file.read(16))
        if kind == "TIFF":
            profile = tiff_header(path, str(path)).profile
        elif kind:
            with pillow.opened(path, str(path), kind) as picture:
                if kind != "JPEG":
                    turn = TURNS.get(picture.getexif().get(pillow.ORIENTATION, 1))
                profile = picture.info.get("icc_profile") or b""
    except (OSError, InputError):  # its pixels were read all the same
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
