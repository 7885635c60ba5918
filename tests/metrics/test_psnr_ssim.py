from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from srkd.imaging.color import rgb_to_y
from srkd.imaging.files import list_images, read_image
from srkd.imaging.resize import imresize, mod_crop
from srkd.metrics.psnr import calculate_psnr, psnr, psnr_from_arrays
from srkd.metrics.ssim import calculate_ssim, ssim, ssim_from_arrays
from srkd.registry import METRICS
from srkd.signature import check_options
from srkd.types import InputError


@pytest.fixture
def pairs(rng, photo):
    """Image pairs of three kinds: noise, a photograph and its noisy copy, a photograph and its blurred copy."""
    noise = rng.integers(0, 256, (2, 37, 52, 3), dtype=np.uint8)
    noisy = np.clip(photo + rng.normal(0, 8, photo.shape), 0, 255).astype(np.uint8)
    blurred = imresize(imresize(photo, scale=1 / 4), scale=4)
    return [(noise[0], noise[1]), (noisy, photo), (blurred, photo)]


@pytest.mark.parametrize("test_y_channel", [False, True])
@pytest.mark.parametrize("crop_border", [0, 1, 4])
def test_colour_images_score_as_in_basicsr(basicsr, pairs, crop_border, test_y_channel):
    from basicsr.metrics.psnr_ssim import calculate_psnr as psnr_reference
    from basicsr.metrics.psnr_ssim import calculate_ssim as ssim_reference

    options = {"crop_border": crop_border, "test_y_channel": test_y_channel}
    for sr, gt in pairs:
        bgr = [np.ascontiguousarray(image[..., ::-1]) for image in (sr, gt)]
        assert psnr(sr, gt, **options) == pytest.approx(psnr_reference(*bgr, **options), abs=1e-9, rel=0)
        assert ssim(sr, gt, **options) == pytest.approx(ssim_reference(*bgr, **options), abs=1e-9, rel=0)
        assert calculate_psnr(sr, gt, **options) == psnr(sr, gt, **options)
        assert calculate_ssim(sr, gt, **options) == ssim(sr, gt, **options)


@pytest.mark.parametrize("test_y_channel", [False, True])
@pytest.mark.parametrize("shape", [(45, 4001), (700, 90), (11, 40000), (60, 11)])
def test_images_of_several_bands_score_as_in_basicsr(basicsr, rng, shape, test_y_channel):
    from basicsr.metrics.psnr_ssim import calculate_psnr as psnr_reference
    from basicsr.metrics.psnr_ssim import calculate_ssim as ssim_reference

    sr, gt = rng.integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    options = {"crop_border": 0, "test_y_channel": test_y_channel}
    bgr = [np.ascontiguousarray(image[..., ::-1]) for image in (sr, gt)]
    assert psnr(sr, gt, **options) == pytest.approx(psnr_reference(*bgr, **options), abs=1e-9, rel=0)
    assert ssim(sr, gt, **options) == pytest.approx(ssim_reference(*bgr, **options), abs=1e-9, rel=0)


@pytest.mark.parametrize("test_y_channel", [False, True])
def test_strides_do_not_matter_and_the_images_are_untouched(pairs, test_y_channel):
    for sr, gt in pairs:
        before = sr.copy(), gt.copy()
        for view in (np.s_[::-1], np.s_[:, ::-1], np.s_[::2, 1::3]):
            copies = [np.ascontiguousarray(image[view]) for image in (sr, gt)]
            for metric in (psnr, ssim):
                expected = metric(*copies, test_y_channel=test_y_channel)
                assert metric(sr[view], gt[view], test_y_channel=test_y_channel) == expected
        np.testing.assert_array_equal((sr, gt), before)


def test_the_largest_errors_of_large_images_do_not_overflow():
    black, white = np.zeros((900, 1000, 3), np.uint8), np.full((900, 1000, 3), 255, np.uint8)
    assert psnr(black, white) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("test_y_channel", [False, True])
def test_grey_images_score_as_in_basicsr(basicsr, pairs, test_y_channel):
    from basicsr.metrics.psnr_ssim import calculate_psnr as psnr_reference
    from basicsr.metrics.psnr_ssim import calculate_ssim as ssim_reference

    for sr, gt in pairs:
        for a, b in ((sr[..., 1], gt[..., 1]), (sr[..., 1:2], gt[..., 1:2])):
            options = {"crop_border": 2, "test_y_channel": test_y_channel}
            assert psnr(a, b, **options) == pytest.approx(psnr_reference(a, b, **options), abs=1e-9, rel=0)
            assert ssim(a, b, **options) == pytest.approx(ssim_reference(a, b, **options), abs=1e-9, rel=0)


def test_ssim_is_scikit_images_with_the_papers_settings(pairs):
    for sr, gt in pairs:
        a, b = rgb_to_y(sr), rgb_to_y(gt)
        _, full = structural_similarity(
            a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True
        )
        assert ssim_from_arrays(a, b) == pytest.approx(full[5:-5, 5:-5].mean(), abs=1e-9)


