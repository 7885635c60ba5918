"""Several protocols, self-ensemble, windows, LPIPS and given LR images in one benchmark."""

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from reference import super_resolve

from srkd.evaluation.benchmark import benchmark, benchmarks
from srkd.evaluation.lpips import PerceptualColumn
from srkd.evaluation.models import Model
from srkd.evaluation.protocols import protocol_of
from srkd.evaluation.sets import TestSet, find_set
from srkd.imaging.resize import imresize
from srkd.inference.ensemble import SelfEnsemble
from srkd.metrics.psnr import psnr
from srkd.networks.edsr import EDSR
from srkd.networks.rcan import RCAN
from srkd.types import InputError


def test_protocols_that_shrink_alike_share_the_upscaling(network, folder):
    passes = []
    handle = network.register_forward_pre_hook(lambda *_: passes.append(1))
    sets = [find_set(str(folder))]
    y, rgb = benchmarks([Model("n", network)], sets, protocols=[protocol_of("y", 2), protocol_of("rgb", 2)])
    handle.remove()
    assert [row.seconds for row in y.rows] == [row.seconds for row in rgb.rows]
    for result, name in ((y, "y"), (rgb, "rgb")):
        alone = benchmark([Model("n", network)], sets, protocol=protocol_of(name, 2))
        assert [row.metrics for row in result.rows] == [row.metrics for row in alone.rows]


def test_y_and_paper_y_of_a_luma_network_are_those_of_separate_runs(folder):
    luma = EDSR(num_in_ch=1, num_out_ch=1, num_feat=4, num_block=0, upscale=2, rgb_mean=(0.0,)).eval()
    sets, protocols = [find_set(str(folder))], [protocol_of("y", 2), protocol_of("paper-y", 2)]
    for result, protocol in zip(benchmarks([Model("n", luma)], sets, protocols=protocols), protocols, strict=True):
        alone = benchmark([Model("n", luma)], sets, protocol=protocol)
        assert [row.metrics for row in result.rows] == [row.metrics for row in alone.rows]


@pytest.mark.parametrize("name", ["y", "paper-y"])
def test_self_ensemble_is_the_mean_of_eight_and_is_written_with_a_plus(name, network, photo):
    if name == "paper-y":
        network = EDSR(num_in_ch=1, num_out_ch=1, num_feat=4, num_block=1, upscale=2, rgb_mean=(0.0,))
    protocol = protocol_of(name, 2, self_ensemble=True)
    seen = {}
    result = benchmark(
        [Model("n", network.eval())], [TestSet("s", ["a"], lambda index: (photo, None))],
        protocol=protocol, on_image=lambda row, sr: seen.update({row.model: sr}),
    )  # fmt: skip
    lq = protocol.prepare(photo).lq
    if name == "y":
        expected = super_resolve(SelfEnsemble(network), lq)
        assert np.array_equal(seen["n+"], expected)
    else:
        with torch.inference_mode():
            plane = SelfEnsemble(network)(torch.from_numpy(lq / 255).float()[None, None])[0, 0].double().numpy() * 255
        assert np.abs(seen["n+"] - plane).max() < 1e-3
    assert [row.model for row in result.rows] == ["bicubic", "n+"] == [model["name"] for model in result.models]
    assert result.protocol["self_ensemble"] and "with self-ensemble" in result.protocol["description"]
    assert any("EDSR+" in line for line in result.warnings)


@pytest.mark.parametrize("name", ["y", "paper-y"])
def test_windows_change_nothing_where_the_receptive_field_is_known(name, photo):
    channels = 1 if name == "paper-y" else 3
    network = EDSR(
        num_in_ch=channels, num_out_ch=channels, num_feat=4, num_block=1, upscale=2, rgb_mean=(0.4,) * channels
    )
    sets = [TestSet("s", ["a"], lambda index: (photo, None))]
    whole, cut = (
        benchmarks([Model("n", network)], sets, protocols=[protocol_of(name, 2)], tile=tile)[0] for tile in (0, 16)
    )
    assert cut.rows[1].metrics["psnr"] == pytest.approx(whole.rows[1].metrics["psnr"], abs=1e-4)
    assert (whole.tile, cut.tile) == (0, 16) and cut.warnings == whole.warnings


