"""CARN: parameter counts, the cascade against the paper's formula, and fusions that stay aligned at every width."""

import pytest
import torch
from torch.nn import functional as F

from srkd.evaluation.models import multi_adds_720p
from srkd.networks.carn import CARN, Fusion, cascade
from srkd.networks.slim import narrow


def count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameter_counts():
    with torch.device("meta"):
        networks = {scale: CARN(upscale=scale) for scale in (2, 3, 4)}
    assert {scale: count(network) for scale, network in networks.items()} == {2: 964_163, 3: 1_148_803, 4: 1_111_875}
    trunk = count(networks[4]) - count(networks[4].upsample)
    three = trunk + sum(count(network.upsample) for network in networks.values())
    assert round(three / 1e6, 3) == 1.592  # the paper's: the upsamplers of all scales in one network


def test_multi_adds_are_the_paper_s():
    """Its Table 1, for a 1280 × 720 output."""
    counts = {scale: multi_adds_720p(CARN(upscale=scale)) for scale in (2, 3, 4)}
    assert {scale: round(count / 1e9, 1) for scale, count in counts.items()} == {2: 222.8, 3: 118.8, 4: 90.9}


def test_fusion_takes_columns_of_each_part():
    """Two parts of 4 channels, the weight 1 in one column of the second part: only that channel comes through."""
    fusion = Fusion(4, 2)
    torch.nn.init.zeros_(fusion.weight)
    torch.nn.init.zeros_(fusion.bias)
    with torch.no_grad():
        fusion.weight[0, 4 + 1] = 1  # the second channel of the second part
    first, second = torch.rand(1, 2, 3, 3), torch.rand(1, 2, 3, 3)
    result = fusion(torch.cat([first, second], dim=1), 2)
    assert torch.equal(result[:, 0], second[:, 1]) and not result[:, 1].any()
    assert fusion.kernel(2, 4)[0].flatten().tolist() == [0, 0, 0, 1]


def test_cascade_is_the_paper_s_formula():
    """With three blocks written out: each fusion sees the input and every block's output so far."""
    torch.manual_seed(0)
    network = CARN(num_feat=4, num_group=3, num_block=1, upscale=2)
    b1, b2, b3 = network.body
    c1, c2, c3 = (fusion.weight for fusion in network.fusions)
    d1, d2, d3 = (fusion.bias for fusion in network.fusions)
    x = torch.rand(1, 4, 6, 5)
    u1 = b1(x)
    y1 = F.relu(F.conv2d(torch.cat([x, u1], 1), c1, d1))
    u2 = b2(y1)
    y2 = F.relu(F.conv2d(torch.cat([x, u1, u2], 1), c2, d2))
    u3 = b3(y2)
    y3 = F.relu(F.conv2d(torch.cat([x, u1, u2, u3], 1), c3, d3))
    torch.testing.assert_close(cascade(x, network.body, network.fusions), y3)


def test_upsampler_has_a_relu():
    network = CARN(num_feat=4, num_group=1, num_block=1, upscale=4)
    assert network.upsample(torch.randn(1, 4, 5, 5)).min() == 0


def test_width_third():
    network = CARN(num_feat=12, num_group=2, num_block=2, upscale=3)
    x = torch.rand(1, 3, 5, 4)
    assert torch.equal(network(x, 1 / 3), narrow(network, 1 / 3)(x))


@pytest.mark.parametrize("options", [{"num_feat": 0}, {"num_block": 0}, {"upscale": 5}, {"rgb_mean": (0.1, 0.2)}])
def test_bad_options_name_the_option_and_value(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        CARN(**options)
