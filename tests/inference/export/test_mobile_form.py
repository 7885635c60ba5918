import pytest
import torch
from torch import nn

from srkd.inference.export.mobile import mobile_form, shuffle_by_convolution
from srkd.networks.carn import CARN
from srkd.networks.edsr import EDSR
from srkd.networks.fsrcnn import FSRCNN
from srkd.networks.rcan import RCAN
from srkd.networks.slim import MeanShift, Network, narrow
from srkd.networks.snsr import SNSR, TNSR
from srkd.types import InputError

WITH_SHIFT = {
    "EDSR": lambda **more: EDSR(num_feat=8, num_block=2, res_scale=0.1, **more),
    "EDSR without mean": lambda **more: EDSR(num_feat=8, num_block=1, rgb_mean=(0.0, 0.0, 0.0), **more),
    "grey EDSR": lambda **more: EDSR(num_in_ch=1, num_out_ch=1, num_feat=8, num_block=1, rgb_mean=(0.4,), **more),
    "direct EDSR": lambda **more: EDSR(num_feat=8, num_block=2, upsampler="direct", **more),
    "grey direct EDSR": lambda **more: EDSR(
        num_in_ch=1, num_out_ch=1, num_feat=8, num_block=1, rgb_mean=(0.4,), upsampler="direct", **more
    ),
    "RCAN": lambda **more: RCAN(num_feat=8, num_group=2, num_block=2, squeeze_factor=4, **more),
    "CARN": lambda **more: CARN(num_feat=8, num_group=2, num_block=2, img_range=255.0, **more),
}


def pixels(network: Network, height: int = 13, width: int = 18) -> torch.Tensor:
    """Random bits: what is next to the border and at it matters as much as what is inside."""
    return torch.rand(1, network.num_in_ch, height, width)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("conv_transpose", [False, True])
@pytest.mark.parametrize("upscale", [2, 3, 4])
@pytest.mark.parametrize("kind", WITH_SHIFT)
@torch.inference_mode()
def test_it_computes_the_same_up_to_the_border(kind, upscale, conv_transpose):
    network = WITH_SHIFT[kind](upscale=upscale).eval()
    small = narrow(network, 0.5)
    before = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    form = mobile_form(small, conv_transpose=conv_transpose)
    x = pixels(network)
    assert (form(x) - network(x, 0.5)).abs().max() < 1e-5
    assert all(torch.equal(tensor, before[name]) for name, tensor in small.state_dict().items())
    assert not any(isinstance(module, MeanShift) for module in form.modules())
    assert any(isinstance(module, nn.PixelShuffle) for module in form.modules()) is not conv_transpose


@torch.inference_mode()
def test_features_no_longer_depend_on_the_range():
    """At range 255 half precision would overflow at 65,504."""
    network = EDSR(num_feat=8, num_block=4, img_range=255.0).eval()
    x, largest = pixels(network), dict[str, float]()
    for name, each in (("before", network), ("after", mobile_form(network))):
        each.conv_after_body.register_forward_hook(lambda m, i, o, name=name: largest.update({name: o.abs().max()}))
        each(x)
    assert largest["before"] / largest["after"] == pytest.approx(255, rel=1e-3)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_pixel_shuffle_is_a_transposed_convolution_bit_for_bit(factor):
    x = torch.randn(2, 5 * factor**2, 4, 7)
    assert torch.equal(shuffle_by_convolution(5, factor)(x), nn.functional.pixel_shuffle(x, factor))


@pytest.mark.parametrize("network", [FSRCNN(upscale=2), TNSR(num_feat=4, num_block=1), SNSR(num_feat=4, num_block=1)])
@torch.inference_mode()
def test_luma_networks_have_nothing_to_fold(network):
    x = pixels(network)
    assert torch.equal(mobile_form(network.eval())(x), network(x))
    with pytest.raises(InputError, match="has no PixelShuffle that --conv-transpose could replace"):
        mobile_form(network, conv_transpose=True)


def test_an_unknown_network_is_refused():
    class Mine(Network):
        """Anything may be inside, a range or a mean among it."""

    with pytest.raises(InputError, match="Mine has no mobile form"):
        mobile_form(Mine())
