"""Taps: the right tensors, no aliasing, and a helpful error."""

import pytest
import torch

from srkd.networks.edsr import EDSR
from srkd.networks.taps import Taps
from srkd.types import InputError


def test_taps_are_module_outputs_and_not_changed_later():
    network = EDSR(num_feat=6, num_block=2, upscale=2)
    taps = Taps(network, ["conv_first", "body.0", "conv_after_body"])
    x = torch.rand(1, 3, 5, 5)
    network(x, 0.5)
    head, block, after = taps.take()
    assert head.shape == block.shape == after.shape == (1, 3, 5, 5)
    assert torch.equal(head, network.conv_first(network.shift.enter(x, torch.float32), 3))
    assert torch.equal(block, network.body[0](head))
    assert torch.equal(after, network.conv_after_body(network.body[1](block), 3))  # pre-skip


def test_features_stop_early():
    network = EDSR(num_feat=6, num_block=2, upscale=2)
    ran = []
    network.conv_last.register_forward_hook(lambda *_: ran.append(1))
    taps = Taps(network, ["body.1"])
    x = torch.rand(1, 3, 5, 5)
    (features,) = taps.features(x)
    assert not ran
    network(x)
    assert ran and torch.equal(taps.take()[0], features)


def test_unknown_tap_lists_those_that_exist():
    with pytest.raises(InputError, match=r"'body\.9'.*Available: .*conv_after_body"):
        Taps(EDSR(num_feat=4, num_block=1), ["body.9"])
