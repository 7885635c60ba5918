"""EDSR: BasicSR's numbers, the papers' parameter counts, and widths."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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
    "options", [{"num_feat": 0}, {"num_block": -1}, {"upscale": 5}, {"img_range": 0.0}, {"rgb_mean": (0.1, 0.2)}]
)
def test_bad_options_name_the_option_and_value(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        EDSR(**options)
