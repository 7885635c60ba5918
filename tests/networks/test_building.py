"""What a network of one's own may have forgotten is said when it is built, not at the first save of a training."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from srkd.networks.building import _no_more_than, build_network
from srkd.networks.edsr import EDSR
from srkd.networks.slim import Network, SlimConv2d
from srkd.registry import NETWORKS
from srkd.types import InputError


class Whole(Network):
    def __init__(self, *, num_feat: int = 4, upscale: int = 2) -> None:
        super().__init__()
        self.num_feat, self.upscale, self.scale = num_feat, upscale, upscale
        self.conv = SlimConv2d(3, 3 * upscale**2, 3, padding=1)

    def forward(self, x, width=1.0):
        return nn.functional.pixel_shuffle(self.conv(x), self.scale)


class Forgetful(Whole):
    def __init__(self, *, num_feat: int = 4, upscale: int = 2, gain: float = 1.0) -> None:
        super().__init__(num_feat=num_feat, upscale=upscale)


class Scaleless(Network):
    num_feat = 1


def Module(*, upscale: int = 2):
    return nn.Conv2d(3, 3, 3)


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    NETWORKS.names()
    parts = {part.__name__: part for part in (Whole, Forgetful, Scaleless, Module)}
    monkeypatch.setattr(NETWORKS, "_components", {**NETWORKS._components, **parts})


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("Forgetful", r"network_g: Forgetful does not keep `gain`.*self\.gain = …"),
        ("Scaleless", r"Scaleless does not keep `scale`"),
        ("Module", r"Module makes a Conv2d, which is no srkd\.networks\.slim\.Network; srkd\.compat\.foreign\.foreign"),
    ],
)
def test_what_is_missing_is_named(kind, says):
    with pytest.raises(InputError, match=says):
        build_network(kind, {})


def test_a_whole_network_needs_no_receptive_field():
    assert build_network("Whole", {}).receptive_field is None


def test_a_network_may_not_outgrow_its_file_but_others_may_be_built_meanwhile():
    with (
        pytest.raises(InputError, match="a file says so is larger than the 100 values"),
        _no_more_than(100, "a file says so"),
    ):
        EDSR(num_feat=64, num_block=16)
    with _no_more_than(100, "a file says so"):
        other = threading.Thread(target=EDSR, kwargs={"num_feat": 64, "num_block": 4})
        other.start()
        other.join()
        assert EDSR(num_feat=4, num_block=1)(torch.rand(1, 3, 4, 4)).shape == (1, 3, 16, 16)
    EDSR(num_feat=64, num_block=4)  # nothing is left behind
