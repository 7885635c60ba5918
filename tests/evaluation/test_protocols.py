import math

import cv2
import numpy as np
import pytest
from PIL import Image

from srkd.evaluation.models import bicubic
from srkd.evaluation.protocols import PROTOCOLS, Chosen, protocol_of
from srkd.evaluation.sets import find_set
from srkd.imaging.color import rgb_to_y
from srkd.imaging.resize import imresize, mod_crop
from srkd.metrics.psnr import psnr
from srkd.metrics.ssim import ssim
from srkd.types import InputError


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("name", ["y", "rgb"])
def test_rounded_protocols_are_the_metrics_of_bicubic_images(name, scale, photo):
    protocol = protocol_of(name, scale)
    sample = protocol.prepare(photo[:83, :97])
    gt = mod_crop(photo[:83, :97], scale)
    sr = imresize(imresize(gt, scale=1 / scale), scale=scale)
    assert np.array_equal(bicubic(scale)(sample.lq), sr)
    luma = name == "y"
    assert protocol.score(sr, sample.gt) == {
        "psnr": psnr(sr, gt, crop_border=scale, test_y_channel=luma),
        "ssim": ssim(sr, gt, crop_border=scale, test_y_channel=luma),
    }


def test_paper_y_keeps_the_small_image_in_floating_point(photo):
    protocol = protocol_of("paper-y", 3)
    sample = protocol.prepare(photo)
    assert sample.gt.ndim == sample.lq.ndim == 2
    assert np.array_equal(sample.gt, np.round(sample.gt)) and not np.array_equal(sample.lq, np.round(sample.lq))
    assert np.abs(sample.gt - rgb_to_y(mod_crop(photo, 3))).max() <= 0.5
    assert protocol.score(sample.gt + 0.4, sample.gt) == {"psnr": math.inf, "ssim": 1.0}


def test_given_lq_is_used_and_its_size_checked(photo):
    protocol = protocol_of("y", 2)
    lq = np.zeros((48, 60, 3), np.uint8)
    assert protocol.prepare(photo, lq).lq is lq
    with pytest.raises(InputError, match=r"48×59 .* must be 48×60"):
        protocol.prepare(photo, lq[:, 1:])
    with pytest.raises(InputError, match="use protocol y"):
        protocol_of("paper-y", 2).prepare(photo, lq)


def test_describe_names_what_matters():
    lines = {name: protocol_of(name, 4).describe() for name in PROTOCOLS}
    assert all(name in line and "×4" in line and "self-ensemble" in line for name, line in lines.items())
    assert len(set(lines.values())) == 3
    with pytest.raises(InputError, match=r"Did you mean 'paper-y'\? Known: y, paper-y, rgb"):
        protocol_of("paper_y", 4)
    with pytest.raises(InputError, match="at least 1"):
        protocol_of("y", 0)


def test_chosen_metrics_keep_their_own_options(photo):
    metrics = {
        "p": ("calculate_psnr", {"crop_border": 0}),
        "s": ("calculate_ssim", {"crop_border": 2, "test_y_channel": True}),
    }
    protocol = Chosen(2, metrics)
    sample = protocol.prepare(photo)
    sr = bicubic(2)(sample.lq)
    assert protocol.score(sr, sample.gt) == {
        "p": psnr(sr, sample.gt),
        "s": ssim(sr, sample.gt, crop_border=2, test_y_channel=True),
    }
    assert "p = calculate_psnr(crop_border=0)" in protocol.describe()
    assert protocol.unlike_tables() == [
        "p: not comparable with papers' tables, which have crop_border: 2 and test_y_channel: true."
    ]


@pytest.mark.parametrize("kind", ["L", "1", "I;16", "LA", "RGB", "P"])
def test_paper_y_takes_the_values_of_grey_files_as_they_are(photo, tmp_path, kind):
    """As MATLAB's scripts, which convert only what has colours (Set14's bridge is a grey file)."""
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    picture = Image.fromarray(grey.astype(np.uint16) * 257) if kind == "I;16" else Image.fromarray(grey).convert(kind)
    picture.save(tmp_path / "bridge.png")
    values = np.asarray(picture.convert("L")) if kind == "1" else grey
    gt, lq = find_set(str(tmp_path)).read(0)
    sample = protocol_of("paper-y", 3).sample(gt, lq, "bridge")
    is_grey = kind in ("L", "1", "I;16", "LA")
    expected = mod_crop(values, 3) if is_grey else np.round(rgb_to_y(mod_crop(np.dstack([values] * 3), 3)))
    assert np.abs(sample.gt - expected).max() <= (0 if is_grey else 1)
    for name in ("y", "rgb"):  # these see RGB, as before
        sample = protocol_of(name, 3).sample(gt, lq, "bridge")
        assert np.array_equal(sample.gt, mod_crop(np.dstack([values] * 3), 3)) and sample.lq.shape == (32, 40, 3)
