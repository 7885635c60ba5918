import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from srkd import tf32
from srkd.inference.forward import exact_convolutions, upscale_image, upscale_images
from srkd.inference.tiling import RESIZE_MARGIN, spans, upscale_tiled
from srkd.inference.upscaler import Upscaler
from srkd.networks.carn import CARN
from srkd.networks.edsr import EDSR
from srkd.networks.fsrcnn import FSRCNN
from srkd.networks.rcan import RCAN
from srkd.tf32 import convolutions_round
from srkd.types import InputError

LENGTHS, TILES, MARGINS = st.integers(1, 300), st.integers(1, 100), st.integers(0, 60)


@given(LENGTHS, TILES, MARGINS)
def test_spans_cover_the_axis_once_with_margins_and_equal_windows(length, tile, margin):
    parts = spans(length, tile, margin)
    assert [pixel for part in parts for pixel in range(part.first, part.last)] == list(range(length))
    assert len({part.stop - part.start for part in parts}) == 1
    for part in parts:
        assert 0 <= part.start <= part.first < part.last <= part.stop <= length
        assert part.last - part.first <= tile
        assert part.first - part.start >= min(margin, part.first)
        assert part.stop - part.last >= min(margin, length - part.last)


@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.sampled_from([(), (3,), (4,)]),
    st.sampled_from(["uint8", "uint16", "float32"]),
    st.integers(1, 14),
    st.integers(0, 6),
)
def test_any_size_tile_and_margin_of_an_operation_that_sees_one_pixel(size, kind, dtype, tile, margin):
    image = (np.random.default_rng(0).random(size + kind) * (1 if dtype == "float32" else 255)).astype(dtype)
    nearest = lambda part: part.repeat(2, axis=0).repeat(2, axis=1)  # noqa: E731
    assert np.array_equal(upscale_tiled(nearest, image, scale=2, tile=tile, margin=margin), nearest(image))


torch.manual_seed(0)
NETWORKS = {
    "EDSR": EDSR(num_feat=32, num_block=2, upscale=2, img_range=1.0).eval(),
    "EDSR x3": EDSR(num_feat=8, num_block=1, upscale=3, img_range=1.0).eval(),
    "FSRCNN": FSRCNN(upscale=3).eval(),
}
# With whole vectors of channels oneDNN computes a pixel in one order wherever it lies, as a rule; in narrower layers,
# and in the smallest of images, it may not.
EXACT = ("EDSR",) if torch.backends.cpu.get_cpu_capability() == "AVX512" else ()


@pytest.mark.parametrize("layout", ["channels_last", "nchw"])
@pytest.mark.parametrize("name", NETWORKS)
@given(st.integers(16, 40), st.integers(0, 9))
def test_windows_with_the_receptive_field_as_margin_equal_the_whole(name, layout, tile, more):
    network = NETWORKS[name]
    image = np.random.default_rng(tile).random((61 + more, 45, 3)).astype(np.float32)
    channels_last = layout == "channels_last"
    network.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)

    def forward(part):
        if channels_last:
            return upscale_image(network, part)
        x = torch.from_numpy(part).permute(2, 0, 1)[None].contiguous()
        with torch.inference_mode():
            return network(x[:, :1] if network.num_in_ch == 1 else x)[0].permute(1, 2, 0).numpy()

    whole = forward(image)
    margin = max(network.receptive_field, RESIZE_MARGIN)
    tiled = upscale_tiled(
        forward, image, scale=network.scale, tile=tile, margin=margin, out=np.empty(whole.shape, np.float32)
    )
    assert np.abs(tiled - whole).max() <= (0 if channels_last and name in EXACT else 1e-6)


def test_too_small_a_margin_would_be_seen():
    network = NETWORKS["EDSR"].to(memory_format=torch.channels_last)
    image = np.random.default_rng(0).random((61, 45, 3)).astype(np.float32)
    forward = lambda part: upscale_image(network, part)  # noqa: E731
    tiled = upscale_tiled(forward, image, scale=2, tile=16, margin=network.receptive_field // 2)
    assert np.abs(tiled - forward(image)).max() > 1e-6


@pytest.mark.parametrize("width", [1.0, 0.5])
@pytest.mark.parametrize("kind", ["grey", "rgb", "rgba", "deep"])
@pytest.mark.parametrize("self_ensemble", [False, True])
def test_the_upscaler_in_windows_equals_one_piece(kind, width, self_ensemble):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 43, 4), np.uint8)
    images = {"grey": pixels[..., 0], "rgb": pixels[..., :3], "rgba": pixels, "deep": pixels[..., :3] * np.uint16(257)}
    image = np.ascontiguousarray(images[kind])
    options = {"device": "cpu", "precision": "fp32", "width": width, "self_ensemble": self_ensemble}
    whole = Upscaler(NETWORKS["EDSR"], tile=0, **options)
    tiled = Upscaler(NETWORKS["EDSR"], tile=17, **options)
    assert tiled.tile_for(50, 43) == 17 and whole.tile_for(50, 43) is None
    assert np.abs(tiled(image).astype(int) - whole(image)).max() <= (0 if EXACT and kind != "deep" else 1)


