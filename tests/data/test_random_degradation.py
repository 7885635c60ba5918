"""Patches and images with random blur, noise and JPEG: what was drawn is decided by the seed and nothing else."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from srkd.data.batches import TrainBatches
from srkd.data.degradation import jpeg
from srkd.data.paired_image import PairedImageDataset
from srkd.data.random_degradation import RandomDegradation, degrade_image, degrade_patch
from srkd.imaging.files import write_image
from srkd.imaging.resize import imresize
from srkd.registry import DATASETS
from srkd.signature import check_options
from srkd.types import InputError


def random(**options):
    return RandomDegradation("random", **options)


@pytest.mark.parametrize(("top", "left", "side"), [(0, 0, 24), (3, 17, 24), (21, 40, 31), (52, 61, 8), (36, 45, 24)])
@pytest.mark.parametrize("quality", [30, 60, 95])
def test_a_patch_is_compressed_on_the_grid_of_its_image(photo, top, left, side, quality):
    lq = np.ascontiguousarray(photo[:60, :69])
    patch = degrade_patch(lq, random(jpeg=(quality, quality)), top=top, left=left, side=side, u=0.3)
    assert np.array_equal(patch, jpeg(lq, quality)[top : top + side, left : left + side])


def test_blur_is_a_gaussian(photo):
    lq = np.ascontiguousarray(photo[:60, :70])
    patch = degrade_patch(lq, random(blur=(0.8, 0.8)), top=20, left=20, side=24, u=0.9)
    whole = cv2.GaussianBlur(lq.astype(np.float64), (0, 0), 0.8)[20:44, 20:44]
    assert np.abs(patch - whole).max() <= 0.51


def test_noise_has_the_drawn_strength():
    grey = np.full((64, 64, 3), 128, np.uint8)
    noise = degrade_patch(grey, random(noise=(10, 10)), top=0, left=0, side=64, u=0.5).astype(float) - 128
    assert noise.std() == pytest.approx(10, rel=0.03) and abs(noise.mean()) < 0.3


def test_strengths_fill_their_range_and_p_is_a_share():
    grey = np.full((32, 32, 3), 128, np.uint8)
    how = random(noise=(2, 12), p=0.5)
    found = [degrade_patch(grey, how, top=0, left=0, side=32, u=at / 400).std() for at in range(400)]
    noisy = [each for each in found if each > 0]
    assert 0.42 < len(noisy) / 400 < 0.58
    assert min(noisy) < 3 and max(noisy) > 11 and 6 < np.mean(noisy) < 8


def test_one_draw_is_always_the_same_and_stays_so_in_later_versions():
    lq = np.full((16, 16, 3), 100, np.uint8)
    how = random(noise=(5, 20), blur=(0, 1), jpeg=(40, 90))
    first, again, other = (degrade_patch(lq, how, top=0, left=0, side=16, u=u) for u in (0.25, 0.25, 0.26))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    noise_only = degrade_patch(lq, random(noise=(20, 20)), top=0, left=0, side=16, u=0.25)
    assert noise_only[0, :2].ravel().tolist() == NOISE


NOISE = [124, 107, 96, 134, 122, 171]


@pytest.fixture
def folder(tmp_path, photo) -> Path:
    for number in range(3):
        write_image(tmp_path / "photos" / f"{number}.png", np.ascontiguousarray(photo[: 60 + 2 * number, :90]))
    return tmp_path / "photos"


def dataset(folder, **options):
    given = {"type": "random", "jpeg": [40, 95], "noise": [0, 10], "blur": [0, 1.2], "p": 0.8}
    accepted, problems = check_options(
        DATASETS.get("PairedImageDataset"),
        {"dataroot_gt": str(folder), "degradation": given, **options},
        wired=("scale",),
    )
    assert not problems
    return PairedImageDataset(scale=2, **accepted)


def test_training_patches_change_and_the_originals_do_not(folder):
    batches = TrainBatches(dataset(folder, gt_size=48), seed=1, batch_size=4)
    clean = TrainBatches(PairedImageDataset(scale=2, dataroot_gt=str(folder), gt_size=48), seed=1, batch_size=4)
    lq, gt, *_ = batches[5]
    assert np.array_equal(gt, clean[5].gt) and not np.array_equal(lq, clean[5].lq)
    assert np.array_equal(lq, batches[5].lq) and abs(float((lq - clean[5].lq).mean())) < 0.02
    assert not np.array_equal(batches[5].lq, TrainBatches(batches.dataset, seed=2, batch_size=4)[5].lq)
    halves = [TrainBatches(batches.dataset, seed=1, batch_size=2, rank=rank, world_size=2) for rank in (0, 1)]
    assert np.array_equal(np.concatenate([half[5].lq for half in halves]), lq)  # split over processes: the same
    assert batches.dataset.gpu_cache is None  # patches are made on the host


def test_validation_images_are_degraded_whole_and_always_alike(folder):
    lq, gt = dataset(folder).pair(1)
    how = RandomDegradation("random", jpeg=(40, 95), noise=(0, 10), blur=(0, 1.2), p=0.8)
    assert np.array_equal(lq, degrade_image(gt, how, scale=2, name="1"))
    assert np.array_equal(lq, dataset(folder).pair(1)[0])
    assert not np.array_equal(lq, imresize(gt, scale=0.5))


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({}, "needs at least one of `blur`, `noise` and `jpeg`"),
        ({"jpeg": (95, 40)}, "`jpeg` \\(=\\[95, 40\\]\\) is \\[lowest, highest\\], from 1 to 100"),
        ({"jpeg": (0, 40)}, "from 1 to 100"),
        ({"noise": (-1, 4)}, "`noise`"),
        ({"blur": (0, 9)}, "from 0 to 4"),
        ({"jpeg": (40, 90), "p": 0}, "`p` \\(=0\\) is a probability"),
    ],
)
def test_mistakes(options, answer):
    with pytest.raises(ValueError, match=answer):
        random(**options)


@pytest.mark.parametrize(
    "given", [{"type": "random", "jpg": [4, 9]}, {"type": "random", "p": True, "jpeg": [4, 9]}, {"type": "randm"}]
)
def test_option_files_are_strict(folder, given):
    _, problems = check_options(
        DATASETS.get("PairedImageDataset"), {"dataroot_gt": str(folder), "degradation": given}, wired=("scale",)
    )
    assert problems


def test_it_excludes_given_low_resolution_images(folder):
    with pytest.raises(InputError, match="degradation random makes the low-resolution images"):
        dataset(folder, dataroot_lq=str(folder))
