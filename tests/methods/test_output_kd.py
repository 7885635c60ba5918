"""Output distillation: the two pictures and their shares."""

import pytest
import torch

from srkd.losses.pixel import L1Loss
from srkd.methods.output_kd import OutputKD


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_total_is_the_formula(pair, images, alpha):
    student, teacher = pair
    method = OutputKD(student, teacher, L1Loss(loss_weight=2.0), alpha=alpha)
    ours = method.total(method(images), 0.0)
    with torch.no_grad():
        s, t = student(images.lq), teacher(images.lq)
    expected = (1 - alpha) * (s - images.gt).abs().mean() + alpha * (s - t).abs().mean()
    assert ours.item() == pytest.approx(2 * expected.item(), rel=1e-6)


def test_bad_alpha(pair):
    with pytest.raises(ValueError, match=r"`alpha` \(=1.5\)"):
        OutputKD(*pair, L1Loss(), alpha=1.5)
