import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image as Pillow
from reference import super_resolve

from srkd.imaging.color import ycbcr_to_rgb
from srkd.imaging.resize import imresize
from srkd.inference.device import choose_device
from srkd.inference.forward import upscale_image
from srkd.inference.upscaler import Upscaler
from srkd.networks.edsr import EDSR
from srkd.networks.fsrcnn import FSRCNN
from srkd.networks.slim import narrow
from srkd.networks.weights import save_network
from srkd.types import InputError, WorkError

torch.manual_seed(0)
NETWORK = EDSR(num_feat=8, num_block=1, upscale=2).eval()

SIZES = st.tuples(st.integers(1, 9), st.integers(1, 9))
SHAPES = st.tuples(SIZES, st.sampled_from([(), (3,), (4,)])).map(lambda parts: parts[0] + parts[1])
IMAGES = st.sampled_from([np.uint8, np.uint16]).flatmap(lambda dtype: npst.arrays(dtype, SHAPES))


@given(IMAGES, st.sampled_from(NETWORK.widths))
def test_kind_depth_and_size(image, width):
    result = Upscaler(NETWORK, width=width, device="cpu", precision="fp32")(image)
    assert result.dtype == image.dtype
    assert result.shape == (2 * image.shape[0], 2 * image.shape[1], *image.shape[2:])


@given(st.lists(st.sampled_from(NETWORK.widths), min_size=1, max_size=6))
def test_switching_equals_a_freshly_narrowed_network(widths):
    image = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)
    upscaler = Upscaler(NETWORK, device="cpu", precision="fp32")
    for width in widths:
        upscaler.width = width
        assert upscaler.width == width
        assert np.array_equal(upscaler(image), super_resolve(narrow(NETWORK, width), image))


def test_narrow_networks_are_made_once(monkeypatch):
    made = []
    monkeypatch.setattr(
        "srkd.inference.widths.narrow", lambda network, width: made.append(width) or narrow(network, width)
    )
    upscaler = Upscaler(NETWORK, width=0.5, device="cpu", precision="fp32")
    for width in (1.0, 0.5, 1.0, 0.5):
        upscaler.width = width
    assert made == [0.5, 1.0]


def test_the_given_network_is_not_changed():
    network = EDSR(num_feat=4, num_block=1, upscale=2).train()
    Upscaler(network, device="cpu")(np.zeros((4, 4, 3), np.uint8))
    assert network.training


def test_from_a_checkpoint_with_its_widths(tmp_path, photo):
    save_network(tmp_path / "n.pth", NETWORK, widths=(1.0, 0.25))
    upscaler = Upscaler(tmp_path / "n.pth", device="cpu", precision="fp32")
    assert (upscaler.scale, upscaler.widths, upscaler.width) == (2, (1.0, 0.25), 1.0)
    assert Upscaler(NETWORK, device="cpu", precision="fp32").widths == NETWORK.widths
    assert np.array_equal(upscaler(photo), super_resolve(NETWORK, photo))


def test_grey_is_the_mean_of_the_channels_before_rounding(photo):
    grey = photo[:12, :12, 0]
    with torch.inference_mode():
        x = torch.from_numpy(np.repeat(grey[None, None] / 255, 3, axis=1)).float()
        expected = NETWORK(x)[0].mean(0).clamp(0, 1).mul(255).round().numpy()
    assert np.abs(upscale_image(NETWORK, grey).astype(float) - expected).max() <= 1
    assert np.mean(upscale_image(NETWORK, grey) != expected) < 0.01


def test_alpha_is_bicubic_and_colour_is_untouched_by_it(photo):
    alpha = photo[:, :, 1]
    result = upscale_image(NETWORK, np.dstack([photo, alpha]))
    assert np.array_equal(result[..., :3], super_resolve(NETWORK, photo))
    assert np.array_equal(result[..., 3], imresize(alpha, scale=2))


def test_sixteen_bits_keep_what_eight_cannot():
    ramp = np.tile(np.linspace(30000, 30256, 16).astype(np.uint16)[None, :, None], (8, 1, 3))
    assert len(np.unique(upscale_image(NETWORK, ramp))) > 20


def test_luma_network_upscales_luma_and_chroma_is_bicubic(photo):
    luma = EDSR(num_in_ch=1, num_out_ch=1, num_feat=4, num_block=0, upscale=2, rgb_mean=(0.0,)).eval()
    for parameter in luma.parameters():
        torch.nn.init.zeros_(parameter)
    luma.conv_last.bias.data.fill_(255 * 0.5)  # the luma is 0.5 everywhere
    image = np.full((6, 8, 3), (200, 90, 40), np.uint8)
    result = upscale_image(luma, image)
    assert result.shape == (12, 16, 3) and len(np.unique(result.reshape(-1, 3), axis=0)) == 1
    grey = upscale_image(luma, image[..., 0])
    expected = round(255 * float(ycbcr_to_rgb(np.array([[0.5, 128 / 255, 128 / 255]]))[0, 0]))
    assert np.all(grey == expected)


