"""Pieces that only GPUs run otherwise: they give PyTorch's bits."""

import pytest
import torch
from torch.nn import functional as F

from srkd.networks.blocks import PixelShuffle, SubPixelUpsampler, add_scaled, shuffle_channels_last


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("channels", "r"), [(3, 2), (3, 4), (1, 3), (16, 2), (5, 1)])
def test_shuffling_in_channels_last_memory_gives_the_same_bits_and_stays_there(channels, r, dtype):
    x = torch.randn(2, channels * r**2, 5, 7, dtype=dtype).contiguous(memory_format=torch.channels_last)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    out, expected = shuffle_channels_last(ours, r), F.pixel_shuffle(theirs, r)
    assert torch.equal(out, expected) and out.is_contiguous(memory_format=torch.channels_last)
    weights = torch.randn_like(out)
    (out * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.equal(ours.grad, theirs.grad) and ours.grad.is_contiguous(memory_format=torch.channels_last)


def test_the_upsampler_keeps_its_names():
    names = set(SubPixelUpsampler(4, 4).state_dict())
    assert names == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert isinstance(SubPixelUpsampler(4, 4)[1], PixelShuffle)


def test_a_scaled_residual_on_the_cpu_is_the_formula_to_the_bit():
    x, residual = torch.randn(2, 3, 4, 5, 6)
    assert torch.equal(add_scaled(x, residual, 0.1), x + residual * 0.1)
    assert torch.equal(add_scaled(x, residual, 1.0), x + residual * 1.0)
    fused = torch.add(x, residual, alpha=0.1)  # what a GPU computes: one rounding less
    exact = x.double() + residual.double() * 0.1
    assert (fused - exact).abs().max() <= 2 * (x + residual * 0.1 - exact).abs().max()
