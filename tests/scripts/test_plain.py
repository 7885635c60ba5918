"""Networks of plain convolutions: what they train with and what they become are the same."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

from srkd.registry import NETWORKS


@pytest.fixture
def plain(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts/reproduce"))
    monkeypatch.setattr(NETWORKS, "_components", {**NETWORKS._components})  # the module registers a network
    yield importlib.import_module("plain")
    sys.modules.pop("plain", None)


@pytest.mark.parametrize("branches", ["none", "ecb", "xc"])
def test_a_signal_comes_through_twenty_blocks(plain, branches):
    torch.manual_seed(0)
    network = plain.PlainNet(16, 19, 4, lambda c_in, c_out: plain.Block(c_in, c_out, branches))
    with torch.no_grad():
        one, other = (network.body(torch.rand(1, 3, 16, 16)) for _ in range(2))
    assert 0.05 < (one - other).std() < 50


@pytest.mark.parametrize("branches", ["none", "ecb", "xc"])
@pytest.mark.parametrize("upscale", [2, 4])
def test_the_fused_network_is_the_same(plain, branches, upscale):
    torch.manual_seed(0)
    network = plain.PlainNet(5, 2, upscale, lambda c_in, c_out: plain.Block(c_in, c_out, branches)).eval()
    image = torch.rand(1, 3, 9, 7)
    with torch.no_grad():
        fused = network.fused()
        before, after = network(image), fused(image)
        block = network.body[0]
        branches_of_images = block.valid(torch.nn.functional.pad(image, (1, 1, 1, 1)))
    assert (block(image) - branches_of_images).abs().max() < 1e-5
    assert after.shape == (1, 3, 9 * upscale, 7 * upscale)
    assert (after - before).abs().max() < 1e-5
    assert {type(layer) for layer in fused.body} == {torch.nn.Conv2d, torch.nn.PReLU}
