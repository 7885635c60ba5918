"""Exits: the very blocks of the network, a tail of their own, an ordinary network in a file."""

import pytest
import torch

from srkd.networks.edsr import EDSR
from srkd.networks.exits import exit_at, tail_of
from srkd.networks.rcan import RCAN
from srkd.networks.snsr import SNSR
from srkd.networks.weights import load_network, save_network
from srkd.types import InputError

NETWORKS = {
    "two_step": lambda: EDSR(num_feat=8, num_block=4, upscale=3, res_scale=0.5),
    "direct": lambda: EDSR(num_feat=8, num_block=4, upscale=4, img_range=1.0, upsampler="direct"),
    "rcan": lambda: RCAN(num_feat=8, num_group=4, num_block=1, squeeze_factor=4, upscale=2),
}


@pytest.fixture(params=NETWORKS)
def network(request):
    torch.manual_seed(0)
    return NETWORKS[request.param]()


@pytest.mark.parametrize("width", [1.0, 0.5])
def test_a_file_of_an_exit_is_an_ordinary_network_that_computes_the_same(network, tmp_path, width):
    exit2 = exit_at(network, 2)
    with torch.no_grad():
        for parameter in tail_of(exit2).parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    save_network(tmp_path / "exit.pth", exit2)
    again, x = load_network(tmp_path / "exit.pth"), torch.rand(1, 3, 7, 9)
    assert type(again) is type(network) and len(again.body) == 2
    with torch.no_grad():
        head = network.conv_first(network.shift.enter(x, torch.float32), network.channels(width))
        by_hand = exit2.image(exit2.joined(head, network.body[1](network.body[0](head))))
        torch.testing.assert_close(again(x, width), by_hand, rtol=1e-6, atol=1e-6)
        assert not torch.allclose(by_hand, network(x, width), atol=1e-4)


def test_blocks_are_shared_and_tails_are_not(network):
    exit2 = exit_at(network, 2)
    assert exit2.body[1] is network.body[1] and exit2.conv_first is network.conv_first
    own = {id(parameter) for parameter in tail_of(exit2).parameters()}
    assert not own & {id(parameter) for parameter in network.parameters()}
    everything = {id(parameter) for parameter in exit2.parameters()}
    assert everything - own <= {id(parameter) for parameter in network.parameters()}
    for name, value in tail_of(exit2).state_dict().items():  # it begins as a copy
        assert torch.equal(value, network.state_dict()[name])


def test_what_has_no_exit_says_so(network):
    for blocks in (0, 4, -1):
        with pytest.raises(InputError, match=rf"no exit after {blocks}; from 1 to 3"):
            exit_at(network, blocks)
    with pytest.raises(InputError, match="SNSR has no exits; EDSR and RCAN have"):
        exit_at(SNSR(num_feat=8, upscale=2), 1)
