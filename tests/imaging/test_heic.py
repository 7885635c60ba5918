"""HEIC files, made here by pillow-heif: pixels, depth, size, and the answer where the reader is missing."""

from __future__ import annotations

import importlib.util
import io

import numpy as np
import pytest
from PIL import Image

from srkd.imaging.decode import decode_image, image_size
from srkd.imaging.files import list_images, read_image
from srkd.imaging.profiles import upright_and_profile
from srkd.types import InputError

pillow_heif = pytest.importorskip("pillow_heif", reason="the extra `heic` is not installed")


def encoded(image, mode: str) -> bytes:
    stream = io.BytesIO()
    height, width = image.shape[:2]
    picture = pillow_heif.from_bytes(mode=mode, size=(width, height), data=image.tobytes())
    picture.save(stream, quality=-1, chroma=444, matrix_coefficients=0)  # without loss
    return stream.getvalue()


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("RGBA", 4)])
def test_eight_bits(mode, channels):
    image = np.random.default_rng(0).integers(0, 256, (12, 18, channels), dtype=np.uint8)
    np.testing.assert_array_equal(decode_image(encoded(image, mode), "x"), image)


def test_grey():
    image = np.arange(12 * 18, dtype=np.uint8).reshape(12, 18)
    np.testing.assert_array_equal(decode_image(encoded(image, "L"), "x"), image)


def test_ten_bits_are_read_as_sixteen_over_the_whole_range():
    levels = np.linspace(0, 1023, 12 * 18 * 3).round().astype(np.uint32).reshape(12, 18, 3)
    found = decode_image(encoded((levels << 6).astype(np.uint16), "RGB;16"), "x")
    np.testing.assert_array_equal(found, levels * 65_535 // 1023)
    assert found.dtype == np.uint16 and found.max() == 65_535


def test_a_folder_its_size_and_its_profile(tmp_path):
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pillow_heif.register_heif_opener()
    path = tmp_path / "IMG_0001.HEIC"
    Image.new("RGB", (30, 20), (200, 100, 50)).save(path, "HEIF", icc_profile=profile)
    assert list_images(tmp_path) == [path]
    assert image_size(path) == (20, 30)
    image = read_image(path)
    assert image.shape == (20, 30, 3)
    turned, kept = upright_and_profile(path, image)
    assert kept == profile
    np.testing.assert_array_equal(turned, image)


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_file_is_refused(keep):
    data = encoded(np.zeros((64, 64, 3), np.uint8) + np.arange(64, dtype=np.uint8)[:, None], "RGB")
    with pytest.raises(InputError, match="cannot be decoded"):
        decode_image(data[: int(len(data) * keep)], "x")


def test_without_the_reader_the_extra_is_named(monkeypatch):
    data = encoded(np.zeros((16, 16, 3), np.uint8), "RGB")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"HEIC without its reader.*pip install -e \"\.\[heic\]\""):
        decode_image(data, "x")
