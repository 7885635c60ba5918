"""The average: BasicSR's without warm-up, quick to forget its start with it."""

import pytest
import torch

from srkd.engine.optim import Ema


def linear(value):
    network = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, value)
    return network


def test_without_warmup_is_basicsrs():
    network = linear(1.0)
    ema = Ema(network, decay=0.9, warmup=False)
    torch.nn.init.constant_(network.weight, 2.0)
    ema.advance()
    ema.blend()
    assert ema.params["weight"].item() == pytest.approx(0.9 * 1 + 0.1 * 2)


def test_warmup_forgets_the_start():
    start = {}
    for warmup in (True, False):
        network = linear(1.0)
        ema = Ema(network, decay=0.999, warmup=warmup)
        torch.nn.init.zeros_(network.weight)
        for _ in range(1000):
            ema.advance()
            ema.blend()
            ema.updates += 1
        start[warmup] = ema.params["weight"].item()
    assert start[False] == pytest.approx(0.368, abs=1e-3)  # 0.999^1000
    assert start[True] < 1e-6


def test_applied_and_put_back():
    network = linear(1.0)
    ema = Ema(network, decay=0.5)
    torch.nn.init.constant_(network.weight, 3.0)
    with ema.applied():
        assert network.weight.item() == 1.0
    assert network.weight.item() == 3.0
