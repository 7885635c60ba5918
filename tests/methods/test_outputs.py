"""Methods that compare pictures, and those that need no other network: formulas, turns, averages, widths."""

import itertools

import pytest
import torch

from srkd.losses.pixel import FrequencyLoss, L1Loss
from srkd.methods.adaptive_kd import AdaptiveKD, teacher_shares
from srkd.methods.cross_kd import CrossKD, continued
from srkd.methods.dukd import DUKD, random_piece, shrunk, turn, turn_back
from srkd.methods.ema_teacher import EMATeacher
from srkd.methods.masked_kd import MaskedKD
from srkd.methods.mutual import MutualLearning
from srkd.methods.us_nets import USNets
from srkd.networks.edsr import EDSR
from srkd.types import Batch, InputError


def mean(x):
    return x.abs().mean()


def test_masked(pair, images):
    student, teacher = pair
    method = MaskedKD(student, teacher, L1Loss(), alpha=0.25, tolerance=0.1)
    with torch.no_grad():
        s, t = student(images.lq), teacher(images.lq)
        mask = torch.exp(-(t - images.gt).abs().mean(1, keepdim=True) / 0.1)
        expected = 0.75 * mean(s - images.gt) + 0.25 * (mask * (s - t).abs()).mean()
    assert method.total(method(images), 0.0).item() == pytest.approx(expected.item(), rel=1e-6)


def test_adaptive_shares_are_a_softmax_of_the_errors(pair, images):
    student, teacher = pair
    other = EDSR(num_feat=4, num_block=1, upscale=2)
    method = AdaptiveKD(student, {"a": teacher, "b": other}, L1Loss(), alpha=0.5, temperature=0.1)
    with torch.no_grad():
        s, pictures = student(images.lq), [teacher(images.lq), other(images.lq)]
        errors = torch.stack([(p - images.gt).abs().mean((1, 2, 3)) for p in pictures])
        shares = torch.softmax(-errors / 0.1, 0)
        distilled = sum(
            (share * (s - p).abs().mean((1, 2, 3))).mean() for share, p in zip(shares, pictures, strict=True)
        )
        expected = 0.5 * mean(s - images.gt) + 0.5 * distilled
    assert method.total(method(images), 0.0).item() == pytest.approx(expected.item(), rel=1e-6)
    perfect = teacher_shares([torch.zeros(len(images.gt)), torch.full((len(images.gt),), 0.5)], 0.01)
    assert torch.allclose(perfect[0], torch.ones(3), atol=1e-6)


@pytest.mark.parametrize("turns", itertools.product([False, True], repeat=4))
def test_every_turn_is_undone(turns):
    """The paper's code applies the same chain as its own inverse, which is wrong for a transpose with one flip."""
    x = torch.rand(2, 3, 4, 5)
    torch.testing.assert_close(turn_back(turn(x, turns, 1.0), turns, 1.0), x)


def test_dukd_by_hand(pair, images, monkeypatch):
    student, teacher = pair
    method = DUKD(student, teacher, L1Loss())
    torch.manual_seed(5)
    losses = method(images)
    torch.manual_seed(5)
    piece = random_piece(images.gt, images.lq.shape[-2:], shrink=1)
    flags = tuple((torch.rand(4) < 0.3).tolist())
    small = shrunk(images.lq, 2)
    assert piece.shape == images.lq.shape and small.shape[-2:] == (4, 4)
    with torch.no_grad():
        expected = {
            "l_pix": mean(student(images.lq) - images.gt),
            "l_ts": mean(student(images.lq) - teacher(images.lq)),
            "l_zoom_in": mean(turn_back(student(turn(piece, flags, 1.0)), flags, 1.0) - teacher(piece)),
            "l_zoom_out": mean(student(small) - images.lq),
            "l_zoom_out_ts": mean(student(small) - teacher(small)),
        }
    assert {k: v.item() for k, v in losses.items()} == pytest.approx({k: v.item() for k, v in expected.items()})
    assert {name: method.weight(name, 0.0) for name in losses} == dict.fromkeys(losses, 1.0) | {"l_pix": 5.0}
    tiny = Batch(images.lq[..., :1, :1], images.gt[..., :2, :2])
    with pytest.raises(InputError, match="use a larger gt_size"):
        method(tiny)


def test_the_average_follows_the_student_and_ramps_up(pair, images):
    student, _ = pair
    method = EMATeacher(student, None, L1Loss(), alpha=0.5, decay=0.75, ramp=0.5)
    before = student.conv_first.weight.detach().clone()
    with torch.no_grad():
        student.conv_first.weight.add_(1.0)
    for share in (1 / 2, 2 / 3, 1 - (1 - 2 / 3) * 0.75):  # a mean at first: its own start teaches nothing
        method.after_step(0.1)
        torch.testing.assert_close(method.average.module.conv_first.weight, before + share)
    assert [method.weight("l_ts", p) for p in (0.0, 0.25, 0.5, 1.0)] == [0, 0.25, 0.5, 0.5]
    assert method.weight("l_pix", 1.0) == 0.5
    assert "average._extra_state" in method.state_dict() and len(list(method.parameters())) == len(
        list(student.parameters())
    )


