"""SRKD: its total by hand, its stages, and features of unequal range, width and depth."""

import pytest
import torch

from srkd.losses.pixel import L1Loss, MSELoss
from srkd.methods.srkd import SRKD
from srkd.networks.edsr import EDSR


def body_features(network, x, end):
    return network.body[: end + 1](network.conv_first(network.shift.enter(x, torch.float32)))


@pytest.mark.parametrize("faithful", [False, True])
def test_total_is_the_papers(pair, images, faithful):
    """λ0 · MSE + Σ λ_l · MSE of (mean over channels)², at the blocks of 0.4, 0.7 and 1.0 of each network's depth."""
    student, teacher = pair
    method = SRKD(student, teacher, MSELoss(loss_weight=2.0), stage_weights=(1.0, 0.5, 0.25), faithful=faithful)
    ours = method.total(method(images), 0.0)
    divisor = 1 if faithful else 255
    with torch.no_grad():
        expected = 2 * (student(images.lq) - images.gt).square().mean()
        for weight, s_end, t_end in ((1.0, 0, 3), (0.5, 1, 6), (0.25, 2, 9)):
            s = (body_features(student, images.lq, s_end) / divisor).mean(dim=1) ** 2
            t = (body_features(teacher, images.lq, t_end) / divisor).mean(dim=1) ** 2
            expected = expected + weight * (s - t).square().mean()
    assert ours.item() == pytest.approx(expected.item(), rel=1e-5)


def test_features_are_divided_by_each_networks_own_range(pair, images):
    """The same network at range 1 and 255 has proportional features: their statistics have to agree."""
    student, _ = pair
    torch.manual_seed(3)
    one, large = EDSR(num_feat=6, num_block=3, upscale=2, img_range=1.0), EDSR(num_feat=6, num_block=3, upscale=2)
    state = one.state_dict()
    for name, value in state.items():
        value.mul_(0 if name.endswith("bias") else 1)  # without biases the network is homogeneous
    large.load_state_dict(state)
    values = [SRKD(student, teacher, L1Loss())(images)["l_stat"].item() for teacher in (one, large)]
    assert values[0] == pytest.approx(values[1], rel=1e-4)


def test_default_leaves_the_last_stage_out(pair):
    method = SRKD(*pair, L1Loss())
    assert method.paths["teacher"] == [("body.0", "body.3"), ("body.1", "body.6")]
    assert method.stage_weights == (1.0, 1.0)
    assert SRKD(*pair, L1Loss(), taps=("body.0", "features")).stage_weights == (1.0, 1.0)


def test_zero_for_itself(pair, images):
    student, _ = pair
    twin = EDSR(**student.config)
    twin.load_state_dict(student.state_dict())
    assert SRKD(student, twin, L1Loss())(images)["l_stat"].item() == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stage_weights": (1.0, 1.0)}, r"2 values for 3 taps: body\.0, body\.1, body\.2"),
        ({"stage_weights": (1.0, -1.0, 1.0)}, "negative"),
        ({"stage_weights": (0.0, 0.0, 0.0)}, "one must be positive"),
        ({"power": 0}, r"`power` \(=0\)"),
    ],
)
def test_bad_options(pair, options, message):
    with pytest.raises(ValueError, match=message):
        SRKD(*pair, L1Loss(), **options)
