from __future__ import annotations

import numpy as np
import pytest
import torch

from srkd.imaging.color import rgb_to_y, rgb_to_y_tensor, rgb_to_ycbcr, ycbcr_to_rgb
from srkd.types import InputError


def exact_y(image):
    return image.astype(np.float64) @ [65.481, 128.553, 24.966] / 255 + 16


def test_y_is_basicsrs_bit_for_bit(basicsr, rng, photo):
    from basicsr.metrics.metric_util import to_y_channel

    for image in (
        photo,
        *(rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in ((201, 99), (700, 99), (3, 40000))),
    ):
        expected = to_y_channel(np.ascontiguousarray(image[..., ::-1]))[..., 0].astype(np.float64)
        assert np.abs(rgb_to_y(image) - expected).max() <= 1e-9


def test_y_is_the_studio_range_formula(rng):
    image = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    y = rgb_to_y(image)
    assert y.dtype == np.float64 and y.shape == (64, 64)
    assert np.abs(y - exact_y(image)).max() < 2e-5
    assert rgb_to_y(np.array([[0, 0, 0], [255, 255, 255]], np.uint8)) == pytest.approx([16, 235], abs=1e-5)


@pytest.mark.parametrize("shape", [(3,), (5, 3), (1, 1, 3), (0, 4, 3), (2, 3, 4, 3)])
def test_y_takes_any_leading_shape_and_strides(rng, shape):
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_allclose(rgb_to_y(image), exact_y(image), atol=2e-5)
    if len(shape) > 1:
        np.testing.assert_array_equal(rgb_to_y(image[::-1]), rgb_to_y(image)[::-1])


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((4, 4, 4), np.uint8)])
def test_y_refuses_what_is_not_8_bit_rgb(image):
    with pytest.raises(InputError, match=r"uint8 RGB \[\.\.\., 3\]"):
        rgb_to_y(image)


def test_tensor_y_agrees_with_the_array(photo):
    x = torch.from_numpy(photo).permute(2, 0, 1)[None].double().div(255).requires_grad_()
    y = rgb_to_y_tensor(x)
    assert y.shape == (1, 1, *photo.shape[:2])
    np.testing.assert_allclose(y.detach().numpy()[0, 0] * 255, rgb_to_y(photo), atol=2e-5)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad[0, :, 0, 0].tolist() == pytest.approx([65.481 / 255, 128.553 / 255, 24.966 / 255])
    with pytest.raises(InputError, match="1, 1, 4, 4"):
        rgb_to_y_tensor(torch.zeros(1, 1, 4, 4))


def test_ycbcr_is_matlabs_and_comes_back(basicsr, photo):
    from basicsr.utils.color_util import rgb2ycbcr

    rgb = photo.astype(np.float64) / 255
    ycbcr = rgb_to_ycbcr(rgb)
    np.testing.assert_allclose(ycbcr, rgb2ycbcr(rgb.astype(np.float32)), atol=1e-6)
    np.testing.assert_allclose(ycbcr_to_rgb(ycbcr), rgb, atol=1e-12)
    assert rgb_to_ycbcr(np.ones((1, 3)))[0] * 255 == pytest.approx([235, 128, 128])
    with pytest.raises(InputError, match="floating-point"):
        rgb_to_ycbcr(photo)
