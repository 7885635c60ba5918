"""The networks that come with the package: small files that load by name and beat bicubic at every width."""

from __future__ import annotations

import pytest
import skimage.data
import torch

import srkd
from srkd.cli import main
from srkd.data.paired_image import PairedImageDataset
from srkd.imaging.files import read_image, write_image
from srkd.imaging.resize import imresize
from srkd.metrics.cost import multi_adds
from srkd.metrics.psnr import psnr
from srkd.networks.pretrained import PRETRAINED, pretrained, resolve
from srkd.networks.weights import load_network
from srkd.types import InputError

WIDTHS = (1.0, 0.75, 0.5, 0.25)
SET5 = {  # what full and quarter width have to reach
    "switchable-x2": (37.4, 37.3),
    "switchable-x2-photo": (37.0, 36.6),
    "switchable-x3": (33.7, 33.5),
    "switchable-x4": (31.6, 31.2),
    "switchable-x2-2026-11": (37.2, 35.5),
    "switchable-x4-2026-11": (31.2, 30.2),
}


@pytest.fixture(params=PRETRAINED)
def name(request) -> str:
    return request.param


def test_the_file_is_small_and_has_a_card(name):
    file = resolve(name)
    assert file.stat().st_size < 4e6
    card = file.with_suffix(".md").read_text(encoding="utf-8")
    assert "Licence of the data" in card and "## Limits" in card and "Set5" in card


def test_widths_scale_and_precision(name):
    network = load_network(name)
    assert (network.trained_widths, network.scale) == (WIDTHS, PRETRAINED[name].scale)
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    costs = [multi_adds(network, height=16, width_px=16, width=width) for width in WIDTHS]
    assert costs == sorted(costs, reverse=True)


def test_the_usual_network_of_a_scale():
    assert [pretrained(scale) for scale in (2, 3, 4)] == [resolve(f"switchable-x{scale}") for scale in (2, 3, 4)]


def test_a_scale_that_is_not_there(name):
    with pytest.raises(InputError, match="no network for ×5"):
        pretrained(5)
    with pytest.raises(InputError, match=f"Did you mean '{name}'"):
        load_network(name.replace("switchable", "switchible"))


def test_a_file_of_the_same_name_comes_first(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    assert resolve(name).absolute() == tmp_path / name


def test_every_width_beats_bicubic_and_the_narrower_one(name):
    """In the mean of four photographs that no training saw."""
    scale = PRETRAINED[name].scale
    originals = [
        skimage.data.chelsea()[12:288, 60:372],
        skimage.data.astronaut()[:264, 100:364],
        skimage.data.coffee()[100:292, 100:340],
        skimage.data.rocket()[60:300, 200:440],
    ]
    small = [imresize(original, scale=1 / scale) for original in originals]

    def mean(larger):
        pairs = zip(map(larger, small), originals, strict=True)
        return sum(psnr(mine, gt, crop_border=scale, test_y_channel=True) for mine, gt in pairs) / len(small)

    up = srkd.Upscaler(name, precision="fp32")
    reached = [mean(lambda lq: imresize(lq, scale=scale))]
    for up.width in reversed(WIDTHS):
        reached.append(mean(up.upscale))
    assert reached == sorted(reached)
    assert reached[1] > reached[0] + 0.3


def test_what_the_results_say_holds(name, shared_data):
    scale = PRETRAINED[name].scale
    up = srkd.Upscaler(name, precision="fp32")
    pairs = PairedImageDataset(scale=scale, dataroot_gt=str(shared_data / "Set5/HR"))
    for width, least in zip((1.0, 0.25), SET5[name], strict=True):
        up.width = width
        values = [
            psnr(up.upscale(lq), gt, crop_border=scale, test_y_channel=True)
            for lq, gt in (pairs.pair(index) for index in range(len(pairs)))
        ]
        assert sum(values) / len(values) >= least


def test_a_photograph_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "photo.png", skimage.data.astronaut()[:40, :48])
    assert main(["upscale", "photo.png"]) == 0
    assert read_image(tmp_path / "photo_x2.png").shape == (80, 96, 3)
    assert main(["upscale", "photo.png", "-m", "switchable-x4", "--width", "0.25"]) == 0
    assert read_image(tmp_path / "photo_x4.png").shape == (160, 192, 3)
