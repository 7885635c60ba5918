from __future__ import annotations

import pytest
import torch
from torch import nn

from srkd.metrics.cost import convolutions, multi_adds, parameters
from srkd.types import InputError


class Toy(nn.Module):
    """One convolution of each counted kind, cut to a share of its channels, and a tensor that is not a buffer."""

    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.plain = nn.Conv2d(3, 8, 3, padding=1, dtype=dtype)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8, dtype=dtype)
        self.up = nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1, dtype=dtype)
        self.norm = nn.BatchNorm2d(4, dtype=dtype)
        self.line = nn.Linear(4, 5, dtype=dtype)
        self.offset = torch.zeros(1, 3, 1, 1, dtype=dtype)

    def forward(self, x, width=1.0):
        if width < 1:
            kept = round(8 * width)
            return nn.functional.conv2d(x, self.plain.weight[:kept], self.plain.bias[:kept], padding=1)
        x = self.norm(self.up(self.depthwise(self.plain(x - self.offset)).relu()))
        return self.line(x.permute(0, 2, 3, 1))


FULL = {"plain": 27 * 8 * 35, "depthwise": 9 * 8 * 35, "up": 8 * 4 * 16 * 35, "line": 4 * 5 * 4 * 35}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_multi_adds_of_every_kind_of_layer(dtype):
    assert multi_adds(Toy(dtype), height=5, width_px=7) == sum(FULL.values())


def test_multi_adds_of_a_narrower_pass():
    assert multi_adds(Toy(), height=5, width_px=7, width=0.25) == 27 * 2 * 35


def test_the_network_is_left_as_it_was():
    network = Toy().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    multi_adds(network, height=5, width_px=7)
    assert network.training
    for name, value in network.state_dict().items():
        assert type(value) is torch.Tensor and torch.equal(value, before[name])


def test_grey_network_and_parameterless_network():
    class Grey(nn.Module):
        num_in_ch = 1

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 3)

        def forward(self, x, width=1.0):
            return self.conv(x)

    class Nothing(nn.Module):
        def forward(self, x, width=1.0):
            return x * width

    assert multi_adds(Grey(), height=3, width_px=4) == 18
    assert multi_adds(Nothing(), height=3, width_px=4) == 0


def test_published_edsr_baseline_x4():
    from srkd.networks.edsr import EDSR

    network = EDSR(num_feat=64, num_block=16, upscale=4)
    assert parameters(network) == 1_517_571  # 1.52 M, table 1 of CARN and others
    assert multi_adds(network, height=180, width_px=320) == pytest.approx(114.0e9, rel=0.01)  # quoted as 114.0 G


def test_parameters_counts_shared_ones_once_and_no_buffers():
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    assert parameters(network) == 12 + 6
    network.append(network[0])
    network[0].weight.requires_grad_(False)
    assert parameters(network) == 12 + 6


def test_empty_image_is_refused():
    with pytest.raises(InputError, match="0 × 7"):
        multi_adds(Toy(), height=0, width_px=7)


def test_convolutions_and_their_outputs_are_counted_and_nothing_else():
    plain, depthwise, up = 8 * 35, 8 * 35, 4 * 4 * 35  # the linear layer at the end is not one
    assert convolutions(Toy(), height=5, width_px=7) == (3, plain + depthwise + up)
    assert convolutions(Toy(), height=5, width_px=7, width=0.25) == (1, 2 * 35)


@pytest.mark.parametrize(("scale", "published"), [(2, 6.0e9), (3, 5.0e9), (4, 4.6e9)])
def test_fsrcnn_by_hand_and_why_papers_have_more(scale, published):
    """A deconvolution multiplies once for each *input* pixel; papers count it for each output pixel (CARN, table 1)."""
    from srkd.networks.fsrcnn import FSRCNN

    rows, columns = 720 // scale, 1280 // scale
    convolution = 25 * 56 + 56 * 12 + 4 * (9 * 12 * 12) + 12 * 56
    deconvolution = 81 * 56
    counted = multi_adds(FSRCNN(upscale=scale), height=rows, width_px=columns)
    assert counted == (convolution + deconvolution) * rows * columns
    assert counted + deconvolution * (720 * 1280 - rows * columns) == pytest.approx(published, rel=0.01)


def test_edsr_by_hand():
    from srkd.networks.edsr import EDSR

    network, pixels = EDSR(num_feat=8, num_block=2, upscale=4), 6 * 10
    outputs = 8 * (1 + 2 * 2 + 1) + 32 + 4 * 32 + 16 * 3  # head, blocks, end of the body; two upsamplers; tail
    inputs = 9 * (3 * 8 + 5 * 8 * 8 + 8 * 32 + 4 * 8 * 32 + 16 * 8 * 3)
    assert convolutions(network, height=6, width_px=10) == (9, outputs * pixels)
    assert multi_adds(network, height=6, width_px=10) == inputs * pixels
