"""Reading and writing image files: pixels as stored, RGB order, uint8 or uint16, every failure an `InputError`.

A file's first bytes say what it is, not its suffix. Each format has one reader, which decides what its pixels are:

- PNG: OpenCV, which alone of the libraries here gives 16-bit RGB; its pixels are BasicSR's. 8-bit RGB goes to
  kornia_rs, which gives the same pixels 2.5 times as fast; a grey PNG's transparent level is ours, as OpenCV drops it;
- JPEG: OpenCV, whose pixels are BasicSR's, upright as EXIF says; CMYK: Pillow's plain conversion, without a profile;
- TIFF: tifffile, with imagecodecs for LZW, JPEG and other compressions. It alone reads every layout (strips, tiles,
  planes, 1 to 16 bits, BigTIFF); `imaging.tiff` turns its samples into RGB, or refuses them by name;
- PBM, PGM, PPM: Pillow up to 8 bits; above, its header and the values themselves, as Pillow cuts colours to 8 bits;
- HEIC: libheif through pillow-heif, where the extra `heic` is installed (`imaging.heic`);
- WebP, BMP, GIF, AVIF, JPEG 2000: Pillow, which knows palettes, transparency and bit fields; AVIF and JPEG 2000 of more
  than 8 bits: OpenCV, as 16 (`imaging.deep`).

What becomes of the odd kinds:

- palettes: RGB, or RGBA where a colour is transparent; 1-bit images: grey 0 or 255; fewer than 8 bits: scaled to 8;
- grey with alpha, or with a transparent colour: RGBA (the grey replicated); alpha that is multiplied into the colours
  (TIFF calls it associated) is divided out again;
- maxval other than 255 or 65535 (PPM and its kin): scaled to the whole range of 8 or 16 bits;
- EXIF orientation is applied to JPEG and TIFF; other formats keep their pixels as stored (see `imaging.profiles`);
- floating-point, signed and 32-bit files, and layouts without one meaning: refused, naming the layout;
- animations and files of several pages: the first frame, and a warning that says so;
- truncated files: refused. A JPEG damaged in the middle can't be told from a whole one: it carries no checksum.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from srkd.atomic import atomic_path
from srkd.imaging.decode import KNOWN, decode_image
from srkd.imaging.profiles import with_profile
from srkd.imaging.tiff import TIFF_SUFFIXES, write_tiff
from srkd.missing import here, not_there
from srkd.types import InputError

__all__ = [
    "IMAGE_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "check_writable",
    "decode_image",
    "left_out",
    "list_images",
    "read_image",
    "to_rgb8",
    "write_image",
]

IMAGE_SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".j2k", ".webp", ".avif", ".gif", ".bmp", ".dib"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".heic", ".heif"),
)
"""Suffixes that count as images in a folder, lower case: of every format that is read."""

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
    ".pgm": ((1,), (8, 16)),
}
_KIND = {1: "grey", 3: "RGB", 4: "RGBA"}
# The longest side that the encoders take; libpng's and OpenCV's own limit is the last.
_LONGEST = {".webp": 16_383, ".jpg": 65_500, ".jpeg": 65_500, ".png": 1_000_000}

WRITABLE_SUFFIXES = tuple(_WRITABLE)
"""Suffixes that `write_image` takes, lower case."""


def list_images(folder: str | Path) -> list[Path]:
    """Image files directly inside `folder`, sorted by name; hidden files and other suffixes are skipped.

    Raises:
        InputError: the folder does not exist, is a file, or holds no image.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder." if folder.exists() else not_there(folder, wanted=Path.is_dir))
    images = list(filter(_is_image, folder.iterdir()))
    if not images:
        inside = next((name for name in here(folder, Path.is_dir) if here(folder / name, _is_image)), None)
        instead = f"There are some in {folder / inside}: name that." if inside else f"Formats read: {KNOWN}."
        raise InputError(f"{folder} holds no image directly. {instead}")
    return sorted(images)


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and path.is_file()


