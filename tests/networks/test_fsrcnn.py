"""FSRCNN: the count, the widths that split both of its channel numbers, and its layers written out."""

import pytest
import torch
from torch.nn import functional as F

from srkd.networks.edsr import EDSR
from srkd.networks.fsrcnn import FSRCNN
from srkd.networks.slim import narrow


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_parameter_count_is_that_of_every_scale(scale):
    assert sum(parameter.numel() for parameter in FSRCNN(upscale=scale).parameters()) == 12_644


def test_parts_have_pisr_s_names():
    names = [name for name, _ in FSRCNN().named_children()]
    assert names == ["feature_extraction", "shrinking", "mapping", "expanding", "last_layer"]
    assert all(layer.num_parameters == 1 for layer in FSRCNN().modules() if isinstance(layer, torch.nn.PReLU))


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_layers_written_out(scale):
    network = FSRCNN(num_feat=6, num_shrink=3, num_map=1, upscale=scale)
    state = network.state_dict()

    def conv(x, name, padding=0):
        x = F.conv2d(x, state[f"{name}.0.weight"], state[f"{name}.0.bias"], padding=padding)
        return F.prelu(x, state[f"{name}.1.weight"])

    x = torch.rand(2, 1, 7, 5)
    y = conv(conv(conv(conv(x, "feature_extraction", 2), "shrinking"), "mapping", 1), "expanding")
    weight, bias = state["last_layer.weight"], state["last_layer.bias"]
    y = F.conv_transpose2d(y, weight, bias, stride=scale, padding=4, output_padding=scale - 1)
    assert y.shape == (2, 1, 7 * scale, 5 * scale)
    torch.testing.assert_close(network(x), y)


def test_widths_split_both_numbers():
    network = FSRCNN(upscale=2)
    assert network.widths == (1.0, 0.75, 0.5, 0.25)
    small = narrow(network, 0.25)
    assert (small.num_feat, small.num_shrink, small.widths) == (14, 3, (1.0,))


@pytest.mark.parametrize("width", [1 / 8, 3 / 8, 0.3])
def test_other_widths_are_explained(width):
    with pytest.raises(ValueError, match=r"=56.*=12.*both times width must be whole. Nearest valid: .*1/4 = 0.25"):
        FSRCNN()(torch.rand(1, 1, 4, 4), width)


@pytest.mark.parametrize("network", [FSRCNN(), EDSR(num_feat=8, num_block=1)])
def test_widths_that_were_trained_are_named(network):
    network.trained_widths = (1.0, 0.25)
    with pytest.raises(ValueError, match=r"(whole|to 8)\. Trained: 1, 0.25\. Nearest valid: "):
        network.channels(0.3)


@pytest.mark.parametrize("options", [{"num_feat": 0}, {"num_shrink": 0}, {"num_map": -1}, {"upscale": 0}])
def test_bad_options_name_the_option_and_value(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        FSRCNN(**options)