def test_wrong_input():
    with pytest.raises(InputError, match="is not valid for `num_feat`"):
        Upscaler(NETWORK, width=0.3, device="cpu")
    upscaler = Upscaler(NETWORK, device="cpu", precision="fp32")
    for image in (np.zeros((4, 4, 3), np.int64), np.zeros((4, 4, 2), np.uint8), np.zeros((1, 4, 4, 3), np.uint8)):
        with pytest.raises(InputError, match="an image is uint8, uint16 or floating point"):
            upscaler(image)
    for device in ("abacus", "cuda:99"):
        with pytest.raises(InputError, match=f"device '{device}' is (unknown|not available); this machine has"):
            choose_device(device)
    assert choose_device("auto").type in ("cuda", "mps", "cpu")


def test_a_pillow_image_of_16_bits_stays_one(photo):
    deep = photo[:8, :9, 0].astype(np.uint16) * 257
    upscaler = Upscaler(NETWORK, device="cpu", precision="fp32")
    result = upscaler(Pillow.fromarray(deep))
    assert result.mode == "I;16"
    assert np.array_equal(np.asarray(result), upscaler(deep))
    with pytest.raises(InputError, match="mode F has no range"):
        upscaler(Pillow.fromarray(deep.astype(np.float32)))


def test_a_pillow_image_is_turned_as_its_exif_says(photo):
    upscaler = Upscaler(NETWORK, device="cpu", precision="fp32")
    picture = Pillow.fromarray(photo[:8, :12].copy())
    picture.getexif()[0x0112] = 6
    assert np.array_equal(np.asarray(upscaler(picture)), upscaler(np.rot90(photo[:8, :12], -1)))


def test_16_bits_are_computed_in_fp32_whatever_8_bits_were(photo, monkeypatch):
    monkeypatch.setattr("srkd.inference.prepared.choose_precision", lambda *_: "bf16")
    upscaler, exact = (Upscaler(NETWORK, device="cpu", precision=given) for given in ("auto", "fp32"))
    deep = photo[:16, :16].astype(np.uint16) * 257
    assert not np.array_equal(upscaler(photo[:16, :16]), exact(photo[:16, :16]))
    assert upscaler.precision == "bf16"
    assert np.array_equal(upscaler(deep), exact(deep))


def test_memory_is_above_0():
    with pytest.raises(InputError, match=r"`memory_mb` \(=-1\) must be above 0"):
        Upscaler(NETWORK, memory_mb=-1)


@pytest.mark.parametrize("shape", [(3, 7, 9), (1, 3, 7, 9), (2, 1, 5, 6), (4, 6, 5), (2, 4, 6, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_a_tensor_comes_back_as_one(shape, dtype):
    up = Upscaler(NETWORK, device="cpu", precision="fp32")
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    y = up(x)
    assert y.dtype == dtype and y.shape == (*shape[:-2], 2 * shape[-2], 2 * shape[-1]) and y.is_contiguous()
    for one, result in zip(x.reshape(-1, *shape[-3:]), y.reshape(-1, shape[-3], *y.shape[-2:]), strict=True):
        array = one.to(torch.float64 if dtype == torch.float64 else torch.float32).permute(1, 2, 0).numpy()
        expected = up(array[..., 0] if shape[-3] == 1 else array)
        assert np.abs(result.permute(1, 2, 0).numpy().squeeze() - expected.squeeze()).max() <= 1e-3
    if shape[-3] == 3 and dtype == torch.float32:
        with torch.no_grad():
            direct = NETWORK.eval()(x if x.ndim == 4 else x[None]).clamp(0, 1)
        assert torch.allclose(y if y.ndim == 4 else y[None], direct, atol=1e-5)


@pytest.mark.parametrize("wrong", [torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(7, 9, 3), torch.zeros(4, 4)])
def test_a_tensor_of_another_kind_is_answered_with_what_is_taken(wrong):
    with pytest.raises(InputError, match=r"\[C, h, w\] or \[B, C, h, w\] with 1, 3 or 4 channels.*this is"):
        Upscaler(NETWORK, device="cpu")(wrong)
    with pytest.raises(InputError, match="lies in \\[0, 1\\]"):
        Upscaler(NETWORK, device="cpu")(torch.full((3, 4, 4), 255.0))


@pytest.mark.parametrize("kind", ["rgb", "grey", "rgba", "float", "luma"])
def test_an_output_that_is_no_number_is_no_black_picture(kind):
    network = FSRCNN(upscale=2) if kind == "luma" else EDSR(num_feat=4, num_block=1, upscale=2)
    with torch.no_grad():
        next(iter(network.parameters())).fill_(float("nan"))
    image = np.zeros({"grey": (8, 8), "rgba": (8, 8, 4)}.get(kind, (8, 8, 3)), np.uint8)
    with pytest.raises(WorkError, match="output is infinite or not a number"):
        Upscaler(network, precision="fp32", device="cpu")(image.astype(np.float32) if kind == "float" else image)
