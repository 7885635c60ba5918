"""Taps: the right tensors, no aliasing, and a helpful error."""

import copy

import pytest
import torch

from srkd.networks.edsr import EDSR
from srkd.networks.slim import narrow
from srkd.networks.taps import Taps, default_taps
from srkd.types import InputError


def test_taps_are_module_outputs_and_not_changed_later():
    network = EDSR(num_feat=6, num_block=2, upscale=2)
    taps = Taps(network, ["conv_first", "body.0", "conv_after_body", "features"])
    x = torch.rand(1, 3, 5, 5)
    output, (head, block, after, features) = taps.run(x)
    assert head.shape == block.shape == after.shape == (1, 6, 5, 5)
    assert torch.equal(output, network(x))
    assert torch.equal(head, network.conv_first(network.shift.enter(x, torch.float32)))
    assert torch.equal(block, network.body[0](head))
    assert torch.equal(after, network.conv_after_body(network.body[1](block)))  # before the long skip
    assert torch.equal(features, head + after)  # after it
    assert torch.equal(output, network.shift.leave(network.conv_last(network.upsample(features))))


def test_features_stop_early():
    network = EDSR(num_feat=6, num_block=2, upscale=2)
    ran = []
    network.conv_last.register_forward_hook(lambda *_: ran.append(1))
    taps = Taps(network, ["body.1"])
    x = torch.rand(1, 3, 5, 5)
    (features,) = taps.features(x)  # the first time to the end, which shows that the tap runs once
    ran.clear()
    assert torch.equal(taps.features(x)[0], features) and not ran
    output, again = taps.run(x)
    assert ran and output.shape == (1, 3, 10, 10) and torch.equal(again[0], features)


def test_a_direct_call_records_nothing_and_runs_to_the_end():
    network = EDSR(num_feat=6, num_block=2, upscale=2)
    taps = Taps(network, ["body.1"])
    taps.features(torch.rand(1, 3, 5, 5))
    assert network(torch.rand(1, 3, 5, 5)).shape == (1, 3, 10, 10)
    assert not taps._recorded  # features of a validation image would stay in memory


def test_a_deep_copy_taps_the_copy():
    taps = Taps(EDSR(num_feat=6, num_block=2, upscale=2), ["body.1"])
    copied = copy.deepcopy(taps)
    with torch.no_grad():
        copied.module.conv_first.weight.zero_()
        copied.module.conv_first.bias.zero_()
    x = torch.rand(1, 3, 5, 5)
    assert not torch.equal(copied.run(x)[1][0], taps.run(x)[1][0])


def test_a_module_that_is_not_called_is_named():
    taps = Taps(EDSR(num_feat=4, num_block=1, upscale=2), ["conv_first", "shift"])
    with pytest.raises(InputError, match="'shift' of EDSR is not called"):
        taps.run(torch.rand(1, 3, 5, 5))


def test_a_tensor_changed_in_place_is_refused():
    """EDSR's ReLU works in place: what `conv1` gave is gone, which FAKD's code overlooked with its skip."""
    taps = Taps(EDSR(num_feat=4, num_block=1, upscale=2), ["body.0.conv1"])
    with pytest.raises(InputError, match=r"'body\.0\.conv1' of EDSR is changed in place"):
        taps.run(torch.rand(1, 3, 5, 5))


def test_default_taps():
    assert default_taps(EDSR(num_feat=4, num_block=10)) == ["body.3", "body.6", "body.9"]
    assert default_taps(EDSR(num_feat=4, num_block=1)) == ["body.0"]
    with pytest.raises(InputError, match="name the taps"):
        default_taps(EDSR(num_feat=4, num_block=0))


def test_unknown_tap_lists_those_that_exist():
    with pytest.raises(InputError, match=r"'body\.9'.*Available: .*conv_after_body"):
        Taps(EDSR(num_feat=4, num_block=1), ["body.9"])


class Recursive(torch.nn.Module):
    """One block used three times, as in DRCN and DRRN."""

    def __init__(self):
        super().__init__()
        self.block = torch.nn.Conv2d(3, 3, 3, padding=1)
        self.last = torch.nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        for _ in range(3):
            x = self.block(x)
        return self.last(x)


def test_a_module_that_runs_several_times_gives_its_last_output_either_way():
    network = Recursive()
    taps, x = Taps(network, ["block"]), torch.rand(1, 3, 5, 5)
    expected = network.block(network.block(network.block(x)))
    for _ in range(3):
        assert torch.equal(taps.features(x)[0], expected)
        assert torch.equal(taps.run(x)[1][0], expected)
    both = Taps(network, ["block", "last"])
    assert all(torch.equal(a, b) for a, b in zip(both.features(x), [expected, network.last(expected)], strict=True))


@pytest.mark.parametrize("width", [1.0, 0.5, 1 / 3])
def test_taps_at_a_width_are_those_of_the_narrow_network(width):
    network, x = EDSR(num_feat=6, num_block=2, upscale=2), torch.rand(1, 3, 5, 5)
    paths = ["body.0", "features"]
    output, features = Taps(network, paths).run(x, width)
    small_output, small = Taps(narrow(network, width), paths).run(x)
    assert torch.equal(output, small_output)
    assert all(torch.equal(a, b) for a, b in zip(features, small, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(Taps(network, paths).features(x, width), small, strict=True))
