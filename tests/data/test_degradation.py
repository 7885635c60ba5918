from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from srkd.data.degradation import Degradation, add_noise, blur_down, degrade, jpeg
from srkd.data.paired_image import IOBackend, PairedImageDataset
from srkd.imaging.files import write_image
from srkd.imaging.resize import imresize
from srkd.registry import DATASETS
from srkd.signature import check_options
from srkd.types import InputError


def fspecial(size: int, sigma: float) -> np.ndarray:
    """MATLAB's fspecial('gaussian', size, sigma), from its documentation."""
    x = np.arange(size) - (size - 1) / 2
    kernel = np.exp(-(x[:, None] ** 2 + x**2) / (2 * sigma**2))
    return kernel / kernel.sum()


@pytest.mark.parametrize(("scale", "size"), [(2, 12), (3, 7), (4, 12), (5, 11)])
def test_blur_down_is_the_authors_filter_at_the_middle_of_every_block(photo, scale: int, size: int) -> None:
    image = photo[:60, :120]
    kernel = fspecial(size, 1.6)
    before, after = (size - 1) // 2, size // 2  # MATLAB's centre is floor((size + 1) / 2), counted from 1
    padded = np.pad(image.astype(float), ((before, after), (before, after), (0, 0)), mode="edge")
    result = blur_down(image, scale)
    for y, x in ((0, 0), (3, 5), (60 // scale - 1, 120 // scale - 1)):
        top, left = ((scale - 1) // 2 + scale * n for n in (y, x))
        expected = (padded[top : top + size, left : left + size] * kernel[..., None]).sum(axis=(0, 1))
        np.testing.assert_allclose(result[y, x], expected, atol=0.5 + 1e-9)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_blur_down_does_not_shift(scale: int) -> None:
    ramp = np.repeat(np.linspace(0, 240, 60)[None, :, None], 60, axis=0).repeat(3, axis=2).round().astype(np.uint8)
    inner = np.s_[4:-4, 4:-4]
    down = blur_down(ramp, scale).astype(int) - imresize(ramp, scale=1 / scale)
    assert abs(down[inner].mean()) < 0.15  # half a pixel would be two levels


def test_noise_is_gaussian_and_each_image_has_its_own() -> None:
    grey = np.full((128, 128, 3), 128, np.uint8)
    noise = add_noise(grey, 20, seed=0, name="a").astype(float) - 128
    assert abs(noise.mean()) < 0.3
    assert noise.std() == pytest.approx(20, rel=0.02)
    np.testing.assert_array_equal(noise + 128, add_noise(grey, 20, seed=0, name="a"))
    for other in (add_noise(grey, 20, seed=1, name="a"), add_noise(grey, 20, seed=0, name="b")):
        assert abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 0.03


def test_noise_stays_the_same_in_later_versions() -> None:
    values = add_noise(np.full((1, 2, 3), 100, np.uint8), 30, seed=7, name="baby")
    assert values.ravel().tolist() == [76, 73, 81, 113, 91, 55]


def test_noise_is_clipped_not_wrapped() -> None:
    assert add_noise(np.zeros((64, 64, 3), np.uint8), 30, seed=0, name="").max() < 180
    assert add_noise(np.full((64, 64, 3), 255, np.uint8), 30, seed=0, name="").min() > 80


def test_jpeg_is_what_a_file_would_hold(photo, tmp_path: Path) -> None:
    file = str(tmp_path / "a.jpg")
    cv2.imwrite(file, photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 40])
    np.testing.assert_array_equal(jpeg(photo, 40), cv2.imread(file)[..., ::-1])


def test_each_type_is_made_of_its_parts(photo) -> None:
    photo = photo[:95, :118]  # cut to the scale first
    whole, small = photo[:93, :117], imresize(photo[:93, :117], scale=1 / 3)
    for degradation, expected in (
        (Degradation("BI"), small),
        (Degradation("BD"), blur_down(whole, 3)),
        (Degradation("BD", sigma=2.0), blur_down(whole, 3, sigma=2.0)),
        (Degradation("DN", seed=3), add_noise(small, 30, seed=3, name="a")),
        (Degradation("JPEG", quality=30), jpeg(small, 30)),
    ):
        np.testing.assert_array_equal(degrade(photo, degradation, scale=3, name="a"), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"type": "JPEG"}, "quality"),
        ({"type": "JPEG", "quality": 0}, "from 1 to 100"),
        ({"type": "BD", "quality": 50}, "belongs to type JPEG"),
        ({"type": "BI", "sigma": 1.0}, "belongs to types BD and DN"),
        ({"type": "DN", "sigma": -1.0}, "above 0"),
        ({"type": "DN", "sigm": 1.0}, "sigm"),
        ({"type": "DB"}, "BD"),
    ],
)
def test_contradictions_in_an_option_file_are_answered(options: dict[str, object], message: str) -> None:
    given = {"dataroot_gt": "x", "degradation": options}
    _, problems = check_options(DATASETS.get("PairedImageDataset"), given, wired=("scale",))
    assert len(problems) == 1
    assert problems[0].path[0] == "degradation"
    assert message in f"{problems[0].path} {problems[0].message}"


def test_a_data_set_degrades_whole_images_and_its_cache_knows_how(photo, tmp_path: Path) -> None:
    write_image(tmp_path / "gt" / "a.png", photo)
    backend = IOBackend("cache", str(tmp_path / "cache"))
    roots = {"scale": 3, "dataroot_gt": str(tmp_path / "gt"), "io_backend": backend}
    for degradation in (Degradation("BI"), Degradation("BD"), Degradation("DN"), Degradation("DN", seed=1)):
        lq, gt = PairedImageDataset(**roots, degradation=degradation).pair(0)
        np.testing.assert_array_equal(gt, photo)
        np.testing.assert_array_equal(lq, degrade(photo, degradation, scale=3, name="a"))
    assert len(list((tmp_path / "cache").iterdir())) == 4


def test_a_degradation_beside_lq_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="remove it, or dataroot_lq"):
        PairedImageDataset(scale=2, dataroot_gt="a", dataroot_lq="b", degradation=Degradation("BD"))
