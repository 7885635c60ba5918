"""The wrapper around networks of other projects, on a small one with everything that is awkward about them."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from srkd.compat.foreign import foreign, pad_to
from srkd.evaluation.models import multi_adds_720p
from srkd.networks.slim import narrow
from srkd.networks.taps import Taps, feature_range
from srkd.types import InputError

WINDOW = 4


class Awkward(nn.Module):
    """Windows, a parameter and a buffer at the top, a mean that is no buffer, a tuple."""

    def __init__(self):
        super().__init__()
        self.img_range = 255
        self.mean = torch.full((1, 3, 1, 1), 0.5)
        self.gain = nn.Parameter(torch.tensor(1.5))
        self.register_buffer("index", torch.arange(3))
        self.register_buffer("scratch", torch.ones(2), persistent=False)
        self.head = nn.Conv2d(3, 6, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU(inplace=True))
        self.tail = nn.Conv2d(6, 12, 3, padding=1)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        height, width = x.shape[-2:]
        assert height % WINDOW == width % WINDOW == 0, "windows"
        x = F.pad(x, (0, WINDOW, 0, WINDOW), mode="replicate")  # as CRAFT, which always adds a window
        self.mean = self.mean.type_as(x)
        x = self.gain * self.body(self.head((x - self.mean) * self.img_range))
        x = F.pixel_shuffle(self.tail(self.drop(x)), 2) / self.img_range + self.mean
        return x[..., : 2 * height, : 2 * width], None


@pytest.fixture
def module():
    torch.manual_seed(0)
    return Awkward()


@pytest.fixture
def network(module):
    return foreign("toy.Awkward", module, scale=2, num_in_ch=3, config={"a": 1}, multiple=WINDOW)


def test_names_are_the_modules_own(network, module):
    assert list(network.state_dict()) == list(module.state_dict()) and "scratch" not in network.state_dict()
    assert dict(network.named_parameters()) == dict(module.named_parameters())
    assert [name for name, _ in network.named_modules()] == [name for name, _ in module.named_modules()]
    assert type(network).__name__ == "toy.Awkward" and network.config == {"a": 1}
    assert (network.scale, network.num_in_ch, network.num_out_ch) == (2, 3, 3)
    assert network.widths == (1.0,) and network.receptive_field is None and feature_range(network) == 255


def test_another_width_is_refused(network):
    for ask in (network.channels, lambda width: network(torch.rand(1, 3, 4, 4), width), lambda w: narrow(network, w)):
        with pytest.raises(ValueError, match=r"0\.5.*toy\.Awkward, whose only width is 1"):
            ask(0.5)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 4), (8, 8), (13, 6)])
def test_any_size_is_mirrored_into_windows_and_cut_back(network, size):
    network.eval()
    x = torch.rand(2, 3, *size)
    whole = [-(-side // WINDOW) * WINDOW for side in size]
    expected = network._wrapped(pad_to(x, *whole))[0][..., : 2 * size[0], : 2 * size[1]]
    assert torch.equal(network(x), expected) and network(x).shape[-2:] == (2 * size[0], 2 * size[1])


def test_padding_mirrors_without_the_edge_and_then_repeats():
    x = torch.tensor([[1.0, 2.0, 3.0]])[None, None]
    assert pad_to(x, 2, 4).squeeze().tolist() == [[1, 2, 3, 2], [1, 2, 3, 2]]
    assert pad_to(x, 1, 7).squeeze().tolist() == [1, 2, 3, 2, 1, 1, 1]
    assert pad_to(x, 1, 3) is x


def test_output_is_not_clipped_and_at_least_single_precision(network):
    network.eval()
    network._wrapped.gain.data.fill_(300.0)
    y = network(torch.rand(1, 3, 8, 8))
    assert y.max() > 1 and y.min() < 0
    assert copy.deepcopy(network).bfloat16()(torch.rand(1, 3, 8, 8)).dtype == torch.float32
    assert copy.deepcopy(network).double()(torch.rand(1, 3, 8, 8)).dtype == torch.float64


def test_copies_are_independent_and_equal(network):
    network.eval()
    x = torch.rand(1, 3, 6, 5)
    before = network(x)
    for copied in (copy.deepcopy(network), narrow(network, 1.0)):
        assert torch.equal(copied(x), before) and type(copied) is type(network) and copied.config == network.config
        copied.gain.data.zero_()
        assert not torch.equal(copied(x), before)
    assert torch.equal(network(x), before)


def test_moves_loads_and_modes_reach_the_module(network, module):
    assert network.double() is network
    assert {p.dtype for p in module.parameters()} == {torch.float64}
    assert module.mean.dtype == torch.float64 and module.index.dtype == torch.int64
    network.float().eval()
    assert not module.training and not module.drop.training
    assert network.train() is network and module.training and module.drop.training
    state = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    network.load_state_dict(state)
    assert not module.gain.any() and module.gain is network.gain
    network.requires_grad_(False)
    assert not any(p.requires_grad for p in module.parameters())


def test_gradients_reach_the_parameters(network):
    network(torch.rand(1, 3, 8, 8)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("size", [(7, 8), (6, 5), (9, 12)])
def test_tapped_features_have_the_positions_of_the_input(network, size):
    network.eval()
    x = torch.rand(1, 3, *size)
    taps = Taps(network, ["head", "body.1"])
    head, _ = taps.run(x)[1]
    again = Taps(network, ["head"])
    assert head.shape[-2:] == size
    assert torch.equal(again.features(x)[0], head)
    # the first convolution sees the picture itself, away from its margin at the bottom and right
    plain = network.head((x - 0.5) * 255)
    torch.testing.assert_close(head[..., :-1, :-1], plain[..., :-1, :-1])


def test_features_of_another_resolution_stay_as_they_are(network):
    x = torch.rand(1, 3, 8, 8)
    for side in (4, 7, 13, 16, 24):
        feature = torch.rand(1, 2, side, side)
        assert network.unpadded(feature, x) is feature
    assert network.unpadded(torch.rand(1, 2, 12, 12), x).shape[-2:] == (8, 8)
    one_window = torch.rand(1, 2, 8, 8)  # a window more, or twice the size: rather refused by a method than cut wrongly
    assert network.unpadded(one_window, torch.rand(1, 3, 4, 4)) is one_window


def test_a_tap_that_gives_no_tensor_is_named(network):
    class Inner(nn.Module):
        def forward(self, x):
            return x, x

    network.body.append(Inner())
    network.body.append(nn.Flatten(0, -1))
    with pytest.raises(InputError, match=r"tap 'body\.2' of toy\.Awkward gives a tuple"):
        Taps(network, ["body.2"]).features(torch.rand(1, 3, 8, 8))


def test_wrong_tap_lists_those_that_exist(network):
    with pytest.raises(
        InputError, match=r"'body\.9' does not exist in toy\.Awkward\. Did you mean.*head, body, body\.0"
    ):
        Taps(network, ["body.9"])


def test_a_module_that_is_no_such_network_is_refused(module):
    with pytest.raises(InputError, match=r"toy\.A fails on images up to .*AssertionError: windows"):
        foreign("toy.A", nn.Sequential(nn.Identity(), Raises()), scale=2, num_in_ch=3, config={})
    with pytest.raises(InputError, match=r"makes \[1, 3, 16, 24\] of an image.*not a ×3 network"):
        foreign("toy.A", module, scale=3, num_in_ch=3, config={}, multiple=WINDOW)


def test_a_name_that_means_something_else_is_refused(module):
    module.scale = nn.Conv2d(3, 3, 1)
    with pytest.raises(InputError, match=r"toy\.A has a layer or parameter called 'scale'"):
        foreign("toy.A", module, scale=2, num_in_ch=3, config={}, multiple=WINDOW)


class Raises(nn.Module):
    def forward(self, x):
        raise AssertionError("windows")


class LooksAtValues(nn.Module):
    def forward(self, x):
        return F.interpolate(x, scale_factor=2) if x.sum().item() > -1 else x


def test_multi_adds_are_unknown_where_a_pass_needs_values(network, caplog):
    caplog.set_level("INFO")
    assert multi_adds_720p(network) == 9 * (3 * 6 + 6 * 6 + 6 * 12) * (360 + WINDOW) * (640 + WINDOW)
    other = foreign("toy.Looks", LooksAtValues(), scale=2, num_in_ch=3, config={})
    assert multi_adds_720p(other) is None and "multi-adds of toy.Looks cannot be counted" in caplog.text


class Greedy(nn.Module):
    """Changes the image that it is given, as spandrel's RCAN does."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, padding=1)

    def forward(self, x):
        x *= 255
        return F.pixel_shuffle(self.conv(x), 2) / 255


def test_a_module_that_alters_its_input_gets_a_copy():
    torch.manual_seed(0)
    network, x = foreign("toy.Greedy", Greedy(), scale=2, num_in_ch=3, config={}), torch.rand(1, 3, 8, 9)
    before = x.clone()
    first = network(x)
    assert torch.equal(x, before)
    assert torch.equal(network(x), first)
    assert torch.equal(copy.deepcopy(network)(x), first)
