"""Learning rates equal torch's and BasicSR's schedulers at every iteration."""

import pytest
import torch

from srkd.engine.schedule import (
    CosineAnnealingLR,
    CosineAnnealingRestartLR,
    MultiStepLR,
    MultiStepRestartLR,
    constant,
    with_warmup,
)

BASE = 2e-4


def optimizer():
    return torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=BASE)


def stepped(scheduler, steps):
    rates = []
    for _ in range(steps):
        rates.append(scheduler.optimizer.param_groups[0]["lr"])
        scheduler.optimizer.step()
        scheduler.step()
    return rates


def ours(rate, steps):
    return [rate(step, BASE) for step in range(steps)]


def test_multi_step_is_torchs():
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimizer(), [5, 9, 12], gamma=0.5)
    assert ours(MultiStepLR(milestones=(5, 9, 12), gamma=0.5), 20) == pytest.approx(stepped(theirs, 20), rel=1e-12)


def test_cosine_is_torchs():
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer(), 20, eta_min=1e-6)
    assert ours(CosineAnnealingLR(T_max=20, eta_min=1e-6), 20) == pytest.approx(stepped(theirs, 20), rel=1e-9)


@pytest.mark.parametrize(
    ("milestones", "restarts", "weights"),
    [((5, 9), (0,), (1,)), ((3, 8, 14), (0, 6, 12), (1, 0.5, 0.25)), ((3, 6, 14), (6, 12), (0.5, 1))],
)
def test_multi_step_restart_is_basicsrs(basicsr, milestones, restarts, weights):
    from basicsr.models.lr_scheduler import MultiStepRestartLR as Theirs

    theirs = Theirs(optimizer(), milestones=milestones, gamma=0.5, restarts=restarts, restart_weights=weights)
    rate = MultiStepRestartLR(milestones=milestones, gamma=0.5, restarts=restarts, restart_weights=weights)
    assert ours(rate, 20) == pytest.approx(stepped(theirs, 20), rel=1e-12)


def test_cosine_restart_is_basicsrs(basicsr):
    from basicsr.models.lr_scheduler import CosineAnnealingRestartLR as Theirs

    theirs = Theirs(optimizer(), periods=(6, 6, 8), restart_weights=(1, 0.5, 0.5), eta_min=1e-7)
    rate = CosineAnnealingRestartLR(periods=(6, 6, 8), restart_weights=(1, 0.5, 0.5), eta_min=1e-7)
    assert ours(rate, 20) == pytest.approx(stepped(theirs, 20), rel=1e-12)


def test_past_the_last_period_the_rate_stays_at_its_end():
    rate = CosineAnnealingRestartLR(periods=(4, 4), restart_weights=(1, 1), eta_min=1e-6)
    assert rate(8, BASE) == rate(100, BASE) == pytest.approx(1e-6)


def test_warmup_is_linear_then_the_schedule():
    rate = with_warmup(constant, 4)
    assert ours(rate, 6) == pytest.approx([BASE / 4, BASE / 2, 3 * BASE / 4, BASE, BASE, BASE])
    assert ours(with_warmup(constant, -1), 2) == [BASE, BASE]


def test_unequal_lists_are_refused():
    with pytest.raises(ValueError, match="restart_weights"):
        MultiStepRestartLR(milestones=(1,), restarts=(0, 5), restart_weights=(1.0,))
    with pytest.raises(ValueError, match="restart_weights"):
        CosineAnnealingRestartLR(periods=(1, 2))
