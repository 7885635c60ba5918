"""A network that grows around a narrower one, for every network there is."""

import copy

import pytest
import torch

from srkd.networks.edsr import EDSR
from srkd.networks.growth import freeze_prefix, prefix_elements, widen
from srkd.networks.slim import narrow
from srkd.registry import NETWORKS, option_names

SMALL = {"num_feat": 6, "num_group": 2, "num_block": 2, "squeeze_factor": 2, "num_shrink": 4, "num_map": 2}
DIRECT = "EDSR direct"


def build(name, seed=0):
    torch.manual_seed(seed)
    if name == DIRECT:
        return EDSR(num_feat=6, num_block=2, upscale=2, upsampler="direct")
    component = NETWORKS.get(name)
    return component(**{key: value for key, value in SMALL.items() if key in option_names(component)}, upscale=2)


@pytest.fixture(params=[*NETWORKS.names(), DIRECT])
def network(request):
    return build(request.param)


def middle(network):
    return network.widths[len(network.widths) // 2]


def pixels(network, count=1):
    return torch.rand(count, network.num_in_ch, 8, 9, dtype=next(network.parameters()).dtype)


def test_elements_are_those_of_narrow(network):
    small = narrow(network, middle(network)).state_dict()
    for name, elements in prefix_elements(network, middle(network)).items():
        assert torch.equal(network.get_parameter(name).flatten()[elements], small[name].flatten())


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD, torch.optim.AdamW])
def test_the_frozen_prefix_stays_bit_for_bit_and_the_rest_learns(network, optimizer):
    before = copy.deepcopy(network)
    freeze_prefix(network, middle(network))
    options = {"weight_decay": 0.0} if optimizer is torch.optim.AdamW else {}
    steps = optimizer(network.parameters(), lr=1e-2, **options)
    for _ in range(3):
        for width in (1.0, middle(network)):
            network(pixels(network, 2), width).square().mean().backward()
        steps.step()
        steps.zero_grad()
    kept, learnt = narrow(before, middle(network)).state_dict(), narrow(network, middle(network)).state_dict()
    assert all(torch.equal(kept[name], learnt[name]) for name in kept)
    assert not torch.equal(network(pixels(network)), before(pixels(network)))
    changed = [name for name, value in network.named_parameters() if not torch.equal(value, before.get_parameter(name))]
    assert changed


def test_a_widened_network_computes_what_the_small_one_does(network):
    network = network.double()
    torch.manual_seed(1)
    small = network.narrower(middle(network)).double()
    x = pixels(network)
    widen(network, small)
    assert torch.equal(network(x, middle(network)), small(x))
    torch.testing.assert_close(network(x), small(x), rtol=0, atol=1e-9)


def test_what_is_not_narrower_is_refused():
    network = EDSR(num_feat=8, num_block=2, upscale=2)
    for wrong in ({"num_block": 3}, {"upscale": 4}, {"img_range": 1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            widen(network, EDSR(**{"num_feat": 4, "num_block": 2, "upscale": 2, **wrong}))
