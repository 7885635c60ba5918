"""What every registered network must do; a new network is covered without touching this file."""

import pytest
import torch

from srkd.networks.slim import narrow
from srkd.networks.weights import load_network, save_network
from srkd.registry import NETWORKS, option_names

SMALL = {"num_feat": 6, "num_block": 2}


def build(name, scale):
    torch.manual_seed(0)
    component = NETWORKS.get(name)
    small = {key: value for key, value in SMALL.items() if key in option_names(component)}
    return component(**small, upscale=scale)


@pytest.fixture(params=NETWORKS.names())
def name(request):
    return request.param


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 4), (17, 13)])
def test_odd_sizes_at_every_width(name, scale, size):
    network = build(name, scale)
    x = torch.rand(2, 3, *size)
    for width in network.widths:
        assert network(x, width).shape == (2, 3, scale * size[0], scale * size[1])


def test_narrow_equals_slice(name):
    network = build(name, 2)
    x = torch.rand(1, 3, 9, 8)
    for width in network.widths:
        small = narrow(network, width)
        assert torch.equal(small(x), network(x, width))
        assert type(small) is type(network) and small.num_feat == round(width * network.num_feat)
        assert all(a.data_ptr() != b.data_ptr() for a in small.parameters() for b in network.parameters())


def test_gradients_reach_every_parameter(name):
    network = build(name, 2)
    network(torch.rand(2, 3, 8, 8)).square().mean().backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, parameter_name


def test_narrow_gradients_touch_only_the_slice(name):
    network, width = build(name, 2), 0.5
    network(torch.rand(2, 3, 8, 8), width).square().mean().backward()
    sizes = {key: value.shape for key, value in narrow(network, width).state_dict().items()}
    for key, parameter in network.named_parameters():
        inside = torch.zeros_like(parameter, dtype=torch.bool)
        inside[tuple(slice(size) for size in sizes[key])] = True
        assert parameter.grad is not None
        assert parameter.grad[inside].abs().sum() > 0 and parameter.grad[~inside].abs().sum() == 0, key


def test_file_round_trip(name, tmp_path):
    network = build(name, 3)
    save_network(tmp_path / "n.pth", network)
    again = load_network(tmp_path / "n.pth")
    x = torch.rand(1, 3, 5, 6)
    assert torch.equal(again(x), network(x)) and again.config == network.config and again.scale == network.scale == 3


def test_invalid_width_is_explained(name):
    with pytest.raises(ValueError, match="Nearest valid"):
        build(name, 2)(torch.rand(1, 3, 4, 4), 0.33)


def test_every_option_is_documented(name):
    component = NETWORKS.get(name)
    for option in option_names(component):
        assert f"{option}:" in (component.__doc__ or ""), option
