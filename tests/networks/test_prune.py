"""Channels in order of importance, for every network there is: the same function, and the best of it in front."""

import copy

import pytest
import torch

from srkd.networks.edsr import EDSR
from srkd.networks.prune import by_norm, by_scale, by_search, ordered, spaces
from srkd.networks.slim import narrow
from srkd.registry import NETWORKS
from srkd.signature import option_names

SMALL = {"num_feat": 6, "num_group": 2, "num_block": 2, "squeeze_factor": 2, "num_shrink": 4, "num_map": 2}
DIRECT = "EDSR direct"


def build(name, upscale=2):
    torch.manual_seed(0)
    if name == DIRECT:
        return EDSR(num_feat=6, num_block=2, upscale=upscale, upsampler="direct").eval()
    component = NETWORKS.get(name)
    options = {key: value for key, value in SMALL.items() if key in option_names(component)}
    return component(**options, upscale=upscale).eval()


@pytest.fixture(params=[*NETWORKS.names(), DIRECT])
def network(request):
    if request.param in ("spandrel",):
        pytest.skip("no network of ours")
    return build(request.param)


def image(network, seed=1):
    torch.manual_seed(seed)
    return torch.rand(2, network.num_in_ch, 9, 7)


def error(network, width=1.0):
    """Distance from the image itself, enlarged."""
    x = image(network)
    target = torch.nn.functional.interpolate(x, scale_factor=network.scale, mode="nearest")
    return (network(x, width) - target).square().mean()


@pytest.mark.parametrize("upscale", [2, 4])
@pytest.mark.parametrize("name", [*(n for n in NETWORKS.names() if n != "spandrel"), DIRECT])
def test_any_order_computes_the_same(name, upscale):
    network = build(name, upscale)
    torch.manual_seed(2)
    shuffled = ordered(network, [(space, torch.randperm(space.size)) for space in spaces(network)])
    assert any(not torch.equal(a, b) for a, b in zip(network.parameters(), shuffled.parameters(), strict=True))
    with torch.no_grad():
        x = image(network)
        exact = copy.deepcopy(network).double()(x.double())
        torch.testing.assert_close(shuffled.double()(x.double()), exact, rtol=1e-12, atol=1e-12)


def test_every_layer_is_in_its_spaces(network):
    """All inputs but the image's, all outputs but the image's."""
    found = spaces(network)
    layers = [name for name, module in network.named_modules() if hasattr(module, "kernel_size")]
    depthwise = {name for name in layers if network.get_submodule(name).groups > 1}
    written = [name for space in found for name in space.writers]
    read = [name for space in found for name in space.readers]
    assert sorted([*read, *depthwise]) == sorted(set(layers) - {layers[0]})
    assert len(written) == len(set(written)) and len(layers) - 1 == len(written)


def test_edsrs_long_skip_is_one_space():
    network = build(DIRECT)
    first, *inner = spaces(network)
    assert first.writers == ["conv_first", "body.0.conv2", "body.1.conv2", "conv_after_body"]
    assert first.readers == ["body.0.conv1", "body.1.conv1", "conv_after_body", "upsample.0"]
    assert [(space.writers, space.readers) for space in inner] == [
        ([f"body.{n}.conv1"], [f"body.{n}.conv2"]) for n in range(2)
    ]


def with_useless_channels(network):
    """Channels 0 and 2 of the long skip, and 1 of the inner spaces, are hardly written."""
    with torch.no_grad():
        for space in spaces(network):
            bad = [0, 2] if space is spaces(network)[0] or len(space.writers) > 1 else [1]
            for name in space.writers:
                layer = network.get_submodule(name)
                layer.weight[bad] *= 1e-3
                layer.bias[bad] *= 1e-3
    return network


@pytest.mark.parametrize("how", ["norm", "scale", "search"])
def test_useless_channels_come_last(how):
    network = with_useless_channels(build(DIRECT))

    def loss(other):
        return (other(image(other)) - network(image(network)).detach()).square().mean()

    ways = {
        "norm": by_norm,
        "scale": lambda network: by_scale(network, loss, steps=60, sparsity=1e-3, rate=0.05),
        "search": lambda network: by_search(network, loss),
    }
    orders = ways[how](network)
    space, order = orders[0]
    assert len(space.writers) == 4 and set(order[-2:].tolist()) == {0, 2}
    best = ordered(network, orders)
    with torch.no_grad():
        x = image(network)
        full = network(x)
        torch.testing.assert_close(best(x), full, rtol=1e-5, atol=1e-5)
        near = (narrow(best, 4 / 6)(x) - full).abs().mean()
        assert near < 0.3 * (narrow(network, 4 / 6)(x) - full).abs().mean()
        torch.testing.assert_close(narrow(best, 4 / 6)(x), best(x, 4 / 6))


def test_the_search_is_greedy_by_hand():
    """Each channel that is taken away is the one without which the loss is lowest."""
    network = build(DIRECT)
    space, order = by_search(network, error)[0]
    kept = torch.ones(space.size)

    def without(channel):
        mask = kept.clone()
        mask[channel] = 0
        changed = copy.deepcopy(network)
        with torch.no_grad():
            for name in space.writers:
                layer = changed.get_submodule(name)
                layer.weight *= mask.view(-1, 1, 1, 1)
                layer.bias *= mask
            return error(changed).item()

    for channel in reversed(order[1:].tolist()):
        left = [c for c in range(space.size) if kept[c]]
        assert channel == min(left, key=without)
        kept[channel] = 0


def test_measuring_leaves_the_network_alone(network):
    before = copy.deepcopy(network.state_dict())
    by_scale(network, error, steps=2)
    by_norm(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_weights_by_channel_elsewhere_are_refused():
    network = build(DIRECT)
    network.extra = torch.nn.PReLU(6)
    with pytest.raises(ValueError, match=r"extra\.weight is no convolution's"):
        spaces(network)
