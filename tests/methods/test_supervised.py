"""Plain and slimmable training: one loss a width, and factors that stand for the widths they were given with."""

from __future__ import annotations

import pytest
import torch

from srkd.losses.pixel import L1Loss
from srkd.methods.supervised import Supervised
from srkd.networks.edsr import EDSR
from srkd.types import Batch, InputError


@pytest.fixture
def student() -> EDSR:
    torch.manual_seed(0)
    return EDSR(num_feat=8, num_block=1, upscale=2)


@pytest.fixture
def batch() -> Batch:
    return Batch(torch.rand(2, 3, 6, 6), torch.rand(2, 3, 12, 12))


def test_factors_belong_to_the_widths_they_stand_beside(student, batch):
    method = Supervised(student, None, L1Loss(loss_weight=2.0), widths=(0.25, 1.0), width_weights=(3.0, 0.5))
    assert method.widths == (1.0, 0.25)
    losses = method(batch)
    distance = {width: float((student(batch.lq, width) - batch.gt).abs().mean()) for width in (1.0, 0.25)}
    assert {name: float(value) for name, value in losses.items()} == pytest.approx(
        {"l_pix@1": distance[1.0], "l_pix@0.25": distance[0.25]}
    )
    assert float(method.total(losses, 0.0)) == pytest.approx(2 * (0.5 * distance[1.0] + 3 * distance[0.25]))


def test_without_factors_the_losses_are_summed(student, batch):
    method = Supervised(student, None, L1Loss(), widths=(1.0, 0.5))
    losses = method(batch)
    assert float(method.total(losses, 0.0)) == pytest.approx(float(sum(losses.values())))


def test_the_factor_of_a_single_width_counts(student, batch):
    method = Supervised(student, None, L1Loss(), widths=(0.5,), width_weights=(3.0,))
    losses = method(batch)
    assert float(method.total(losses, 0.0)) == pytest.approx(3 * float(losses["l_pix"]))


@pytest.mark.parametrize("factors", [(1.0,), (1.0, -1.0), (0.0, 0.0)])
def test_factors_that_are_none(student, factors):
    with pytest.raises(InputError, match="one factor for each of the 2 `widths`"):
        Supervised(student, None, L1Loss(), widths=(1.0, 0.5), width_weights=factors)
