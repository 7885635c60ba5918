from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srkd.imaging import resize
from srkd.imaging.resize import imresize, mod_crop
from srkd.types import InputError


def plain_axis(length, new_length, scale):
    """The formula of MATLAB's imresize, one output pixel at a time: an oracle written without sparse matrices."""

    def cubic(x):
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0

    mirrored = [*range(length), *range(length - 1, -1, -1)]
    matrix = np.zeros((new_length, length))
    for k in range(1, new_length + 1):
        u = k / scale + 0.5 * (1 - 1 / scale)
        width = 4 / scale if scale < 1 else 4
        left = math.floor(u - width / 2)
        taps = range(left, left + math.ceil(width) + 2)
        weights = [scale * cubic(scale * (u - i)) if scale < 1 else cubic(u - i) for i in taps]
        for i, weight in zip(taps, weights, strict=True):
            matrix[k - 1, mirrored[(i - 1) % (2 * length)]] += weight / sum(weights)
    return matrix


def plain_imresize(image, scale_h, scale_w, new_height, new_width):
    rows = plain_axis(image.shape[0], new_height, scale_h)
    columns = plain_axis(image.shape[1], new_width, scale_w)
    return np.einsum("ih,hwc,jw->ijc", rows, image.astype(np.float64), columns)


def basicsr_imresize_8bit(image, scale):
    from basicsr.utils.matlab_functions import imresize as reference

    return np.clip((reference(image.astype(np.float32) / 255, scale) * 255).round(), 0, 255).astype(np.uint8)


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    scale=st.one_of(st.sampled_from([1 / 4, 1 / 3, 1 / 2, 1.0, 2.0, 3.0, 4.0]), st.floats(0.02, 6.0)),
    channels=st.sampled_from([0, 1, 3, 4]),
)
def test_any_size_and_scale_is_the_formula(height, width, scale, channels):
    rng = np.random.default_rng(height * 41 + width)
    image = rng.random((height, width, channels) if channels else (height, width))
    result = imresize(image, scale=scale)
    new_height, new_width = math.ceil(height * scale), math.ceil(width * scale)
    assert result.shape == (new_height, new_width, *image.shape[2:]) and result.dtype == image.dtype
    expected = plain_imresize(image.reshape(height, width, -1), scale, scale, new_height, new_width)
    np.testing.assert_allclose(result.reshape(expected.shape), expected, atol=1e-9)


@pytest.mark.parametrize("scale", [1 / 4, 1 / 3, 1 / 2, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_cutting_into_bands_changes_no_bit(monkeypatch, rng, scale, dtype):
    shape = (203, 2999, 3) if scale < 1 else (61, 77, 3)
    levels = rng.choice(np.array([0, 1, 2, 128, 254, 255], np.uint8), shape)  # many sums lie half-way between levels
    image = levels.astype(dtype)
    monkeypatch.setattr(resize, "_BAND", 10**12)
    whole = imresize(image, scale=scale)
    for band in (2**17, 2**12, 1):
        monkeypatch.setattr(resize, "_BAND", band)
        np.testing.assert_array_equal(imresize(image, scale=scale), whole)


@given(height=st.integers(1, 30), width=st.integers(1, 30), size=st.tuples(st.integers(1, 50), st.integers(1, 50)))
def test_size_gives_each_axis_its_own_scale(height, width, size):
    image = np.random.default_rng(height * 31 + width).random((height, width, 3))
    result = imresize(image, size=size)
    expected = plain_imresize(image, size[0] / height, size[1] / width, *size)
    assert result.shape == (*size, 3)
    np.testing.assert_allclose(result, expected, atol=1e-9)


@given(shape=st.tuples(st.integers(1, 25), st.integers(1, 25)), level=st.integers(0, 65535), scale=st.floats(0.1, 5.0))
def test_a_flat_image_stays_flat(shape, level, scale):
    assert (imresize(np.full(shape, level, np.uint16), scale=scale) == level).all()


def test_8_bit_pixels_are_basicsrs(basicsr, shared_data, rng):
    images = [cv2.imread(str(path)) for path in sorted((shared_data / "Set5" / "HR").glob("*.png"))]
    assert len(images) == 5
    images += [rng.integers(0, 256, (*rng.integers(12, 60, 2), 3), dtype=np.uint8) for _ in range(12)]
    equal = total = 0
    for image in images:
        for scale in (1 / 4, 1 / 3, 1 / 2, 2.0, 3.0, 4.0):
            if scale > 1:
                image = image[:160, :160]  # enlarging the whole of Set5 would only take longer
            difference = np.abs(imresize(image, scale=scale).astype(int) - basicsr_imresize_8bit(image, scale))
            assert difference.max() <= 1
            equal += int((difference == 0).sum())
            total += difference.size
    assert equal / total >= 0.9999


@pytest.mark.parametrize("scale", [1 / 4, 1 / 3, 1 / 2, 2.0, 3.0, 4.0])
def test_real_photo_is_basicsrs(basicsr, photo, scale):
    difference = np.abs(imresize(photo, scale=scale).astype(int) - basicsr_imresize_8bit(photo, scale))
    assert difference.max() <= 1
    assert (difference == 0).mean() >= 0.999


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_integers_are_rounded_and_clipped(rng, dtype):
    top = np.iinfo(dtype).max
    image = rng.choice(np.array([0, top], dtype), (20, 30, 3))  # black and white: bicubic overshoots
    result = imresize(image, scale=2)
    exact = imresize(image.astype(np.float64), scale=2)
    assert result.dtype == dtype and exact.min() < 0 and exact.max() > top
    np.testing.assert_array_equal(result, np.floor(np.clip(exact, 0, top) + 0.5).astype(dtype))


def test_single_precision_stays_single(photo):
    image = photo.astype(np.float32) / 255
    result = imresize(image, scale=0.5)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, imresize(image.astype(np.float64), scale=0.5), atol=1e-7)


def test_strides_do_not_matter_and_the_input_is_untouched(photo):
    before = photo.copy()
    flipped = imresize(photo[:, ::-1, ::-1], scale=0.5)
    np.testing.assert_array_equal(flipped[:, ::-1, ::-1], imresize(photo, scale=0.5))
    np.testing.assert_array_equal(photo, before)
    assert flipped.flags.c_contiguous


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either scale or size"),
        ({"scale": 2.0, "size": (4, 4)}, "either scale or size"),
        ({"scale": 0.0}, "above 0; it is 0.0"),
        ({"scale": float("nan")}, "it is nan"),
        ({"size": (0, 4)}, r"at least 1; it is \(0, 4\)"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        imresize(np.zeros((4, 4)), **arguments)


@pytest.mark.parametrize("image", [np.zeros((0, 4)), np.zeros(4), np.zeros((4, 4), bool), np.zeros((4, 4), np.int32)])
def test_wrong_images_are_refused(image):
    with pytest.raises(InputError, match="imresize takes"):
        imresize(image, scale=2)


def test_mod_crop():
    image = np.arange(7 * 11 * 3).reshape(7, 11, 3)
    np.testing.assert_array_equal(mod_crop(image, 4), image[:4, :8])
    assert mod_crop(image[..., 0], 3).shape == (6, 9)
    assert mod_crop(image, 1).shape == image.shape
    for scale in (0, 8):
        with pytest.raises(InputError, match="7 × 11"):
            mod_crop(image, scale)
