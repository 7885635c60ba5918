"""A method as version 0.1 had them: a bool `uses_teacher`, `Frozen` and `FeaturePairs` from `base`."""

import pytest
import torch

from srkd.losses.pixel import L1Loss
from srkd.methods.assemble import build_method
from srkd.methods.base import Method, teacher_use
from srkd.networks.taps import Taps
from srkd.registry import METHODS


@pytest.fixture
def registered(monkeypatch):
    with pytest.warns(FutureWarning, match=r"base\.FeaturePairs is srkd\.networks\.taps\.FeaturePairs now"):
        from srkd.methods.base import FeaturePairs
    with pytest.warns(FutureWarning, match=r"base\.paired_taps is"):
        from srkd.methods.base import paired_taps
    from srkd.methods.base import Frozen  # noqa: F401

    class Old(Method):
        """As in 0.1."""

        uses_teacher = True

        def __init__(self, student, teacher, pixel, *, share: float = 0.5):
            super().__init__(student, teacher, pixel)
            assert self.teacher is not None
            paths = paired_taps(student, self.teacher.module, None, None, default=lambda network: ["body.0"])
            self.pairs = FeaturePairs(student, self.teacher.module, paths)
            self.head = torch.nn.Conv2d(4, 6, 1)
            self.weights = {"l_pix": pixel.loss_weight, "l_old": share}

        def weight(self, name, progress):
            return super().weight(name, progress) * (1 - progress if name == "l_old" else 1)

        def forward(self, batch):
            lq, gt = batch
            with torch.no_grad():
                self.teacher(lq)
            sr, target, ((s, t),) = self.pairs.run(lq, teacher_output=True)
            again, _ = Taps(self.student, ["body.0"]).run(lq)
            assert torch.equal(sr, again) and target is not None
            return {"l_pix": self.pixel(sr, gt), "l_old": (self.head(s) - t).abs().mean()}

    METHODS.names()
    monkeypatch.setitem(METHODS._components, "Old", Old)
    return Old


def test_it_trains_with_a_warning(registered, pair, images):
    student, teacher = pair
    with pytest.warns(FutureWarning, match=r"Old\.uses_teacher is True, as in version 0\.1; write 'required'"):
        method = build_method("Old", {"share": 0.2}, student=student, teachers={"teacher": teacher}, pixel=L1Loss())
    losses = method(images)
    method.total(losses, 0.5).backward()
    assert method.weight("l_old", 0.5) == pytest.approx(0.1) and method.weight("l_pix", 0.5) == 1
    assert method.head.weight.grad.abs().sum() > 0 and method.widths == (1.0,)
    with pytest.raises(ValueError, match="method Old needs a teacher"):
        build_method("Old", {}, student=student, teachers={}, pixel=L1Loss())


def test_a_bool_says_what_it_did(registered, monkeypatch):
    with pytest.warns(FutureWarning):
        assert teacher_use(registered) == "required"
    monkeypatch.setattr(registered, "uses_teacher", False)
    with pytest.warns(FutureWarning, match="write 'no'"):
        assert teacher_use(registered) == "no"