@pytest.mark.parametrize("kind", [EMATeacher, MutualLearning])
def test_what_learns_from_itself_is_not_held_where_it_is(pair, images, kind):
    student, _ = pair
    method = kind(student, None, L1Loss())
    other = method.average.module if kind is EMATeacher else method.peer
    other.load_state_dict(student.state_dict())
    with torch.no_grad():
        batch = Batch(images.lq, student(images.lq) + 1.0)
        before = method.total(method(batch), 1.0).item()
        student.conv_last.bias.add_(0.1 * student.img_range)
        assert method.total(method(batch), 1.0).item() < before - 0.03  # towards the ground truth, away from the other


def test_peers_begin_differently_and_do_not_pull_each_other(pair, images):
    student, _ = pair
    method = MutualLearning(student, None, L1Loss(), alpha=0.25)
    assert not torch.equal(method.peer.conv_first.weight, student.conv_first.weight)
    losses = method(images)
    parameters = [*student.parameters()]
    assert all(
        g is None for g in torch.autograd.grad(losses["l_peer_ts"], parameters, allow_unused=True, retain_graph=True)
    )
    assert losses["l_ts"].item() == losses["l_peer_ts"].item() and [*method.networks] == ["g", "peer"]
    with torch.no_grad():
        s, p = student(images.lq), method.peer(images.lq)
        expected = 0.75 * (mean(s - images.gt) + mean(p - images.gt)) + 0.5 * mean(s - p)
    assert method.total(losses, 0.0).item() == pytest.approx(expected.item(), rel=1e-6)


def test_us_nets_draw_other_widths_each_time(images):
    torch.manual_seed(0)
    student = EDSR(num_feat=8, num_block=2, upscale=2)
    method = USNets(student, None, L1Loss(), least=0.25, random_widths=2, alpha=0.5)
    assert method.between == tuple(count / 8 for count in (7, 6, 5, 4, 3)) and method.widths == (1.0, 0.25)
    values = {round(method(images)["l_random_pix"].item(), 8) for _ in range(8)}
    assert len(values) > 3
    names = {name: method.weight(name, 0.0) for name in method(images)}
    assert names == {"l_pix@1": 1.0, "l_pix@0.25": 0.5, "l_ts@0.25": 0.5, "l_random_pix": 0.5, "l_random_ts": 0.5}
    assert set(USNets(student, None, L1Loss(), least=0.875)(images)) == {"l_pix@1", "l_pix@0.875", "l_ts@0.875"}


def test_the_teacher_continues_with_its_own_feature_as_before(pair, images):
    _, teacher = pair
    with torch.no_grad():
        head = teacher.conv_first(teacher.shift.enter(images.lq, torch.float32))
        assert torch.equal(continued(teacher, "body.9", teacher.body(head), images.lq), teacher(images.lq))
    assert not teacher.body[9]._forward_hooks  # nothing is left in the teacher


def test_cross_kd_reaches_the_student_and_its_regressor_alone(pair, images):
    student, teacher = pair
    method = CrossKD(student, teacher, L1Loss())
    method.total(method(images), 0.0).backward()
    assert student.body[0].conv1.weight.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.grad.abs().sum() > 0 for parameter in method.heads.parameters())


@pytest.mark.parametrize("transform", ["fourier", "haar"])
def test_frequency_loss(transform, images):
    loss = FrequencyLoss(transform=transform, frequency_weight=0.5)
    sr = images.gt + 0.1 * torch.randn_like(images.gt)
    assert loss(sr, images.gt).item() > mean(sr - images.gt).item() and loss(images.gt, images.gt).item() < 1e-5
    assert FrequencyLoss(frequency_weight=0.0)(sr, images.gt).item() == pytest.approx(mean(sr - images.gt).item())


@pytest.mark.parametrize(
    ("method", "options", "name"),
    [
        (MaskedKD, {"tolerance": 0.0}, "tolerance"),
        (AdaptiveKD, {"temperature": 0.0}, "temperature"),
        (DUKD, {"shrink": 3}, "shrink"),
        (DUKD, {"zoom_in": -1.0}, "zoom_in"),
        (EMATeacher, {"decay": 1.5}, "decay"),
        (MutualLearning, {"alpha": 2.0}, "alpha"),
        (USNets, {"least": 1.0}, "least"),
        (USNets, {"random_widths": -1}, "random_widths"),
    ],
)
def test_bad_options(pair, method, options, name):
    student, teacher = pair
    with pytest.raises(ValueError, match=f"`{name}` "):
        method(student, teacher if method.uses_teacher != "no" else None, L1Loss(), **options)
