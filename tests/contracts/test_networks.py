"""What every registered network must do; a new network is covered without touching this file."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from srkd.inference.export.export import export
from srkd.inference.forward import upscale_image
from srkd.networks.slim import narrow
from srkd.networks.weights import load_network, save_network
from srkd.registry import NETWORKS
from srkd.signature import option_names

DIRECT = "EDSR direct"
SMALL = {"num_feat": 6, "num_group": 2, "num_block": 2, "squeeze_factor": 2, "num_shrink": 4, "num_map": 2}


def build(name, scale, seed=0):
    """A small network; each option in `SMALL` goes to the networks that have it."""
    torch.manual_seed(seed)
    if name == DIRECT:
        return NETWORKS.get("EDSR")(num_feat=6, num_block=2, upscale=scale, upsampler="direct")
    component = NETWORKS.get(name)
    small = {key: value for key, value in SMALL.items() if key in option_names(component)}
    return component(**small, upscale=scale)


def images(network, *size, count=1):
    """Images [count, C, *size] of what the network takes, from dark to bright."""
    shade = torch.linspace(0.25, 0.75, count + 2)[1:-1].view(-1, 1, 1, 1)
    return shade + (torch.rand(count, network.num_in_ch, *size) - 0.5) / 2


def middle(network):
    """A valid width that is not the whole."""
    return network.widths[len(network.widths) // 2]


def slice_of(network, width):
    """By parameter: which of its elements `width` uses, as `narrow` says."""
    numbered, masks = copy.deepcopy(network).double(), {}
    for parameter in numbered.parameters():
        parameter.data = torch.arange(parameter.numel(), dtype=torch.float64).view_as(parameter)
    for key, used in narrow(numbered, width).named_parameters():
        mask = torch.zeros(network.get_parameter(key).numel(), dtype=torch.bool)
        mask[used.detach().flatten().long()] = True
        masks[key] = mask.view_as(network.get_parameter(key))
        assert mask.sum() == used.numel(), f"{key}: an element is used twice"
    return masks


@pytest.fixture(params=[*NETWORKS.names(), DIRECT])
def name(request):
    return request.param


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 4), (17, 13)])
def test_odd_sizes_at_every_width(name, scale, size):
    network = build(name, scale)
    x = images(network, *size, count=2)
    for width in network.widths:
        assert network(x, width).shape == (2, network.num_out_ch, scale * size[0], scale * size[1])


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_narrow_equals_slice(name, scale):
    network = build(name, scale)
    x = images(network, 9, 8)
    assert network.widths[0] == 1 and len(network.widths) > 1
    for width in network.widths:
        small = narrow(network, width)
        assert torch.equal(small(x), network(x, width))
        assert type(small) is type(network)
        assert small.num_feat == network.channels(width) == round(width * network.num_feat)
        assert all(a.data_ptr() != b.data_ptr() for a in small.parameters() for b in network.parameters())


def test_slice_is_the_network_with_its_other_channels_silent(name):
    """Independent of how slices are taken: at full size with zeros for the channels that `width` lacks."""
    network = build(name, 4).double()
    x = images(network, 9, 8).double()
    for width in network.widths:
        silent, small = copy.deepcopy(network), narrow(network, width)
        for path, layer in silent.named_modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                kept = small.get_submodule(path).out_channels
                rows = layer.weight if isinstance(layer, nn.Conv2d) else layer.weight.transpose(0, 1)
                rows.data[kept:] = 0
                layer.bias.data[kept:] = 0
        torch.testing.assert_close(silent(x), network(x, width), rtol=0, atol=1e-12)


def test_narrow_of_narrow_is_narrow(name):
    """What an exported file promises: the widths below its own are those of the network it came from."""
    network = build(name, 2)
    half = narrow(network, middle(network))
    for width in half.widths:
        once, twice = narrow(network, width * middle(network)).state_dict(), narrow(half, width).state_dict()
        assert once.keys() == twice.keys() and all(torch.equal(once[key], twice[key]) for key in once)


def elements_with_gradient(name, width_of):
    """By parameter: the elements that get a gradient in one of many small networks, as ReLUs in any one may be dead."""
    reached = {}
    for seed in range(30):
        network = build(name, 2, seed)
        network(images(network, 8, 8, count=4), width_of(network)).square().mean().backward()
        for key, parameter in network.named_parameters():
            assert parameter.grad is not None
            reached[key] = reached.get(key, False) | (parameter.grad != 0)
    return reached


def test_gradients_reach_every_parameter(name):
    for key, reached in elements_with_gradient(name, lambda network: 1.0).items():
        assert reached.all(), key


def test_narrow_gradients_reach_exactly_the_slice(name):
    network = build(name, 2)
    inside = slice_of(network, middle(network))
    for key, reached in elements_with_gradient(name, middle).items():
        assert torch.equal(reached, inside[key]), key


def test_file_round_trip(name, tmp_path):
    network = build(name, 3)
    save_network(tmp_path / "n.pth", network)
    again = load_network(tmp_path / "n.pth")
    x = images(network, 5, 6)
    assert torch.equal(again(x), network(x)) and again.config == network.config and again.scale == network.scale == 3


def test_invalid_width_is_explained(name):
    network = build(name, 2)
    for ask in (network.channels, lambda width: network(images(network, 4, 4), width)):
        with pytest.raises(ValueError, match="Nearest valid"):
            ask(0.33)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_receptive_field_is_exact(name, scale):
    """A pixel changed at the radius changes the middle output, on one side at least; one beyond it does not."""
    network = build(name, scale).double()
    radius = network.receptive_field
    if radius is None:
        return  # unbounded: tiles are never exact
    with torch.no_grad():  # every path counts, none is cut by a ReLU or cancelled
        for parameter in network.parameters():
            parameter.abs_()
    size = 2 * radius + 3
    x = images(network, size, size).double() + 1  # above the mean colour
    inner = slice(scale * (radius + 1), scale * (radius + 2))
    reference = network(x)[..., inner, inner]

    def changed(*rows):
        other = x.clone()
        other[..., rows, :] += 1
        return not torch.equal(network(other)[..., inner, inner], reference)

    assert not changed(0, -1) and changed(1, -2)


def test_half_precision_gives_fp32(name):
    network = build(name, 2).bfloat16()
    assert network(images(network, 6, 6)).dtype == torch.float32


def test_images_of_every_kind_go_through(name, photo):
    """RGB networks see the colours, Y networks the luma; grey, alpha and 16 bits are no concern of theirs."""
    network = build(name, 2).eval()
    grey, alpha = photo[..., 0], np.dstack([photo, photo[..., :1]])
    for image in (photo, grey, alpha, photo.astype(np.uint16) * 257):
        result = upscale_image(network, image, width=middle(network))
        assert result.dtype == image.dtype and result.shape == (2 * len(image), 2 * image.shape[1], *image.shape[2:])


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
def test_export_computes_the_same(name, suffix, tmp_path):
    if suffix == ".onnx":
        for package in ("onnx", "onnxruntime", "onnxscript"):
            pytest.importorskip(package)
    network = build(name, 2).eval()
    export(network, tmp_path / f"small{suffix}", width=middle(network))  # compares, and raises where they differ
    assert (tmp_path / f"small{suffix}").exists()


@pytest.mark.parametrize("name", NETWORKS.names())
def test_every_option_is_documented(name):
    component = NETWORKS.get(name)
    for option in option_names(component):
        assert f"{option}:" in (component.__doc__ or ""), option
