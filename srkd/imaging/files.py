"""Reading and writing image files: pixels as stored, RGB order, uint8 or uint16, every failure an `InputError`.

Decoding is OpenCV's, so pixels equal BasicSR's; plain RGB PNGs are decoded to the same pixels by kornia_rs, which is
2.5 times as fast. What becomes of the odd kinds:

- palette PNG: RGB, or RGBA where the palette has transparency; 1-bit images: grey 0 or 255;
- grey with alpha: RGBA (the grey replicated); a colour key of a grey PNG is dropped;
- EXIF orientation is applied to JPEGs; other formats keep their pixels as stored (see `imaging.profiles`);
- CMYK JPEG and TIFF: RGB by Pillow's plain conversion, without a colour profile; no values are converted by profiles;
- floating-point and 32-bit integer files: refused; animated and multi-page files: the first frame;
- truncated files: refused. A JPEG damaged in the middle can't be told from a whole one: it carries no checksum.
"""

from __future__ import annotations

import io
import struct
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from srkd.atomic import atomic_path
from srkd.imaging.profiles import with_profile
from srkd.types import InputError

try:
    from kornia_rs.io import decode_image_png_u8
except ImportError:  # earlier releases have it elsewhere and with other arguments
    decode_image_png_u8 = None

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm")
"""Suffixes that count as images in a folder, lower case."""

_PNG = b"\x89PNG\r\n\x1a\n"
_RGB_8_BIT = b"\x08\x02"  # bit depth and colour type in a PNG's header
_MOST_PIXELS = 2**26  # of a PNG for kornia_rs: an allocation that fails is no exception there but a panic
_JPEG = b"\xff\xd8\xff"
_TIFF = (b"II*\0", b"MM\0*")

# What each format can hold without loss of depth or alpha: (channels, bits); 1 = grey, 3 = RGB, 4 = RGBA.
_WRITABLE: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    ".png": ((1, 3, 4), (8, 16)),
    ".jpg": ((1, 3), (8,)),
    ".jpeg": ((1, 3), (8,)),
    ".webp": ((3, 4), (8,)),
    ".bmp": ((1, 3), (8,)),
    ".tif": ((1, 3, 4), (8, 16)),
    ".tiff": ((1, 3, 4), (8, 16)),
    ".ppm": ((3,), (8, 16)),
}
_KIND = {1: "grey", 3: "RGB", 4: "RGBA"}


def list_images(folder: str | Path) -> list[Path]:
    """Image files directly inside `folder`, sorted by name; hidden files and other suffixes are skipped.

    Raises:
        InputError: the folder does not exist, is a file, or holds no image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} {'is not a folder' if folder.exists() else 'does not exist'}.")
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    ]
    if not images:
        raise InputError(f"{folder} holds no image; suffixes looked for: {', '.join(IMAGE_SUFFIXES)}.")
    return sorted(images)


def read_image(path: str | Path) -> NDArray[Any]:
    """Read an image as it is stored.

    Returns:
        uint8 or uint16: [H, W] grey, [H, W, 3] RGB or [H, W, 4] RGBA; see the top of this file for odd kinds.

    Raises:
        InputError: the file is missing, unreadable, empty, damaged, no image, or of a kind not supported.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"the image {path} does not exist.") from error
    except OSError as error:
        raise InputError(f"the image {path} cannot be read: {error.strerror}.") from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str) -> NDArray[Any]:
    """`read_image` for bytes already in memory; `name` is what errors call them."""
    if not data:
        raise InputError(f"the image {name} is empty (0 bytes).")
    by_pillow = False
    flags = cv2.IMREAD_UNCHANGED
    if data.startswith(_PNG):
        rgb = _decode_by_kornia(data, _png_chunks(data, name))
        if rgb is not None:
            return rgb
    elif data.startswith(_JPEG):
        by_pillow = _check_jpeg_ends(data, name) == 4
        flags = cv2.IMREAD_ANYCOLOR  # unlike UNCHANGED it applies the EXIF orientation
    elif data.startswith(_TIFF):
        by_pillow = _tiff_mode(data) in ("CMYK", "LA", "PA", "LAB")  # OpenCV misreads these
    image = _decode_by_pillow(data, name) if by_pillow else _decode_by_opencv(data, flags, name)
    if image.dtype.name not in ("uint8", "uint16"):
        raise InputError(f"the image {name} holds {image.dtype} values; only 8-bit and 16-bit images are supported.")
    return image