def test_windows_of_a_network_that_sees_everything_are_warned_of(photo):
    network = RCAN(num_feat=4, num_group=1, num_block=1, squeeze_factor=2, upscale=2)
    sets = [TestSet("s", ["a"], lambda index: (photo, None))]
    (result,) = benchmarks([Model("n", network)], sets, protocols=[protocol_of("y", 2)], tile=16)
    assert [line for line in result.warnings if line.startswith("n: the network sees the whole image")]
    with pytest.raises(InputError, match=r"`tile` \(=5\)"):
        benchmarks([Model("n", network)], sets, protocols=[protocol_of("y", 2)], tile=5)


def test_lpips_is_a_column_of_rgb_images(network, photo):
    def difference(sr, gt, *, crop_border):
        assert sr.dtype == gt.dtype == np.uint8 and sr.shape == gt.shape
        return float(np.abs(sr.astype(int) - gt).mean()) + crop_border

    column = PerceptualColumn({"backbone": "alex"}, difference)
    sets = [TestSet("s", ["a"], lambda index: (photo, None))]
    protocols = [protocol_of("y", 2), protocol_of("paper-y", 2)]
    y, paper = benchmarks([], sets, protocols=protocols, lpips=column)
    sr = imresize(protocols[0].prepare(photo).lq, scale=2)
    assert y.rows[0].metrics["lpips"] == difference(sr, photo, crop_border=2) == y.summary[0].metrics["lpips"]
    assert list(y.rows[0].metrics) == ["psnr", "ssim", "lpips"] and y.missing == {}
    assert "lpips" not in paper.rows[0].metrics and "has no RGB images" in paper.missing["lpips"]


def test_a_model_may_have_widths_of_its_own(network, folder):
    models = [Model("student", network), Model("teacher", network, only=(1.0,))]
    result = benchmark(models, [find_set(str(folder)).first(1)], protocol=protocol_of("y", 2), widths=[0.5, 0.25])
    assert [(row.model, row.width) for row in result.rows] == [
        *(("bicubic", 1.0), ("student", 0.5), ("student", 0.25), ("teacher", 1.0)),
    ]


def test_time_is_accounted_for(network, folder):
    timing = benchmark([Model("n", network)], [find_set(str(folder))], protocol=protocol_of("y", 2)).timing
    assert set(timing) == {
        *("wall_seconds", "network_seconds", "metrics_seconds", "reading_seconds", "waiting_seconds"),
        *("metrics_share", "workers", "reused_rows"),
    }
    assert 0 < timing["metrics_share"] < 1 and timing["network_seconds"] <= timing["wall_seconds"]


def test_given_lr_images_that_are_not_matlabs_are_warned_of(photo):
    gt = photo[:94, :118]
    matlab = imresize(gt, scale=0.5)
    pillow = np.asarray(Image.fromarray(gt).resize((59, 47), Image.Resampling.BICUBIC))
    opencv = cv2.resize(gt, (59, 47), interpolation=cv2.INTER_CUBIC)
    nearly = matlab ^ (np.random.default_rng(0).random(matlab.shape) < 0.02)  # ties that were rounded otherwise
    for lq, warned in ((matlab, False), (nearly, False), (pillow, True), (opencv, True)):
        sets = [TestSet("Mine", ["a"], lambda index, lq=lq: (gt, lq))]
        result = benchmark([], sets, protocol=protocol_of("y", 2))
        assert any("LR images of Mine are not MATLAB's" in line for line in result.warnings) == warned
        assert result.rows[0].metrics["psnr"] == psnr(imresize(lq, scale=2), gt, crop_border=2, test_y_channel=True)


def test_what_makes_figures_incomparable_is_said(folder, photo):
    few = TestSet("Set5", ["a", "b"], lambda index: (photo, None))
    result = benchmark([], [few], protocol=protocol_of("rgb", 2))
    assert any("RGB" in line for line in result.warnings)
    assert "Set5 has 2 images here; tables have the mean over 5." in result.warnings
    (folder / "HR" / "img1.png").write_bytes(b"not an image")
    result = benchmark([], [find_set(str(folder))], protocol=protocol_of("y", 2))
    assert result.warnings == ["mine is without images that failed: means are over 2 of 3."]
    (folder / "HR" / "img1.png").unlink()
    assert benchmark([], [find_set(str(folder))], protocol=protocol_of("paper-y", 2)).warnings == []
