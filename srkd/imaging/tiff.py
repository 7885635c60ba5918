"""TIFF by tifffile: its samples to grey, RGB or RGBA, or a refusal that names the layout.

tifffile undoes tiles, planes, compression, predictors and byte orders; what the samples mean, TIFF's tags say:
photometric interpretation, extra samples (alpha), palette, orientation. Source: TIFF 6.0 and Adobe's supplements.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image
from tifffile import COMPRESSION, EXTRASAMPLE, PHOTOMETRIC, PLANARCONFIG, SAMPLEFORMAT, TiffFile, TiffPage

from srkd.imaging.pillow import opened, pixels
from srkd.imaging.size import check_pixels
from srkd.types import InputError

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""What TIFF files begin with; the last two are BigTIFF's."""

TIFF_SUFFIXES = (".tif", ".tiff")

TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: np.fliplr,
    3: lambda image: np.rot90(image, 2),
    4: np.flipud,
    5: lambda image: np.swapaxes(image, 0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: np.rot90(np.swapaxes(image, 0, 1), 2),
    8: np.rot90,
}
"""What stands each EXIF orientation but 1 upright."""

_MODES: dict[int, str] = {PHOTOMETRIC.PALETTE: "P", PHOTOMETRIC.SEPARATED: "CMYK"}
_COLOURS: dict[int, int] = {
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.PALETTE: 1,
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.SEPARATED: 4,
    PHOTOMETRIC.YCBCR: 3,
}
"""Samples that are colours, by the photometric interpretations that are read; what follows is alpha."""


_USUAL = ((299, 1000, 587, 1000, 114, 1000), (0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1))


class Header(NamedTuple):
    """What a file's first page says: height and width as the pixels come, Pillow's mode (`P`, `CMYK` or nothing)."""

    size: tuple[int, int]
    mode: str
    pages: int
    profile: bytes


def tiff_header(source: Path | bytes, name: str) -> Header:
    """The header of a TIFF.

    Raises:
        InputError: it is damaged, or the image has more pixels than srkd reads.
    """
    with _first_page(source, name) as (page, pages):
        height, width = page.imagelength, page.imagewidth
        size = (width, height) if _orientation(page) >= 5 else (height, width)
        return Header(size, _MODES.get(page.photometric, ""), pages, page.iccprofile or b"")


def decode_tiff(data: bytes, name: str) -> tuple[NDArray[Any], int]:
    """The first page, [H, W], [H, W, 3] or [H, W, 4] of uint8 or uint16, and how many pages there are.

    Raises:
        InputError: the file is damaged or truncated, or its layout is not read; the message names it.
    """
    with _first_page(data, name) as (page, pages):
        _check_layout(page, name)
        if page.photometric == PHOTOMETRIC.YCBCR and page.compression != COMPRESSION.JPEG:
            with opened(data, name, "TIFF") as picture:  # JPEG's are RGB by tifffile; others by libtiff
                return pixels(picture, name), pages
        image = _meant(page, _samples(page, name), name)
        return np.ascontiguousarray(TURNS.get(_orientation(page), np.asarray)(image)), pages


def write_tiff(path: Path, image: NDArray[Any], profile: bytes) -> None:
    """Write uint8 or uint16, [H, W], [H, W, 3] or [H, W, 4] with alpha, LZW with differences."""
    tifffile.imwrite(path, image, compression="lzw", predictor=True, **writing_options(image.shape, profile))


def writing_options(shape: tuple[int, ...], profile: bytes) -> dict[str, Any]:
    """What tifffile is told about an image of this shape, whose fourth channel is alpha beside the colours."""
    return {
        "photometric": "minisblack" if len(shape) == 2 else "rgb",
        "planarconfig": None if len(shape) == 2 else "contig",
        "extrasamples": ("unassalpha",) if shape[2:] == (4,) else None,
        "metadata": None,
        "iccprofile": profile or None,
    }


