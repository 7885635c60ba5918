"""FAKD: its total in the paper's range, its taps, and their aliasing."""

import pytest
import torch

from srkd.losses.affinity import spatial_affinity
from srkd.losses.pixel import L1Loss
from srkd.methods.fakd import FAKD, third_taps
from srkd.networks.edsr import EDSR


def three_features(network, x):
    """Ends of the body's thirds; the last one after the long skip, as the authors' in-place addition leaves it."""
    head = network.conv_first(network.shift.enter(x, torch.float32))
    count = len(network.body)
    first = network.body[: int(count / 3)](head)
    second = network.body[int(count / 3) : int(2 * count / 3)](first)
    rest = network.conv_after_body(network.body[int(2 * count / 3) :](second))
    return [first, second, rest + head]


@pytest.mark.parametrize(("ours", "papers"), [(10 / 255, 10), (1 / 255, 1)])
def test_total_is_the_papers_over_255(pair, images, ours, papers):
    """The range test: our total on [0, 1] is 1/255 of the paper's formula evaluated by hand on 0..255."""
    student, teacher = pair
    method = FAKD(student, teacher, L1Loss(), affinity_weight=ours)
    total = method.total(method(images), 0.0)
    with torch.no_grad():
        s, t, gt = 255 * student(images.lq), 255 * teacher(images.lq), 255 * images.gt
        paper = 0.5 * (s - gt).abs().mean() + 0.5 * (s - t).abs().mean()
        features = zip(three_features(student, images.lq), three_features(teacher, images.lq), strict=True)
        for f_s, f_t in features:
            paper = paper + papers * (spatial_affinity(f_s) - spatial_affinity(f_t)).abs().mean()
    assert total.item() == pytest.approx(paper.item() / 255, rel=1e-5)


def test_default_taps_are_the_authors():
    with torch.device("meta"):
        student, teacher = EDSR(num_feat=4, num_block=16), EDSR(num_feat=4, num_block=32)
    assert third_taps(student) == ["body.4", "body.9", "features"]  # 5, 5 and 6 blocks
    assert third_taps(teacher) == ["body.9", "body.20", "features"]  # 10, 11 and 11
    assert third_taps(EDSR(num_feat=4, num_block=1)) == ["body.0", "body.0", "features"]


def test_third_tap_before_or_after_the_skip(pair, images):
    after = FAKD(*pair, L1Loss(), taps=("features",))(images)["l_sa"]
    before = FAKD(*pair, L1Loss(), taps=("conv_after_body",))(images)["l_sa"]
    assert abs(after.item() - before.item()) > 1e-4


def test_affinity_ignores_the_range_of_features(pair, images):
    student, teacher = pair
    value = FAKD(student, teacher, L1Loss())(images)["l_sa"].item()
    small = EDSR(**{**teacher.config, "img_range": 1.0})
    small.load_state_dict({k: v / 255 if k.endswith("bias") else v for k, v in teacher.state_dict().items()})
    assert FAKD(student, small, L1Loss())(images)["l_sa"].item() == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize(("options", "name"), [({"alpha": -0.1}, "alpha"), ({"pool": 0}, "pool")])
def test_bad_options(pair, options, name):
    with pytest.raises(ValueError, match=rf"`{name}` \(="):
        FAKD(*pair, L1Loss(), **options)


def test_pool(pair, images):
    assert FAKD(*pair, L1Loss(), pool=2)(images)["l_sa"].item() > 0
    with pytest.raises(ValueError, match=r"`pool` \(=9\) is larger than the features of tap 'body\.0', \[3, 4, 8, 8\]"):
        FAKD(*pair, L1Loss(), pool=9)(images)
