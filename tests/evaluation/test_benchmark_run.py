import hashlib
import math

import numpy as np
import pytest
import torch
from reference import super_resolve

from srkd.evaluation.benchmark import benchmark
from srkd.evaluation.models import Model, bicubic, common_scale, load_models, multi_adds_720p, through, untrained_widths
from srkd.evaluation.protocols import protocol_of
from srkd.evaluation.sets import TestSet, find_set
from srkd.metrics.cost import parameters
from srkd.metrics.psnr import psnr
from srkd.networks.edsr import EDSR
from srkd.networks.slim import narrow
from srkd.networks.weights import save_network
from srkd.types import InputError, WorkError


def test_rows_are_those_of_the_sliced_network_and_bicubic(network, folder):
    seen = []
    test_set = find_set(str(folder))
    protocol = protocol_of("rgb", 2)
    result = benchmark(
        [Model("net", network)], [test_set], protocol=protocol, widths=[1.0, 0.5],
        on_image=lambda row, sr: seen.append((row, sr)),
    )  # fmt: skip
    assert [row for row, _ in seen] == result.rows and not result.failures
    assert [(row.image, row.model, row.width) for row in result.rows] == [
        (f"img{number}", model, width)
        for number in range(3)
        for model, width in (("bicubic", 1.0), ("net", 1.0), ("net", 0.5))
    ]
    for row, sr in seen:
        sample = protocol.prepare(test_set.read(int(row.image[-1]))[0])
        expected = (
            bicubic(2)(sample.lq)
            if row.model == "bicubic"
            else super_resolve(network.eval(), sample.lq, width=row.width)
        )
        assert np.array_equal(sr, expected)
        assert row.metrics["psnr"] == psnr(expected, sample.gt, crop_border=2)


def test_summary_is_the_mean_with_the_cost_of_the_narrow_network(network, folder):
    network.trained_widths = (1.0, 0.25)
    result = benchmark([Model("net", network)], [find_set(str(folder))], protocol=protocol_of("y", 2))
    assert [(item.model, item.width, item.n, item.n_expected) for item in result.summary] == [
        ("bicubic", 1.0, 3, 3),
        ("net", 1.0, 3, 3),
        ("net", 0.25, 3, 3),
    ]
    for item in result.summary:
        rows = [row for row in result.rows if (row.model, row.width) == (item.model, item.width)]
        assert item.metrics["ssim"] == pytest.approx(np.mean([row.metrics["ssim"] for row in rows]), abs=1e-12)
    small = narrow(network, 0.25)
    assert result.summary[2].params == parameters(small)
    assert (
        result.summary[2].multi_adds
        == multi_adds_720p(small)
        == round(multi_adds_720p(network.__class__(**small.config)))
    )


def test_images_are_read_once_whatever_the_number_of_models(network, photo):
    reads = []

    def read(index):
        reads.append(index)
        return photo[:24, :24], None

    models = [Model("a", network), Model("b", network)]
    benchmark(models, [TestSet("s", ["x", "y"], read)], protocol=protocol_of("y", 2), widths=[1.0, 0.5])
    assert reads == [0, 1]


def test_one_corrupt_image_does_not_stop_the_rest(network, folder):
    (folder / "HR" / "img1.png").write_bytes(b"not an image")
    result = benchmark([Model("net", network)], [find_set(str(folder))], protocol=protocol_of("y", 2))
    assert [(item.n, item.n_expected) for item in result.summary] == [(2, 3), (2, 3)]
    assert [(failure.set, failure.image) for failure in result.failures] == [("mine", "img1")]
    with pytest.raises(WorkError, match=r"mine/img1: .*img1\.png"):
        result.raise_failures()


def test_all_images_corrupt_leaves_an_empty_summary(folder):
    for path in (folder / "HR").iterdir():
        path.write_bytes(b"")
    result = benchmark([], [find_set(str(folder))], protocol=protocol_of("y", 2))
    assert not result.rows and result.summary[0].n == 0 and result.summary[0].metrics == {}


def test_a_model_that_fails_on_an_image_is_noted_with_its_name(folder):
    class Tired(EDSR):
        def forward(self, x, width=1.0):
            if x.shape[3] == 25:  # the first image's width; the warm-up is smaller
                raise RuntimeError("out of memory")
            return super().forward(x, width)

    network = Tired(num_feat=4, num_block=0, upscale=2)
    result = benchmark([Model("net", network)], [find_set(str(folder)).first(1)], protocol=protocol_of("y", 2))
    assert [row.model for row in result.rows] == ["bicubic"]
    assert [(failure.model, failure.reason) for failure in result.failures] == [("net", "out of memory")]