def to_rgb8(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Any result of `read_image` → uint8 RGB [H, W, 3]: grey replicated, alpha dropped, 16 bits to round(x / 257)."""
    _check_image(image, "to_rgb8")
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    image = image[..., :3]
    if image.dtype == np.uint16:
        image = (image.astype(np.uint32) + 128) // 257  # 257 is odd: no value lies half-way
    return np.ascontiguousarray(image, dtype=np.uint8)


def write_image(path: str | Path, image: NDArray[Any], *, profile: bytes = b"") -> None:
    """Write an image atomically, in the format its suffix names; missing parent folders are created.

    PNG, TIFF, BMP, PPM and WebP are lossless (but for the invisible colour of fully transparent WebP pixels); JPEG has
    quality 95.

    Args:
        path: ends in one of `IMAGE_SUFFIXES`.
        image: uint8 or uint16, [H, W] grey, [H, W, 3] RGB or [H, W, 4] RGBA.
        profile: an ICC profile, which PNG and JPEG keep.

    Raises:
        InputError: the suffix is unknown, the format cannot hold this image, or the file cannot be written.
    """
    path = Path(path)
    check_writable(path, image)
    ok, data = cv2.imencode(path.suffix.lower(), np.ascontiguousarray(_swap_red_and_blue(image)))
    if not ok:
        raise InputError(f"cannot write {path}: encoding an image of shape {list(image.shape)} failed.")
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(with_profile(data.tobytes(), path.suffix.lower(), profile))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}.") from error


def check_writable(path: str | Path, image: NDArray[Any]) -> None:
    """Whether `write_image` can put an image of this kind and depth into `path`.

    Raises:
        InputError: the suffix is unknown, or its format cannot hold the image.
    """
    path = Path(path)
    _check_image(image, f"writing {path}")
    suffix = path.suffix.lower()
    if suffix not in _WRITABLE:
        raise InputError(f"cannot write {path}: unknown image suffix {suffix!r}; allowed: {', '.join(IMAGE_SUFFIXES)}.")
    channels, bits = _WRITABLE[suffix]
    has = 1 if image.ndim == 2 else image.shape[2]
    if has not in channels or image.dtype.itemsize * 8 not in bits:
        allowed = f"{', '.join(_KIND[c] for c in channels)} of {' or '.join(str(b) for b in bits)} bits"
        raise InputError(
            f"cannot write {path}: {suffix} holds {allowed}; "
            f"the image is {_KIND[has]} of {image.dtype.itemsize * 8} bits. PNG holds all kinds."
        )


def _check_image(image: NDArray[Any], doing: str) -> None:
    is_image = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))
    if not is_image or image.size == 0 or image.dtype.name not in ("uint8", "uint16"):
        raise InputError(
            f"{doing}: an image is uint8 or uint16, [H, W], [H, W, 3] or [H, W, 4]; "
            f"this one is {image.dtype} {list(image.shape)}."
        )


def _swap_red_and_blue(image: NDArray[Any]) -> NDArray[Any]:
    if image.ndim == 2:
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB if image.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)


def _decode_by_kornia(data: bytes, chunks: set[bytes]) -> NDArray[np.uint8] | None:
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
    return _swap_red_and_blue(image)


def _decode_by_pillow(data: bytes, name: str) -> NDArray[Any]:
    try:
        with Image.open(io.BytesIO(data)) as image:
            upright = ImageOps.exif_transpose(image)
            return np.asarray(upright.convert("RGBA" if upright.mode in ("LA", "PA") else "RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"the image {name} cannot be decoded: {error}.") from error


def _tiff_mode(data: bytes) -> str:
    """Pillow's word for the kind of pixels, from the header alone; empty where Pillow does not know the kind."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.mode
    except (OSError, ValueError, SyntaxError):
        return ""


def _png_chunks(data: bytes, name: str) -> set[bytes]:
    """Hop from chunk to chunk to IEND. Decoders may fill what is missing with black and say nothing."""
    at = len(_PNG)
    kinds: set[bytes] = set()
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        kinds.add(kind)
        at += 12 + length
        if kind == b"IEND" and at <= len(data):
            return kinds
    raise InputError(f"the image {name} is a truncated PNG: it stops after {len(data)} bytes, before its end mark.")


def _check_jpeg_ends(data: bytes, name: str) -> int:
    """Hop over the header to the compressed data and look for the end mark behind it; returns the channel count.

    The header is skipped because a thumbnail inside it has an end mark too.
    """
    channels = 0
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            break
        kind = data[at + 1]
        if kind == 0xFF:  # fill byte
            at += 1
            continue
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC) and at + 9 < len(data):  # a frame header
            channels = data[at + 9]
        if kind == 0xDA and data.rfind(b"\xff\xd9", at) >= 0:  # start of scan
            return channels
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise InputError(f"the image {name} is a damaged or truncated JPEG: its end mark is missing ({len(data)} bytes).")
