"""Weights cut together are those that each convolution would cut itself, to the bit, and so are their gradients."""

import pytest
import torch

from srkd.networks.carn import CARN
from srkd.networks.cuts import Cuts
from srkd.networks.edsr import EDSR
from srkd.networks.rcan import RCAN
from srkd.networks.snsr import SNSR

NETWORKS = {
    "EDSR": lambda: EDSR(num_feat=8, num_block=2, upscale=4),
    "direct": lambda: EDSR(num_feat=8, num_block=2, upscale=3, upsampler="direct"),
    "RCAN": lambda: RCAN(num_feat=8, num_group=2, num_block=1, squeeze_factor=4, upscale=2),
    "CARN": lambda: CARN(num_feat=8, num_group=1, num_block=2, upscale=2),  # fusions cut in their own way
    "SNSR": lambda: SNSR(num_feat=8, upscale=2),  # depthwise and transposed convolutions
}


def step(network, widths, dtype, cuts=None):
    network.zero_grad()
    lq = torch.rand(2, network.num_in_ch, 6, 5, generator=torch.Generator().manual_seed(1))
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        if cuts is None:
            loss = sum(network(lq, width).square().mean() for width in widths)
        else:
            with cuts.given(dtype):
                loss = sum(network(lq, width).square().mean() for width in widths)
    loss.backward()
    return loss.item(), {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("widths", [(1.0,), (0.5,), (1.0, 0.75, 0.5, 0.25), (0.25, 1.0)])
@pytest.mark.parametrize("name", NETWORKS)
def test_loss_and_gradients_are_the_same_to_the_bit(name, widths, dtype):
    torch.manual_seed(0)
    network = NETWORKS[name]().to(memory_format=torch.channels_last)
    cuts, expected = Cuts(network), step(network, widths, dtype)
    for _ in range(3):  # the first one learns the sizes
        loss, gradients = step(network, widths, dtype, cuts)
        assert loss == expected[0] and gradients.keys() == expected[1].keys()
        assert [n for n, g in gradients.items() if not torch.equal(g, expected[1][n])] == []
    assert all(module.given is None for module in network.modules() if hasattr(module, "given"))


def test_a_size_that_appears_later_and_a_layer_that_is_not_used():
    network = EDSR(num_feat=8, num_block=1, upscale=2).to(memory_format=torch.channels_last)
    cuts = Cuts(network)
    for widths in ((1.0,), (1.0, 0.5), (0.5,), (1.0, 0.25)):
        loss, gradients = step(network, widths, torch.float32, cuts)
        expected = step(network, widths, torch.float32)
        assert loss == expected[0]
        assert all(torch.equal(gradients[name], expected[1][name]) for name in expected[1])
