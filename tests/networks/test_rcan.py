"""RCAN: BasicSR's numbers, the papers' parameter counts, and the attention's narrowest bottleneck."""

import pytest
import torch

from srkd.networks.rcan import RCAN
from srkd.networks.slim import narrow


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("res_scale", [1.0, 0.1])
def test_equal_to_basicsr(basicsr, scale, res_scale):
    from basicsr.archs.rcan_arch import RCAN as BasicRCAN

    options = {"num_feat": 32, "num_group": 2, "num_block": 2, "upscale": scale, "res_scale": res_scale}
    torch.manual_seed(0)
    theirs, ours = BasicRCAN(3, 3, **options), RCAN(**options)
    assert list(theirs.state_dict()) == list(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = torch.rand(2, 3, 13, 9)
    assert (ours(x) - theirs(x)).abs().max() <= 1e-6


def test_options_are_basicsr_s(basicsr):
    import inspect

    from basicsr.archs.rcan_arch import RCAN as BasicRCAN

    theirs, ours = inspect.signature(BasicRCAN).parameters, inspect.signature(RCAN).parameters
    assert list(theirs) == list(ours)
    for name, parameter in theirs.items():
        if parameter.default is not inspect.Parameter.empty:
            assert ours[name].default == parameter.default, name


def test_parameter_counts():
    """RCAN's 10 groups of 20 blocks, and FAKD's student with 6."""
    with torch.device("meta"):
        counts = [count(RCAN(num_group=10, num_block=blocks)) for blocks in (20, 6)]
    assert counts == [15_592_355, 5_171_315]  # 15.59 M and 5.17 M


@pytest.mark.parametrize(("channels", "middle"), [(64, 4), (32, 2), (16, 1), (8, 1), (1, 1), (40, 2)])
def test_bottleneck_is_never_empty(channels, middle):
    """CSD's floor(64 / 16 · width), but 1 where that is 0: its RCAN cannot run below a quarter."""
    network = RCAN(num_feat=64, num_group=1, num_block=1, upscale=2)
    small = narrow(network, channels / 64)
    assert small.get_submodule("body.0.residual_group.0.rcab.3.attention.1").out_channels == middle
    x = torch.rand(1, 3, 5, 5)
    assert torch.equal(small(x), network(x, channels / 64))


def test_every_pixel_sees_the_whole_image():
    torch.manual_seed(0)
    network = RCAN(num_feat=16, num_group=1, num_block=1, squeeze_factor=2, upscale=2, img_range=1.0)
    assert network.receptive_field is None
    x = torch.rand(1, 3, 64, 64)
    far = x.clone()
    far[..., 60:, 60:] = 0
    assert not torch.equal(network(x)[..., :8, :8], network(far)[..., :8, :8])


@pytest.mark.parametrize("options", [{"num_feat": 0}, {"num_group": -1}, {"squeeze_factor": 0}, {"img_range": 0.0}])
def test_bad_options_name_the_option_and_value(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        RCAN(**options)
