"""PISR: parameter counts, both stages by hand, and the way of the encoder from one to the other."""

import pytest
import torch
from torch.nn import functional as F

from srkd.losses.pixel import L1Loss
from srkd.methods.pisr import PISR, Encoder, PISRTeacher
from srkd.networks.edsr import EDSR
from srkd.networks.fsrcnn import FSRCNN
from srkd.networks.weights import load_network, save_network
from srkd.types import Batch, InputError


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.fixture
def first(images):
    torch.manual_seed(0)
    return PISRTeacher(EDSR(num_feat=6, num_block=2, upscale=2), None, L1Loss())


@pytest.fixture
def stage1(first, tmp_path):
    """The network file of a first stage whose moving average differs from its weights."""
    averaged = {name: torch.zeros_like(value) for name, value in first.student.state_dict().items()}
    save_network(tmp_path / "stage1.pth", first.student, params_ema=averaged, companions=first.companions)
    return str(tmp_path / "stage1.pth")


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_encoder(scale):
    encoder = Encoder(1, scale)
    assert count(encoder) == 86_084
    assert encoder(torch.rand(1, 1, 4 * scale, 5 * scale)).shape == (1, 1, 4, 5)


def test_heads_of_the_papers_network(tmp_path):
    student = FSRCNN(upscale=2)
    teacher = PISRTeacher(FSRCNN(upscale=2), None, L1Loss())
    save_network(tmp_path / "stage1.pth", teacher.student, companions=teacher.companions)
    method = PISR(student, None, L1Loss(), stage1=str(tmp_path / "stage1.pth"))
    assert method.taps.paths == ["expanding"]
    assert count(method.mean_head) + count(method.scale_head) == 12_770
    assert count(method) == 12_644 + 12_770
    losses = method(Batch(torch.rand(2, 1, 6, 6), torch.rand(2, 1, 12, 12)))
    assert set(losses) == {"l_pix", "l_vid"}


def test_first_stage_by_hand(first, images):
    total = first.total(first(images), 0.0)
    with torch.no_grad():
        encoded = first.encoder(images.gt)
        expected = (first.student(encoded) - images.gt).abs().mean() + 1e-4 * (encoded - images.lq).abs().mean()
    assert total.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("faithful", [False, True])
def test_second_stage_by_hand(first, stage1, images, faithful):
    """The teacher is the first stage's encoder with the decoder as it was trained, not with its average."""
    torch.manual_seed(2)
    student = EDSR(num_feat=6, num_block=2, upscale=2)
    method = PISR(student, None, L1Loss(), stage1=stage1, information_weight=0.01, faithful=faithful)
    total = method.total(method(images), 0.0)

    def feature(network, x):
        head = network.conv_first(network.shift.enter(x, torch.float32))
        return network.conv_after_body(network.body(head)) / (1 if faithful else 255)

    with torch.no_grad():
        own, target = feature(student, images.lq), feature(first.student, first.encoder(images.gt))
        b = 0.1 * F.softplus(method.scale_head(own)) + 1e-8
        vid = (torch.log(2 * b) + (method.mean_head(own) - target).abs() / b).mean()
        expected = (student(images.lq) - images.gt).abs().mean() + 0.01 * vid
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)


def test_file_is_an_ordinary_network_file(first, stage1):
    assert torch.equal(load_network(stage1, key="params").conv_first.weight, first.student.conv_first.weight)


def test_bad_files_and_taps(tmp_path, stage1):
    student = EDSR(num_feat=6, num_block=2, upscale=2)
    save_network(tmp_path / "plain.pth", student, method="Supervised")
    with pytest.raises(InputError, match=r"holds no 'encoder' beside its network; it was made by Supervised"):
        PISR(student, None, L1Loss(), stage1=str(tmp_path / "plain.pth"))
    with pytest.raises(InputError, match="does not exist"):
        PISR(student, None, L1Loss(), stage1=str(tmp_path / "none.pth"))
    with pytest.raises(InputError, match=r"scale 2 and 3 channel\(s\), the student \(EDSR\) for scale 4"):
        PISR(EDSR(num_feat=6, num_block=2, upscale=4), None, L1Loss(), stage1=stage1)
    with pytest.raises(InputError, match=r"'body\.9' does not exist.*Available"):
        PISR(student, None, L1Loss(), stage1=stage1, tap="body.9")


def test_features_of_different_sizes_are_refused_with_tap_and_shapes(first, stage1):
    student = EDSR(**first.student.config)
    student.features = torch.nn.AvgPool2d(2)
    channels = student.num_feat
    message = rf"tap 'features' gives \[1, {channels}, 4, 4\] in the student and \[1, {channels}, 8, 8\] in the teacher"
    with pytest.raises(InputError, match=message):
        PISR(student, None, L1Loss(), stage1=stage1, tap="features")
