"""PNG files by kornia_rs: the same pixels, and the same words about what is wrong, as by OpenCV."""

from __future__ import annotations

import io
import struct
import threading
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from srkd.imaging import decode as files
from srkd.imaging.files import decode_image
from srkd.types import InputError

SIZES = [(1, 1), (1, 2), (2, 1), (1, 33), (7, 5), (8, 8), (13, 11), (64, 31)]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXTRA = {
    "nothing": b"",
    "gAMA": struct.pack(">I", 45455),
    "sRGB": b"\0",
    "sBIT": b"\5\6\5",
    "bKGD": b"\0\1\0\2\0\3",
    "PLTE": bytes(range(30)),
    "iCCP": b"sRGB\0\0" + zlib.compress(SRGB),
    "tRNS": b"\0\1\0\2\0\3",
    "eXIf": b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
    "abCd": b"unknown",
    "ABCD": b"unknown and critical",
}
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What kornia_rs was given."""
    given: list[bytes] = []
    decode: Callable[..., np.ndarray] | None = files.decode_image_png_u8
    if decode is None:
        pytest.skip("this release of kornia_rs has no decode_image_png_u8")

    def recording(data: bytes, size: tuple[int, int], mode: str) -> np.ndarray:
        given.append(data)
        return decode(data, size, mode)

    monkeypatch.setattr(files, "decode_image_png_u8", recording)
    return given


@pytest.fixture
def by_opencv(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], np.ndarray | str]:
    """`decode_image` on a machine without kornia_rs: pixels, or what the error says."""

    def decode(data: bytes) -> np.ndarray | str:
        with monkeypatch.context() as patch:
            patch.setattr(files, "decode_image_png_u8", None)
            return outcome(data)

    return decode


def outcome(data: bytes) -> np.ndarray | str:
    try:
        return decode_image(data, "holiday.png")
    except InputError as error:
        return str(error)


def assert_same(one: np.ndarray | str, other: np.ndarray | str) -> None:
    if isinstance(one, str) or isinstance(other, str):
        assert isinstance(one, str) and one == other
    else:
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def rgb_png(image: np.ndarray, *, interlaced: bool = False, extra: bytes = b"", piece: int = 1 << 20) -> bytes:
    height, width = image.shape[:2]
    passes = [image[y::dy, x::dx] for y, x, dy, dx in ADAM7] if interlaced else [image]
    packed = zlib.compress(b"".join(b"\0" + row.tobytes() for part in passes if part.size for row in part))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlaced)
    pieces = b"".join(chunk(b"IDAT", packed[at : at + piece]) for at in range(0, len(packed), piece))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + pieces + chunk(b"IEND", b"")


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_rgb_of_any_size_has_the_same_pixels(rng, taken, by_opencv, size, interlaced):
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    for piece in (5, 1 << 20):
        data = rgb_png(image, interlaced=interlaced, piece=piece)
        np.testing.assert_array_equal(decode_image(data, "x"), image)
        assert taken.pop() is data
        assert_same(by_opencv(data), image)


@pytest.mark.parametrize("level", [0, 1, 3, 9])
def test_every_filter_and_compression_has_the_same_pixels(photo, taken, by_opencv, level):
    strategies = (cv2.IMWRITE_PNG_STRATEGY_DEFAULT, cv2.IMWRITE_PNG_STRATEGY_FILTERED, cv2.IMWRITE_PNG_STRATEGY_FIXED)
    for strategy in strategies:
        options = [cv2.IMWRITE_PNG_COMPRESSION, level, cv2.IMWRITE_PNG_STRATEGY, strategy]
        data = cv2.imencode(".png", photo[..., ::-1], options)[1].tobytes()
        np.testing.assert_array_equal(decode_image(data, "x"), photo)
        assert taken.pop() is data
        assert_same(by_opencv(data), photo)


@pytest.mark.parametrize("kind", EXTRA)
def test_other_chunks_mean_the_same(rng, taken, by_opencv, kind):
    image = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    extra = chunk(kind.encode(), EXTRA[kind]) if EXTRA[kind] else b""
    data = rgb_png(image, extra=extra)
    assert_same(outcome(data), by_opencv(data))
    assert bool(taken) == (kind != "tRNS")  # a transparent colour makes the image RGBA


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
@pytest.mark.parametrize("size", SIZES)
def test_other_kinds_are_left_to_opencv(rng, taken, by_opencv, mode, size):
    image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    image = image.convert("L").convert("I").convert(mode) if mode == "I;16" else image.convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    data = buffer.getvalue()
    assert_same(outcome(data), by_opencv(data))
    deep = cv2.imencode(".png", rng.integers(0, 65536, (*size, 3), dtype=np.uint16))[1].tobytes()
    assert_same(outcome(deep), by_opencv(deep))
    assert not taken


def test_damaged_files_are_refused_in_the_same_words(rng, taken, by_opencv):
    image = rng.integers(0, 256, (20, 17, 3), dtype=np.uint8)
    whole = rgb_png(image, piece=200)
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        at = int(rng.integers(8, len(data)))
        match rng.integers(3):
            case 0:
                data[at] ^= int(rng.integers(1, 256))
            case 1:
                del data[at:]
            case _:
                del data[at : at + int(rng.integers(1, 20))]
        one, other = outcome(bytes(data)), by_opencv(bytes(data))
        assert_same(one, other)
        refused += isinstance(one, str)
    assert refused > 250 and taken


@pytest.mark.parametrize("size", [(0, 0), (0, 7), (2**31 - 1, 2**31 - 1), (60000, 60000)])
def test_a_header_that_lies_about_the_size_is_refused_in_the_same_words(rng, by_opencv, size):
    whole = rgb_png(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8))
    header = chunk(b"IHDR", struct.pack(">II", *size) + whole[24:29])
    data = whole[:8] + header + whole[33:]
    assert isinstance(outcome(data), str)
    assert_same(outcome(data), by_opencv(data))


def test_threads_that_decode_together_do_not_wait_for_each_other(photo, taken):
    data = rgb_png(photo)
    decoded: list[np.ndarray] = []
    thread = threading.Thread(target=lambda: decoded.append(decode_image(data, "x")))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(decoded[0], photo)
    assert not taken
