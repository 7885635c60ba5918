"""EDSR: BasicSR's numbers, the papers' parameter counts, and widths."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from srkd.metrics.cost import multi_adds
from srkd.networks.dialects import DIALECTS, to_dialect
from srkd.networks.edsr import EDSR
from srkd.networks.slim import MeanShift, channels_at, narrow


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("res_scale", [1.0, 0.1])
def test_equal_to_basicsr(basicsr, scale, res_scale):
    from basicsr.archs.edsr_arch import EDSR as BasicEDSR

    options = {"num_feat": 16, "num_block": 3, "upscale": scale, "res_scale": res_scale}
    theirs, ours = BasicEDSR(3, 3, **options), EDSR(**options)
    assert list(theirs.state_dict()) == list(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = torch.rand(2, 3, 13, 9)
    assert (ours(x) - theirs(x)).abs().max() <= 1e-6


def test_parameter_counts():
    assert count(EDSR(num_feat=64, num_block=16, upscale=4)) == 1_517_571
    with torch.device("meta"):
        large = [count(EDSR(num_feat=feat, num_block=32, upscale=4)) for feat in (256, 128, 64)]
    assert [round(number / 1e6, 2) for number in large] == [43.09, 10.78, 2.70]


def test_width_third():
    network = EDSR(num_feat=12, num_block=1, upscale=3)
    x = torch.rand(1, 3, 5, 4)
    assert torch.equal(network(x, 1 / 3), narrow(network, 1 / 3)(x))
    assert narrow(network, 0.3333333).num_feat == 4  # within 1e-6 of a whole number of channels


@pytest.mark.parametrize("width", [0.3, 0.0, -0.5, 1.5, 1 / 64])
def test_invalid_width_lists_nearest(width):
    with pytest.raises(ValueError, match=r"Nearest valid: \d+/10 ="):
        EDSR(num_feat=10, num_block=1)(torch.rand(1, 3, 4, 4), width + 0.01)


@given(num_feat=st.integers(1, 512), data=st.data())
@settings(max_examples=50, deadline=None)
def test_every_whole_count_is_a_valid_width(num_feat, data):
    channels = data.draw(st.integers(1, num_feat))
    assert channels_at(num_feat, channels / num_feat) == channels


def test_output_is_fp32_and_mean_exact_in_bf16():
    network = EDSR(num_feat=8, num_block=1, upscale=2)
    network.bfloat16()
    shift = network.shift
    assert isinstance(shift, MeanShift) and shift.mean.dtype == torch.float32
    assert shift.mean.flatten().tolist() == pytest.approx([0.4488, 0.4371, 0.4040], abs=1e-7)
    assert network(torch.rand(1, 3, 6, 6)).dtype == torch.float32


def test_mean_is_not_in_the_state_dict():
    assert not [name for name in EDSR(num_feat=8, num_block=1).state_dict() if "mean" in name]


def test_receptive_field_is_exact():
    """A pixel changed just inside the radius changes the middle output; one outside does not."""
    torch.manual_seed(0)
    for scale in (2, 3, 4):
        network = EDSR(num_feat=4, num_block=2, upscale=scale, img_range=1.0).double()
        radius = network.receptive_field
        size = 2 * radius + 3
        x = torch.rand(1, 3, size, size, dtype=torch.float64)
        middle = slice(scale * (size // 2), scale * (size // 2 + 1))
        reference = network(x)[..., middle, middle]
        outside = x.clone()
        outside[..., 0, :] += 1  # distance radius + 1
        assert torch.equal(network(outside)[..., middle, middle], reference)
        inside = x.clone()
        inside[..., 1, :] += 100  # distance radius
        assert not torch.equal(network(inside)[..., middle, middle], reference)


@pytest.mark.parametrize(
    "options",
    [
        {"num_feat": 0},
        {"num_block": -1},
        {"upscale": 5},
        {"upscale": 0, "upsampler": "direct"},
        {"img_range": 0.0},
        {"rgb_mean": (0.1, 0.2)},
    ],
)
def test_bad_options_name_the_option_and_value(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        EDSR(**options)


def direct(num_feat=8, num_block=2, upscale=4, **more):
    return EDSR(num_feat=num_feat, num_block=num_block, upscale=upscale, upsampler="direct", **more)


def test_direct_upsampler_is_one_convolution_and_one_shuffle():
    torch.manual_seed(0)
    network = direct(img_range=1.0, rgb_mean=(0.0, 0.0, 0.0))
    features = []
    network.features.register_forward_hook(lambda module, inputs, output: features.append(output))
    image = network(torch.rand(2, 3, 7, 5))
    last = network.last_convolution
    planes = torch.nn.functional.conv2d(features[0], last.weight, last.bias, padding=1)
    for channel in range(3):  # row i and column j of each 4 × 4 block come from plane 16·channel + 4·i + j
        for i, j in ((0, 0), (1, 3), (3, 2)):
            torch.testing.assert_close(image[:, channel, i::4, j::4], planes[:, 16 * channel + 4 * i + j])
    assert "conv_last" not in dict(network.named_modules())


def test_direct_upsampler_costs_what_is_published_of_it():
    """64 × 9 at ×4 for a 1280 × 720 image: 731 K parameters and 42 G multiply-adds, its quarter 51 K and 2.9 G."""
    network = direct(64, 9)
    small = narrow(network, 0.25)
    assert (count(network), count(small)) == (731_120, 51_488)
    cost = [multi_adds(each, height=180, width_px=320) / 1e9 for each in (network, small)]
    assert cost == pytest.approx([42.0, 2.92], rel=0.01)
    assert small.last_convolution.out_channels == 48


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 5, 6])
def test_direct_upsampler_takes_any_whole_scale(scale):
    assert direct(upscale=scale)(torch.rand(1, 3, 4, 6)).shape == (1, 3, 4 * scale, 6 * scale)


@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if dialect != "spandrel"])
def test_other_code_bases_have_no_direct_upsampler(dialect):
    with pytest.raises(ValueError, match="cannot express this EDSR: upsampler must be two_step"):
        to_dialect(direct(), dialect)


def test_the_two_upsamplers_are_not_mistaken_for_each_other():
    two_step = EDSR(num_feat=8, num_block=2, upscale=4)
    with pytest.raises(RuntimeError, match="conv_last"):
        two_step.load_state_dict(direct().state_dict())
    assert two_step.config["upsampler"] == "two_step" and direct().config["upsampler"] == "direct"