def test_a_perfect_image_has_infinite_psnr_and_so_has_the_mean():
    flat = np.full((24, 24, 3), 100, np.uint8)
    noise = np.random.default_rng(0).integers(0, 255, flat.shape, np.uint8)
    test_set = TestSet("s", ["flat", "noise"], lambda index: ((flat, noise)[index], None))
    result = benchmark([], [test_set], protocol=protocol_of("y", 2))
    assert result.rows[0].metrics["psnr"] == math.inf > result.rows[1].metrics["psnr"]
    assert result.summary[0].metrics["psnr"] == math.inf


def test_paper_y_takes_luma_networks_and_refuses_rgb_ones(network, photo):
    protocol = protocol_of("paper-y", 2)
    test_set = TestSet("s", ["a"], lambda index: (photo, None))
    with pytest.raises(InputError, match="net is an RGB network: use protocol y"):
        benchmark([Model("net", network)], [test_set], protocol=protocol)
    luma = EDSR(num_in_ch=1, num_out_ch=1, num_feat=4, num_block=0, upscale=2, rgb_mean=(0.0,)).eval()
    result = benchmark([Model("luma", luma)], [test_set], protocol=protocol)
    sample = protocol.prepare(photo)
    with torch.inference_mode():
        sr = luma(torch.from_numpy(sample.lq / 255).float()[None, None])[0, 0].double().numpy() * 255
    assert result.rows[1].metrics == pytest.approx(protocol.score(sr, sample.gt), abs=1e-6)


def test_widths_that_do_not_fit(network, folder):
    with pytest.raises(InputError, match=r"EDSR: `width` \(=0.3\).*Nearest valid: 2/8"):
        benchmark([Model("net", network)], [find_set(str(folder))], protocol=protocol_of("y", 2), widths=[0.3])
    network.trained_widths = (1.0, 0.5)
    models = [Model("net", network)]
    assert untrained_widths(models, [1.0, 0.5]) == untrained_widths(models, None) == []
    assert untrained_widths(models, [0.5, 0.25]) == ["net was not trained at width 0.25 (trained: 1, 0.5)."]


def test_scale_comes_from_the_networks_and_must_be_one(network):
    other = EDSR(num_feat=4, num_block=0, upscale=4)
    assert common_scale([Model("a", network)], None) == 2 and common_scale([], 3) == 3
    with pytest.raises(InputError, match="--scale is 4, but a is a ×2 network"):
        common_scale([Model("a", network)], 4)
    with pytest.raises(InputError, match="a is a ×2 network, but b is a ×4 network"):
        common_scale([Model("a", network), Model("b", other)], None)
    with pytest.raises(InputError, match="needs --scale"):
        common_scale([], None)


def test_sets_of_the_same_name_are_refused(folder):
    with pytest.raises(InputError, match="two test sets are called mine"):
        benchmark([], [find_set(str(folder))] * 2, protocol=protocol_of("y", 2))


def test_models_are_named_shortly_but_differently(tmp_path, network):
    paths = [tmp_path / "csd" / "models" / "net_g_5.pth", tmp_path / "a" / "n.pth", tmp_path / "b" / "n.pth"]
    for path in paths:
        save_network(path, network, params_ema=network.state_dict(), iter=5, method="CSD")
    models = load_models([paths[0], "bicubic", *paths])
    assert [model.name for model in models] == ["csd/5", str(paths[1]), str(paths[2])]
    digest = hashlib.sha256(paths[0].read_bytes()).hexdigest()
    origin = {"path": str(paths[0]), "sha256": digest, "key": "params_ema", "iter": 5, "method": "CSD"}
    assert models[0].origin == origin


def test_multi_adds_at_scale_three_are_scaled():
    network = EDSR(num_feat=4, num_block=1, upscale=3)
    at_lq, at_hq = 9 * (3 * 4 + 3 * 4 * 4 + 4 * 36), 9 * (4 * 3)  # head, block and body's end, upsampler; tail
    assert multi_adds_720p(network) == at_lq * 720 * 1280 // 9 + at_hq * 720 * 1280


def test_a_network_runs_where_it_is(network, photo):
    protocol = protocol_of("y", 2)
    sample = protocol.prepare(photo)
    network.eval()
    wide, half = (through(network, width)(sample.lq) for width in (1.0, 0.5))
    assert np.array_equal(half, super_resolve(network, sample.lq, width=0.5)) and not np.array_equal(wide, half)
