"""SRKD's networks: the paper's parameter counts, and their blocks written out."""

import pytest
import torch
from torch.nn import functional as F

from srkd.networks.snsr import SNSR, TNSR, SeparableBlock
from srkd.networks.snsr import PlainBlock as TeacherBlock


@pytest.mark.parametrize(
    ("network", "scale", "parameters"),
    [
        (TNSR, 2, 740_225),
        (TNSR, 3, 739_777),  # the paper prints 776.13 K
        (TNSR, 4, 805_825),
        (SNSR, 2, 16_065),
        (SNSR, 3, 15_617),
        (SNSR, 4, 81_665),
    ],
)
def test_parameter_counts(network, scale, parameters):
    assert sum(parameter.numel() for parameter in network(upscale=scale).parameters()) == parameters


def test_teacher_s_second_relu_is_before_the_addition():
    block = TeacherBlock(4)
    (w1, b1), (w2, b2) = ((layer.weight, layer.bias) for layer in (block.layers[0], block.layers[2]))
    x = torch.randn(1, 4, 6, 5)
    expected = x + F.conv2d(F.conv2d(x, w1, b1, padding=1).relu(), w2, b2, padding=1).relu()
    torch.testing.assert_close(block(x), expected)


def test_student_s_block_is_separable():
    block = SeparableBlock(4)
    depthwise, pointwise = block.layers[0], block.layers[2]
    assert depthwise.weight.shape == (4, 1, 3, 3) and pointwise.weight.shape == (4, 4, 1, 1)
    x = torch.randn(1, 4, 6, 5)
    each = [
        F.conv2d(x[:, c : c + 1], depthwise.weight[c : c + 1], depthwise.bias[c : c + 1], padding=1) for c in range(4)
    ]
    expected = x + F.conv2d(torch.cat(each, 1).relu(), pointwise.weight, pointwise.bias).relu()
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("options", [{"num_feat": 0}, {"num_block": -1}, {"upscale": 1}, {"upscale": 5}])
@pytest.mark.parametrize("network", [TNSR, SNSR])
def test_bad_options_name_the_option_and_value(network, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        network(**options)