@contextmanager
def _first_page(source: Path | bytes, name: str) -> Generator[tuple[TiffPage, int]]:
    """The first page, and the number of pages that are no thumbnails or masks; errors within are `InputError`."""
    try:
        with TiffFile(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
            page = file.pages.first
            check_pixels(page.imagelength, page.imagewidth, name)
            pages = [page, *(other.aspage() for other in file.pages[1:])]
            yield page, sum(not (other.is_reduced or other.is_mask) for other in pages) or 1
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a damaged file: struct.error, KeyError, whatever the codecs raise
        reason = str(error).rstrip(".") or type(error).__name__
        raise InputError(f"the image {name} cannot be decoded: {reason}.") from error


def _check_layout(page: TiffPage, name: str) -> None:
    """Refuse what would have to be guessed."""
    kind = page.photometric
    if kind not in _COLOURS or page.sampleformat != SAMPLEFORMAT.UINT or page.imagedepth != 1 or page.is_reduced:
        raise _unknown(page, name)
    extra = page.samplesperpixel - _COLOURS[kind]
    if extra not in ((0,) if kind in (PHOTOMETRIC.SEPARATED, PHOTOMETRIC.YCBCR) else (0, 1)):
        raise _unknown(page, name)
    if kind == PHOTOMETRIC.YCBCR:
        plain = page.compression == COMPRESSION.JPEG or (page.subsampling in (None, (1, 1)) and not _other_range(page))
        clear = page.bitspersample == 8 and page.planarconfig == PLANARCONFIG.CONTIG and plain
    elif kind == PHOTOMETRIC.SEPARATED:
        clear = page.bitspersample in (8, 16) and page.tags.valueof("InkSet", 1) == 1
    elif extra:
        weighted = EXTRASAMPLE.ASSOCALPHA in page.extrasamples and kind == PHOTOMETRIC.MINISWHITE
        clear = page.bitspersample in ((8,) if kind == PHOTOMETRIC.PALETTE else (8, 16)) and not weighted
    else:
        clear = page.bitspersample in ((8, 16) if kind == PHOTOMETRIC.RGB else (1, 2, 4, 8, 16))
    if not clear:
        raise _unknown(page, name)


def _other_range(page: TiffPage) -> bool:
    """Whether YCbCr has another matrix or range than JPEG's, which is the one that Pillow assumes."""
    found = [page.tags.valueof(tag) for tag in ("YCbCrCoefficients", "ReferenceBlackWhite")]
    return any(value not in (None, usual) for value, usual in zip(found, _USUAL, strict=True))


def _unknown(page: TiffPage, name: str) -> InputError:
    return InputError(
        f"the image {name} is a TIFF of a layout that srkd does not read: {_layout(page)}. Read are grey, RGB and "
        "palettes, with or without alpha, and CMYK, of whole numbers of 8 or 16 bits (grey and palettes also of 1, 2, "
        "4). Convert it to one of these, or to PNG."
    )


def _layout(page: TiffPage) -> str:
    def named(tag: Any) -> str:
        return str(getattr(tag, "name", tag)).lower()

    kind = {SAMPLEFORMAT.UINT: "unsigned", SAMPLEFORMAT.INT: "signed", SAMPLEFORMAT.IEEEFP: "floating-point"}
    return (
        f"{page.bitspersample}-bit {kind.get(SAMPLEFORMAT(page.sampleformat), named(page.sampleformat))} values, "
        f"photometric {named(page.photometric)}, {page.samplesperpixel} samples a pixel (extra: "
        f"{', '.join(map(named, page.extrasamples)) or 'none'}), subsampling {page.subsampling or 'none'}, depth "
        f"{page.imagedepth}, planes {named(page.planarconfig)}, compression {named(page.compression)}"
        f"{', a thumbnail as first page' if page.is_reduced else ''}"
    )


def _samples(page: TiffPage, name: str) -> NDArray[Any]:
    """[H, W, samples] as stored."""
    if 0 in page.databytecounts:  # tifffile would fill them with zeros
        raise InputError(f"the image {name} is damaged: some of its strips or tiles are missing.")
    values = page.asarray()
    if page.axes == "SYX":
        values = values.transpose(1, 2, 0)
    return values.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)


def _meant(page: TiffPage, values: NDArray[Any], name: str) -> NDArray[Any]:
    photometric, bits = page.photometric, page.bitspersample
    colours = _COLOURS[PHOTOMETRIC(photometric)]
    colour, alpha = values[..., :colours], values[..., colours:]
    if photometric == PHOTOMETRIC.PALETTE:
        colour = _looked_up(page, colour, name)
    elif photometric == PHOTOMETRIC.SEPARATED:
        eight = colour if bits == 8 else (colour >> 8).astype(np.uint8)  # as Pillow does
        return np.asarray(Image.fromarray(np.ascontiguousarray(eight), "CMYK").convert("RGB"))
    elif bits < 8:
        colour = colour.astype(np.uint8) * np.uint8(255 // (2**bits - 1))
    if photometric == PHOTOMETRIC.MINISWHITE:
        colour = np.iinfo(colour.dtype).max - colour
    if not alpha.shape[2]:
        return colour if colour.shape[2] == 3 else colour[..., 0]
    if EXTRASAMPLE.ASSOCALPHA in page.extrasamples:
        colour = _divided(colour, alpha)
    return np.concatenate([np.broadcast_to(colour, (*colour.shape[:2], 3)), alpha], axis=2)


def _looked_up(page: TiffPage, index: NDArray[Any], name: str) -> NDArray[np.uint8]:
    table = page.colormap
    if table is None or table.shape != (3, 2**page.bitspersample):
        raise InputError(f"the image {name} is damaged: its palette is missing, or not of 3 × {2**page.bitspersample}.")
    if table.max() > 255:  # else it was written with 8 bits, which libtiff takes as such too
        table = table >> 8
    return table.astype(np.uint8).T[index[..., 0].astype(np.intp)]


def _divided(colour: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    """Colours without the alpha they were multiplied by: cut to whole levels as Pillow does, black where it is 0."""
    most = np.iinfo(colour.dtype).max
    straight = colour.astype(np.uint64) * most // np.maximum(alpha, 1)
    return np.where(alpha == 0, 0, np.minimum(straight, most)).astype(colour.dtype)


def _orientation(page: TiffPage) -> int:
    found = page.tags.valueof("Orientation", 1)
    return found if isinstance(found, int) else 1