def test_known_values():
    gt = np.full((20, 20, 3), 100, np.uint8)
    assert psnr(gt + 1, gt) == pytest.approx(20 * math.log10(255))
    assert psnr(gt, gt) == math.inf and psnr(gt, gt, test_y_channel=True) == math.inf
    assert ssim(gt, gt) == pytest.approx(1, abs=1e-12)
    assert psnr_from_arrays(np.full((4, 4), 10.5), np.full((4, 4), 10.0)) == pytest.approx(20 * math.log10(510))


def test_the_border_is_really_ignored(photo):
    damaged = photo.copy()
    damaged[:4], damaged[-4:], damaged[:, :4], damaged[:, -4:] = 0, 0, 0, 0
    assert psnr(damaged, photo, crop_border=4) == math.inf
    assert psnr(damaged, photo, crop_border=3) < math.inf
    assert ssim(damaged, photo, crop_border=4) == pytest.approx(1, abs=1e-12)


def test_unrounded_planes(photo):
    a, b = rgb_to_y(photo), rgb_to_y(imresize(imresize(photo, scale=0.5), scale=2))
    assert psnr_from_arrays(a, b, 2) == psnr(
        photo, imresize(imresize(photo, scale=0.5), scale=2), crop_border=2, test_y_channel=True
    )
    assert ssim_from_arrays(a[..., None], b[..., None]) == ssim_from_arrays(a, b)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_wrong_input_is_named(metric):
    image = np.zeros((20, 24, 3), np.uint8)
    with pytest.raises(InputError, match=r"\[20, 24, 3\].*\[20, 20, 3\]"):
        metric(image, image[:, :20])
    with pytest.raises(InputError, match=r"float64 \[20, 24, 3\]"):
        metric(image.astype(np.float64), image)
    with pytest.raises(InputError, match=r"\[20, 24, 4\]"):
        metric(np.zeros((20, 24, 4), np.uint8), np.zeros((20, 24, 4), np.uint8))
    for border in (-1, 10):
        with pytest.raises(InputError, match=rf"crop_border {border} .*\[20, 24, 3\]"):
            metric(image, image, crop_border=border)


def test_ssim_needs_the_whole_window():
    image = np.zeros((20, 24), np.uint8)
    assert ssim(image[:11, :11], image[:11, :11]) == pytest.approx(1)
    with pytest.raises(InputError, match=r"at least 11 × 11 .*\[10, 14\]"):
        ssim(image, image, crop_border=5)


def test_option_files_find_them_under_basicsrs_names():
    for name in ("calculate_psnr", "calculate_ssim"):
        options, problems = check_options(METRICS.get(name), {"crop_border": 4, "test_y_channel": True})
        assert options == {"crop_border": 4, "test_y_channel": True} and not problems
        assert check_options(METRICS.get(name), {"crop_boder": 4})[1]
        assert check_options(METRICS.get(name), {"crop_border": 4, "input_order": "CHW"})[1]


@pytest.mark.parametrize(
    ("scale", "expected_psnr", "expected_ssim"),
    [(2, 33.682, 0.93052), (3, 30.405, 0.86897), (4, 28.431, 0.81127)],
)
def test_bicubic_scores_on_set5_protocol_y(shared_data, scale, expected_psnr, expected_ssim):
    scores = []
    for path in list_images(shared_data / "Set5" / "HR"):
        gt = mod_crop(read_image(path), scale)
        sr = imresize(imresize(gt, scale=1 / scale), scale=scale)
        options = {"crop_border": scale, "test_y_channel": True}
        scores.append((psnr(sr, gt, **options), ssim(sr, gt, **options)))
    mean_psnr, mean_ssim = np.mean(scores, axis=0)
    assert mean_psnr == pytest.approx(expected_psnr, abs=0.005)
    assert mean_ssim == pytest.approx(expected_ssim, abs=0.0001)


@pytest.mark.parametrize(
    ("scale", "expected_psnr", "expected_ssim"), [(2, 33.66, 0.9299), (3, 30.39, 0.8682), (4, 28.42, 0.8104)]
)
def test_bicubic_scores_on_set5_as_papers_print_them(shared_data, scale, expected_psnr, expected_ssim):
    """Only Y is resized, LR stays unrounded; Y itself and the result are rounded, as MATLAB's uint8 images are."""
    scores = []
    for path in list_images(shared_data / "Set5" / "HR"):
        gt = np.rint(rgb_to_y(mod_crop(read_image(path), scale)))
        sr = np.rint(np.clip(imresize(imresize(gt, scale=1 / scale), scale=scale), 0, 255))
        scores.append((psnr_from_arrays(sr, gt, scale), ssim_from_arrays(sr, gt, scale)))
    mean_psnr, mean_ssim = np.mean(scores, axis=0)
    assert mean_psnr == pytest.approx(expected_psnr, abs=0.005)
    assert mean_ssim == pytest.approx(expected_ssim, abs=0.00005)
