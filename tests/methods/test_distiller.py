"""What all methods with a teacher share: widths, the student's own full width, several teachers, heads of any width."""

import pytest
import torch
from torch.nn import functional as F

from srkd.losses.pixel import L1Loss
from srkd.methods.feature import FeatureMethod
from srkd.methods.output_kd import OutputKD
from srkd.networks.edsr import EDSR
from srkd.networks.slim import SlimConv2d
from srkd.types import Batch, InputError


@pytest.fixture
def networks():
    torch.manual_seed(0)
    student = EDSR(num_feat=4, num_block=2, upscale=2)
    return student, EDSR(num_feat=6, num_block=3, upscale=2), EDSR(num_feat=8, num_block=2, upscale=2, img_range=1.0)


class Regressed(FeatureMethod):
    """A head before the distance."""

    def build(self, channels):
        return SlimConv2d(*channels, 1)

    def distance(self, student, teacher):
        return F.mse_loss(student, teacher)


def test_every_width_has_its_share_of_picture_and_teacher(networks, images):
    student, teacher, _ = networks
    method = OutputKD(student, teacher, L1Loss(loss_weight=2.0), alpha=0.25,
                      widths=(0.5, 1.0), width_weights=(3.0, 1.0))  # fmt: skip
    losses = method(images)
    assert list(losses) == ["l_pix@1", "l_ts@1", "l_pix@0.5", "l_ts@0.5"]
    with torch.no_grad():
        expected = torch.zeros(())
        for width, factor in ((1.0, 1.0), (0.5, 3.0)):
            sr, target = student(images.lq, width), teacher(images.lq)
            expected += factor * 2 * (0.75 * (sr - images.gt).abs().mean() + 0.25 * (sr - target).abs().mean())
    assert method.total(losses, 0.0).item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_full_width_alone_teaches_the_narrow_ones(networks, images):
    student, _, _ = networks
    method = OutputKD(student, None, L1Loss(), alpha=0.25, widths=(1.0, 0.5), self_teacher=True)
    losses = method(images)
    assert list(losses) == ["l_pix@1", "l_pix@0.5", "l_ts@0.5"]
    with torch.no_grad():
        full, half = student(images.lq), student(images.lq, 0.5)
        ground_truth = (full - images.gt).abs().mean() + 0.75 * (half - images.gt).abs().mean()
        expected = ground_truth + 0.25 * (half - full).abs().mean()
    assert method.total(losses, 0.0).item() == pytest.approx(expected.item(), rel=1e-6)
    (gradient,) = torch.autograd.grad(losses["l_ts@0.5"], student.conv_first.weight)
    assert gradient[:2].abs().sum() > 0 and gradient[2:].abs().sum() == 0  # nothing flows into the teacher


def test_both_share_the_weight(networks, images):
    student, teacher, _ = networks
    method = OutputKD(student, teacher, L1Loss(), alpha=0.5, widths=(1.0, 0.5), self_teacher=True)
    losses = method(images)
    assert {name: method.weight(name, 0.0) for name in losses} == {
        "l_pix@1": 0.5, "l_ts@1": 0.5, "l_pix@0.5": 0.5, "l_ts@0.5": 0.25, "l_ts.own@0.5": 0.25,
    }  # fmt: skip


def test_several_teachers_share_alpha_and_have_their_terms(networks, images):
    student, one, other = networks
    method = OutputKD(student, {"strong": one, "slim": other}, L1Loss(), alpha=0.5)
    losses = method(images)
    assert list(losses) == ["l_pix", "l_ts.strong", "l_ts.slim"]
    assert [method.weight(name, 0.0) for name in losses] == [0.5, 0.25, 0.25]
    assert losses["l_ts.slim"].item() == pytest.approx(L1Loss()(student(images.lq), other(images.lq)).item())
    assert method.teacher is None and list(method.teachers) == ["strong", "slim"]


def test_heads_take_the_first_channels_and_divide_by_the_range(networks, images):
    student, teacher, other = networks
    options = {"taps": ("body.1",), "teacher_taps": ("body.0",), "widths": (1.0, 0.5), "self_teacher": True}
    method = Regressed(student, {"a": teacher, "b": other}, L1Loss(), **options)
    assert [head[0].weight.shape[:2] for head in method.heads.values()] == [(6, 4), (8, 4), (4, 4)]
    losses = method(images)
    with torch.no_grad():
        feature = student.body[:2](student.conv_first(student.shift.enter(images.lq, torch.float32), 2)) / 255
        target = other.body[0](other.conv_first(other.shift.enter(images.lq, torch.float32)))
        weight, bias = method.heads["b"][0].weight[:, :2], method.heads["b"][0].bias
        expected = F.mse_loss(F.conv2d(feature, weight, bias), target)
    assert losses["l_feat.b@0.5"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_pictures_that_are_known_spare_the_teacher(networks, images):
    student, teacher, _ = networks
    method = OutputKD(student, teacher, L1Loss())
    with torch.no_grad():
        known = teacher(images.lq)
    expected = {name: value.item() for name, value in method(images).items()}
    teacher.forward = None  # it would fail
    batch = Batch(images.lq, images.gt, {"teacher": known})
    assert {name: value.item() for name, value in method(batch).items()} == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"self_teacher": True}, r"`widths` \(1\) needs 1 and at least one below"),
        ({"widths": (0.5, 0.25), "self_teacher": True}, "needs 1 and at least one below"),
        ({"widths": ()}, "`widths` is empty"),
        ({"widths": (1.0, 1.0)}, "has one of them twice"),
        ({"widths": (0.3,)}, "Nearest valid"),
        ({"width_weights": (1.0, 2.0)}, "`width_weights`"),
    ],
)
def test_bad_options(networks, options, message):
    with pytest.raises(ValueError, match=message):
        OutputKD(networks[0], networks[1], L1Loss(), **options)


def test_a_cache_without_a_teacher_is_refused(networks):
    with pytest.raises(InputError, match="no network_g_teacher whose pictures could be kept"):
        OutputKD(networks[0], None, L1Loss(), widths=(1.0, 0.5), self_teacher=True, teacher_cache="outputs")