def test_a_network_that_sees_everything_is_cut_approximately_and_says_so(caplog):
    network = RCAN(num_feat=16, num_group=1, num_block=1, upscale=2, squeeze_factor=4)
    assert network.receptive_field is None
    image = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
    tiled = Upscaler(network, device="cpu", precision="fp32", tile=16)
    assert tiled(image).shape == tiled(image).shape == (180, 180, 3)
    said = [record.getMessage() for record in caplog.records if "approximation" in record.getMessage()]
    assert said == ["RCAN sees the whole image at once: in windows of 16 pixels the result is an approximation."]


def test_memory_decides_about_windows():
    network = EDSR(num_feat=64, num_block=1, upscale=4)
    assert Upscaler(network, device="cpu").tile_for(180, 320) is None
    wide = Upscaler(network, device="cpu").tile_for(4000, 6000)
    assert wide is not None and 200 < wide < 2000
    assert Upscaler(network, device="cpu", width=0.25).tile_for(4000, 6000) > wide
    little = Upscaler(network, device="cpu", memory_mb=64)
    assert 16 <= little.tile_for(4000, 6000) < wide / 3
    with pytest.raises(
        InputError, match=r"`memory_mb` \(=1\) is too little for width 1: the smallest window, 16 pixels"
    ):
        Upscaler(network, device="cpu", memory_mb=1).tile_for(4000, 6000)
    assert Upscaler(network, device="cpu", memory_mb=1).tile_for(4, 4) is None
    with pytest.raises(InputError, match="`tile`"):
        Upscaler(network, device="cpu", tile=3)


def test_a_device_that_runs_out_of_memory_goes_on_in_windows(monkeypatch, caplog):
    upscaler = Upscaler(NETWORKS["EDSR"], device="cpu", precision="fp32")
    image = np.random.default_rng(0).integers(0, 256, (100, 90, 3), np.uint8)
    whole = upscaler(image)
    run = upscaler._upscale

    def small_device(network, image, tile, out):
        if tile is None or tile > 40:
            raise torch.OutOfMemoryError("no memory left")
        return run(network, image, tile, out)

    monkeypatch.setattr(upscaler, "_upscale", small_device)
    assert np.abs(upscaler(image).astype(int) - whole).max() <= 1
    assert "going on in windows of 25 pixels" in caplog.text
    assert upscaler.tile_for(100, 90) == 25
    with pytest.raises(torch.OutOfMemoryError):
        never = Upscaler(NETWORKS["EDSR"], device="cpu", precision="fp32", tile=0)
        monkeypatch.setattr(never, "_upscale", small_device)
        never(image)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no memory left"), RuntimeError("MPS backend out of memory")])
def test_images_that_do_not_fit_together_go_one_by_one(monkeypatch, error):
    images = list(np.random.default_rng(0).integers(0, 256, (3, 20, 18, 3), np.uint8))
    upscaler = Upscaler(NETWORKS["EDSR"], device="cpu", precision="fp32")
    each = [upscaler(image) for image in images]

    def small_device(network, images):
        if len(images) > 1:
            raise error
        return upscale_images(network, images)

    monkeypatch.setattr("srkd.inference.upscaler.upscale_images", small_device)
    assert all(np.array_equal(a, b) for a, b in zip(upscaler.batch(images), each, strict=True))
    error = RuntimeError("something else")
    with pytest.raises(RuntimeError, match="something else"):
        upscaler.batch(images)


def test_a_gpu_computes_fp32_in_fp32_and_searches_no_algorithm_for_each_size():
    seen = []

    class Asks(EDSR):
        def forward(self, x, width=1.0):
            seen.append((convolutions_round(), torch.backends.cudnn.benchmark))
            return super().forward(x, width)

    with tf32.convolutions(tf32=True):
        upscale_images(Asks(num_feat=8, num_block=1).eval(), [np.zeros((8, 8, 3), np.uint8)])
        assert seen == [(False, False)] and convolutions_round()


def test_the_switches_stay_until_the_last_thread_is_done():
    with tf32.convolutions(tf32=True):
        first, second = exact_convolutions(), exact_convolutions()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert not convolutions_round()
        second.__exit__(None, None, None)
        assert convolutions_round()


def test_concatenating_networks_too():
    network = CARN(num_feat=8, upscale=2).eval()
    assert network.receptive_field is not None
    image = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    options = {"device": "cpu", "precision": "fp32"}
    tiled, whole = (Upscaler(network, tile=tile, **options)(image).astype(int) for tile in (16, 0))
    assert np.abs(tiled - whole).max() <= 1


@given(
    st.tuples(st.integers(1, 50), st.integers(1, 50)),
    st.sampled_from([(), (3,), (4,)]),
    st.sampled_from(["uint8", "uint16", "float32", "float64"]),
    st.sampled_from([1.0, 0.5, 0.25]),
    st.integers(16, 60),
    st.sampled_from(sorted(NETWORKS)),
)
def test_any_size_kind_depth_width_and_tile(size, kind, dtype, width, tile, name):
    values = np.random.default_rng(0).random(size + kind)
    image = (values * {"uint8": 255, "uint16": 65535}.get(dtype, 1)).astype(dtype)
    options = {"device": "cpu", "precision": "fp32", "width": width}
    whole = Upscaler(NETWORKS[name], tile=0, **options)(image)
    tiled = Upscaler(NETWORKS[name], tile=tile, **options)(image)
    scale = NETWORKS[name].scale
    assert whole.shape == tiled.shape == (scale * size[0], scale * size[1], *kind)
    assert whole.dtype == tiled.dtype == image.dtype
    assert np.abs(whole.astype(float) - tiled).max() <= (1e-5 if dtype.startswith("float") else 1)