def left_out(folder: str | Path) -> list[Path]:
    """What lies in `folder` beside its images: other files and folders, but for hidden ones; sorted."""
    images = set(list_images(folder))
    return sorted(path for path in Path(folder).iterdir() if path not in images and not path.name.startswith("."))


def read_image(path: str | Path) -> NDArray[Any]:
    """Read an image as it is stored.

    Returns:
        uint8 or uint16: [H, W] grey, [H, W, 3] RGB or [H, W, 4] RGBA; see the top of this file for odd kinds.

    Raises:
        InputError: the file is missing, unreadable, empty, damaged, no image, too large, or of a kind not supported.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(not_there(path, "the image")) from error
    except OSError as error:
        raise InputError(f"the image {path} cannot be read: {error.strerror}.") from error
    return decode_image(data, str(path))


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

    PNG, TIFF, BMP, PGM, PPM and WebP are lossless (but for the invisible colour of fully transparent WebP pixels); JPEG
    has quality 95.

    Args:
        path: ends in one of `WRITABLE_SUFFIXES`.
        image: uint8 or uint16, [H, W] grey, [H, W, 3] RGB or [H, W, 4] RGBA.
        profile: an ICC profile, which PNG, JPEG and TIFF keep.

    Raises:
        InputError: the suffix is unknown, the format cannot hold this image, or the file cannot be written.
    """
    path = Path(path)
    check_writable(path, image)
    suffix = path.suffix.lower()
    try:
        with atomic_path(path) as temporary:
            if suffix in TIFF_SUFFIXES:
                write_tiff(temporary, image, profile)
            else:
                temporary.write_bytes(with_profile(_encoded(path, image), suffix, profile))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}.") from error


def check_writable(path: str | Path, image: NDArray[Any], *, scale: int = 1) -> None:
    """Whether `write_image` can put an image of this kind and depth, `scale` times as large, into `path`.

    Raises:
        InputError: the suffix is unknown, or its format cannot hold the image.
    """
    path = Path(path)
    _check_image(image, f"writing {path}")
    suffix = path.suffix.lower()
    if suffix not in _WRITABLE:
        allowed = ", ".join(WRITABLE_SUFFIXES)
        raise InputError(f"cannot write {path}: unknown image suffix {suffix!r}; allowed: {allowed}.")
    channels, bits = _WRITABLE[suffix]
    has = 1 if image.ndim == 2 else image.shape[2]
    if has not in channels or image.dtype.itemsize * 8 not in bits:
        allowed = f"{', '.join(_KIND[c] for c in channels)} of {' or '.join(str(b) for b in bits)} bits"
        raise InputError(
            f"cannot write {path}: {suffix} holds {allowed}; "
            f"the image is {_KIND[has]} of {image.dtype.itemsize * 8} bits. PNG holds all kinds."
        )
    height, width = (length * scale for length in image.shape[:2])
    if max(height, width) > _LONGEST.get(suffix, max(height, width)):
        raise InputError(
            f"cannot write {path}: the image is {height}×{width} (height×width), and {suffix} holds up to "
            f"{_LONGEST[suffix]:,} pixels a side. TIFF holds it."
        )


def _encoded(path: Path, image: NDArray[Any]) -> bytes:
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    try:
        ok, data = cv2.imencode(path.suffix.lower(), np.ascontiguousarray(image))
    except cv2.error:
        ok, data = False, np.empty(0, np.uint8)
    if not ok:
        raise InputError(f"cannot write {path}: encoding an image of shape {list(image.shape)} failed.")
    return data.tobytes()


def _check_image(image: NDArray[Any], doing: str) -> None:
    is_image = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))
    if not is_image or image.size == 0 or image.dtype.name not in ("uint8", "uint16"):
        raise InputError(
            f"{doing}: an image is uint8 or uint16, [H, W], [H, W, 3] or [H, W, 4]; "
            f"this one is {image.dtype} {list(image.shape)}."
        )
