"""Bytes of an image file to pixels: which format it is, and the reader that `imaging.files` names for it."""

from __future__ import annotations

import logging
import struct
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps

from srkd.imaging import deep, heic, pillow, tiff
from srkd.imaging.pnm import decode_pnm
from srkd.imaging.size import check_pixels
from srkd.missing import not_there
from srkd.types import InputError

try:
    from kornia_rs.io import decode_image_png_u8
except ImportError:  # earlier releases have it elsewhere and with other arguments
    decode_image_png_u8 = None

log = logging.getLogger(__name__)

_PNG = b"\x89PNG\r\n\x1a\n"
_RGB_8_BIT = b"\x08\x02"  # bit depth and colour type in a PNG's header
_MOST_PIXELS = 2**26  # of a PNG for kornia_rs: an allocation that fails is no exception there but a panic
_JPEG = b"\xff\xd8\xff"
_PNM = tuple(f"P{digit}".encode() for digit in range(1, 7))
_FORMATS = {
    _PNG: "PNG",
    _JPEG: "JPEG",
    **dict.fromkeys(tiff.MAGIC, "TIFF"),
    b"GIF8": "GIF",
    b"BM": "BMP",
    **dict.fromkeys((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51"), "JPEG2000"),
}
_NOT_READ = {
    b"P7": "a PAM file",
    **dict.fromkeys((b"PF", b"Pf"), "a floating-point PFM file"),
    b"\x76\x2f\x31\x01": "an OpenEXR file",
    b"#?RADIANCE": "a Radiance HDR file",
    **dict.fromkeys((b"\0\0\0\x0cJXL ", b"\xff\x0a"), "a JPEG XL file"),
    b"%!PS": "a PostScript file",
}

KNOWN = "PNG, JPEG, TIFF, WebP, AVIF, BMP, GIF, JPEG 2000, PBM, PGM, PPM"
"""The formats that are read, for messages."""

_told: set[str] = set()


def decode_image(data: bytes, name: str) -> NDArray[Any]:
    """`read_image` for bytes already in memory; `name` is what errors call them."""
    if not data:
        raise InputError(f"the image {name} is empty (0 bytes).")
    try:
        return _decode(data, name)
    except MemoryError as error:
        raise InputError(f"the image {name} does not fit into the memory that is free.") from error


def image_format(data: bytes) -> str:
    """The format that the first 16 bytes of a file tell, in Pillow's words; empty where srkd reads no such format."""
    if data.startswith(_PNM) and data[2:3].isspace():
        return "PPM"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF"
    if heic.is_heic(data):
        return "HEIF"
    return next((known for magic, known in _FORMATS.items() if data.startswith(magic)), "")


def image_size(path: Path) -> tuple[int, int]:
    """Height and width that `read_image` gives, from the header alone.

    Raises:
        InputError: the file cannot be read, its header is damaged, or the image is too large.
    """
    kind = _format_of_file(path)
    if kind == "TIFF":
        return tiff.tiff_header(path, str(path)).size
    with pillow.opened(path, str(path), kind) as image:
        # Decoding applies the orientation of JPEGs: 5 to 8 swap the axes.
        swapped = kind == "JPEG" and image.getexif().get(pillow.ORIENTATION, 1) >= 5
        return (image.width, image.height) if swapped else (image.height, image.width)


def odd_kind(path: Path) -> str:
    """`palette` or `CMYK` where `read_image` converts such an image, `several frames` where it takes the first.

    Raises:
        InputError: as `image_size`.
    """
    kind = _format_of_file(path)
    if kind == "TIFF":
        header = tiff.tiff_header(path, str(path))
        mode, frames = header.mode, header.pages
    else:
        with pillow.opened(path, str(path), kind) as image:
            mode, frames = image.mode, getattr(image, "n_frames", 1)
    return "several frames" if frames > 1 and kind != "JPEG" else {"P": "palette", "CMYK": "CMYK"}.get(mode, "")


def _format_of_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(16)
    except FileNotFoundError as error:
        raise InputError(not_there(path, "the image")) from error
    except OSError as error:
        raise InputError(f"the image {path} cannot be read: {error.strerror}.") from error
    return image_format(start) or _refuse(start, str(path))


def _refuse(data: bytes, name: str) -> str:
    if not data:
        raise InputError(f"the image {name} is empty (0 bytes).")
    other, extra = next((what for magic, what in _NOT_READ.items() if data.startswith(magic)), ""), ""
    if data[4:8] == b"ftyp":
        other = f"a file of the kind {data[8:12].decode('latin-1')!r} (a video, or HEIC without its reader)"
        extra = ' For HEIC photographs: pip install -e ".[heic]".'
    reason = f"{other}, which srkd does not read; convert it to PNG" if other else "not an image, or damaged"
    raise InputError(f"the image {name} cannot be read: it is {reason}. Formats read: {KNOWN}.{extra}")


def _decode(data: bytes, name: str) -> NDArray[Any]:
    kind = image_format(data) or _refuse(data, name)
    if kind == "PNG":
        return _decode_png(data, name)
    if kind == "JPEG":
        if _check_jpeg_ends(data, name) != 4:
            return _decode_by_opencv(data, cv2.IMREAD_ANYCOLOR, name)  # unlike UNCHANGED it applies the orientation
    elif kind == "TIFF":
        image, pages = tiff.decode_tiff(data, name)
        _tell_of_frames(name, pages, "page")
        return image
    elif kind == "PPM":
        return decode_pnm(data, name)
    elif kind == "HEIF":
        with pillow.opened(data, name, kind) as picture:  # not too large, and its header is whole
            _tell_of_frames(name, getattr(picture, "n_frames", 1), "picture")
        return heic.pixels(data, name)
    with pillow.opened(data, name, kind) as picture:
        _tell_of_frames(name, 1 if kind == "JPEG" else getattr(picture, "n_frames", 1), "frame")
        if kind in ("AVIF", "JPEG2000") and (bits := deep.bits_of(data, kind, name)) > 8:
            return deep.over_the_whole_range(_decode_by_opencv(data, cv2.IMREAD_UNCHANGED, name), bits)
        return pillow.pixels(ImageOps.exif_transpose(picture) if kind == "JPEG" else picture, name)


def _tell_of_frames(name: str, count: int, what: str) -> None:
    if count > 1 and name not in _told:
        _told.add(name)
        log.warning("%s has %d %ss: the first is read, the others are left out.", name, count, what)


def _decode_png(data: bytes, name: str) -> NDArray[Any]:
    chunks = _png_chunks(data, name)
    if b"acTL" in chunks:
        _tell_of_frames(name, int.from_bytes(chunks[b"acTL"][:4], "big"), "frame")
    rgb = _decode_by_kornia(data, chunks)
    if rgb is not None:
        return rgb
    image = _decode_by_opencv(data, cv2.IMREAD_UNCHANGED, name)
    key = chunks.get(b"tRNS", b"")
    if len(key) != 2 or image.ndim != 2:
        return image
    bits, most = data[24], np.iinfo(image.dtype).max  # of a grey PNG with a transparent level
    level = int.from_bytes(key, "big") * most // (2**bits - 1)
    return np.dstack([image, image, image, np.where(image == level, 0, most).astype(image.dtype)])


def _decode_by_kornia(data: bytes, chunks: dict[bytes, bytes]) -> NDArray[np.uint8] | None:
    """An 8-bit RGB PNG without a transparent colour; None for any other, damaged ones included.

    Only in the main thread, which is where loader workers read: kornia_rs holds the interpreter's lock while it
    decodes, so that a pool of threads is faster with OpenCV.
    """
    if decode_image_png_u8 is None or data[24:26] != _RGB_8_BIT or b"tRNS" in chunks:
        return None
    width, height = struct.unpack_from(">II", data, 16)
    if width * height > _MOST_PIXELS or threading.current_thread() is not threading.main_thread():
        return None
    try:
        return decode_image_png_u8(data, (height, width), "rgb")
    except Exception:  # its only kind; what is wrong with the file OpenCV's path says
        return None


def _decode_by_opencv(data: bytes, flags: int, name: str) -> NDArray[Any]:
    try:
        image: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise InputError(f"the image {name} cannot be decoded: {error}") from error
    if image is None:  # that is all OpenCV says
        raise InputError(f"the image {name} cannot be decoded: it is damaged, truncated, or not an image.")
    if image.ndim == 2:
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


def _png_chunks(data: bytes, name: str) -> dict[bytes, bytes]:
    """Hop from chunk to chunk to IEND; the contents of the last of each kind, but for the pixels.

    Decoders may fill what is missing with black and say nothing.
    """
    at = len(_PNG)
    chunks: dict[bytes, bytes] = {}
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        chunks[kind] = b"" if kind == b"IDAT" else data[at + 8 : at + 8 + length]
        at += 12 + length
        if kind == b"IEND" and at <= len(data):
            width, height = struct.unpack_from(">II", data, 16)
            check_pixels(height, width, name)
            return chunks
    raise InputError(f"the image {name} is a truncated PNG: it stops after {len(data)} bytes, before its end mark.")


def _check_jpeg_ends(data: bytes, name: str) -> int:
    """Hop over the header to the compressed data and look for the end mark behind it; returns the channel count.

    The header is skipped because a thumbnail inside it has an end mark too. Bytes that stray between two segments are
    skipped, as decoders do.
    """
    channels = 0
    at = 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 4 <= len(data):
        kind = data[at + 1]
        if kind in (0x00, 0xFF):  # a stray byte, a fill byte
            at += 1
            continue
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC) and at + 9 < len(data):  # a frame header
            height, width = struct.unpack_from(">HH", data, at + 5)
            check_pixels(height or 1, width, name)  # no height yet: it comes behind the pixels, which OpenCV refuses
            channels = data[at + 9]
        if kind == 0xDA and data.rfind(b"\xff\xd9", at) >= 0:  # start of scan
            return channels
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise InputError(f"the image {name} is a damaged or truncated JPEG: its end mark is missing ({len(data)} bytes).")
