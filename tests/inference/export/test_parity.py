import math

import numpy as np
import pytest
import torch

from srkd.imaging.files import write_image
from srkd.inference.export.parity import LIMITS, TRACED, Limit, Parity, check_images, compare


def test_compare_measures_the_largest_difference_over_all_images():
    images = [torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 4, 1)]

    def other(x):
        return x + 0.25 * (torch.arange(x.numel()).view_as(x) == 5) * (x.shape[-1] == 1)

    parity = compare(lambda x: x, other, images)
    assert parity.max_difference == 0.25
    assert parity.psnr == pytest.approx(10 * math.log10(24 / 0.25**2))
    assert compare(other, other, images) == Parity(0.0, math.inf)
    assert str(parity) == "2.5e-01, 25.8 dB" and str(Parity(0.0, math.inf)) == "equal"


def test_a_limit_is_of_the_difference_and_of_the_psnr():
    limit = Limit(1e-3, psnr=80)
    assert limit.met_by(Parity(1e-3, 80)) and limit.met_by(Parity(0.0, math.inf))
    assert not limit.met_by(Parity(1.1e-3, 90)) and not limit.met_by(Parity(1e-4, 79.9))
    assert not limit.met_by(Parity(math.nan, math.nan)) and not limit.met_by(Parity(math.inf, -math.inf))
    assert set(LIMITS) == {".pth", ".safetensors", ".onnx", ".pt2"}


def test_photographs_are_of_different_odd_sizes_and_never_the_traced_one():
    images = check_images(3)
    sizes = [tuple(image.shape) for image in images]
    assert len(set(sizes)) == len(sizes) == 3 and all(shape[:2] == (1, 3) for shape in sizes)
    assert not any(shape[2:] == TRACED for shape in sizes) and any(shape[2] == TRACED[0] + 1 for shape in sizes)
    for image in images:
        assert 0 <= image.min() < 0.2 and 0.8 < image.max() <= 1 and image.std() > 0.1  # a photograph, not noise
        assert image.dtype == torch.float32 and image.is_contiguous()


def test_luma_is_between_16_and_235():
    for image in check_images(1, size=(20, 30)):
        assert image.shape == (1, 1, 20, 30) and image.min() >= 16 / 255 - 1e-6 and image.max() <= 235 / 255 + 1e-6


def test_a_folder_of_ones_own(tmp_path, photo):
    write_image(tmp_path / "a.png", photo)
    write_image(tmp_path / "b.png", photo[:31, :17])
    first, second = check_images(3, folder=tmp_path)
    assert first.shape == (1, 3, *photo.shape[:2]) and second.shape == (1, 3, 31, 17)
    assert np.array_equal((first[0].permute(1, 2, 0) * 255).round().byte().numpy(), photo)
    assert [tuple(image.shape) for image in check_images(4, folder=tmp_path, size=(8, 9))] == [(1, 4, 8, 9)] * 2
