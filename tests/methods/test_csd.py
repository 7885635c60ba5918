"""CSD: its total in the paper's range, the authors' variant, and its spaces."""

import pytest
import torch
from torch.nn import functional as F

from srkd.losses.perceptual import VGG19
from srkd.losses.pixel import L1Loss
from srkd.methods.csd import CSD, NetworkSpace, VGGSpace
from srkd.networks.edsr import EDSR
from srkd.networks.weights import save_network
from srkd.types import Batch, InputError


@pytest.fixture
def student():
    torch.manual_seed(0)
    return EDSR(num_feat=8, num_block=2, upscale=2)


@pytest.fixture
def batch():
    torch.manual_seed(1)
    lq = F.avg_pool2d(gt := torch.rand(5, 3, 32, 32), 2)
    return Batch(lq, gt)


@pytest.fixture
def space(tmp_path):
    """VGG-19 with random weights, from a file so that two instances agree."""
    torch.manual_seed(3)
    import torchvision

    torch.save(torchvision.models.vgg19(weights=None).features.state_dict(), tmp_path / "vgg.pth")
    return VGGSpace(weights=str(tmp_path / "vgg.pth"))


def test_total_is_the_papers_over_255(student, batch, space):
    """The range test: our total on [0, 1] is 1/255 of L1_S + L1_T + 200 · CL evaluated by hand on 0..255."""
    method = CSD(student, None, L1Loss(), num_negatives=3, perceptual=space, faithful=True)
    ours = method.total(method(batch), 0.0)

    vgg = VGG19(weights=space.weights)
    with torch.no_grad():
        s, t = student(batch.lq, 0.25), student(batch.lq)
        up = F.interpolate(batch.lq, scale_factor=2, mode="bicubic")
        phi_s, phi_t, phi_n = vgg(s), vgg(t), vgg(up)
        contrast = torch.zeros(())
        for weight, a, b, n in zip((1 / 32, 1 / 16, 1 / 8, 1 / 4, 1), phi_s, phi_t, phi_n, strict=True):
            far = sum((n[k : k + 1] - a).abs().mean() for k in range(3))
            contrast = contrast + weight * (a - b).abs().mean() / (far + 1e-7)
        paper = (255 * s - 255 * batch.gt).abs().mean() + (255 * t - 255 * batch.gt).abs().mean() + 200 * contrast
    assert ours.item() == pytest.approx(paper.item() / 255, rel=1e-5)


def test_student_starts_as_a_slice_and_full_width_learns_from_ground_truth_only(student, batch):
    method = CSD(student, None, L1Loss(), num_negatives=2, perceptual=NetworkSpace())
    losses = method(batch)
    assert set(losses) == {"l_pix@1", "l_pix@0.25", "l_contrast@0.25"}
    outside = student.conv_first.weight[2:]
    (gradient,) = torch.autograd.grad(losses["l_contrast@0.25"], student.conv_first.weight, retain_graph=True)
    assert gradient[2:].abs().sum() == 0 and gradient[:2].abs().sum() > 0 and outside.numel()


def test_undetached_positive_reaches_the_full_width(student, batch):
    method = CSD(student, None, L1Loss(), num_negatives=2, perceptual=NetworkSpace(), detach_positive=False)
    losses = method(batch)
    (gradient,) = torch.autograd.grad(losses["l_contrast@0.25"], student.conv_first.weight)
    assert gradient[2:].abs().sum() > 0


def test_negatives_are_never_the_anchor(student, batch):
    """With the anchor's own upsampled input as the student's output, no negative is at distance 0."""
    method = CSD(student, None, L1Loss(), num_negatives=4, perceptual=NetworkSpace())
    torch.manual_seed(0)
    first = method(batch)["l_contrast@0.25"]
    torch.manual_seed(0)
    assert torch.equal(method(batch)["l_contrast@0.25"], first)  # drawn from the seeded generator


def test_batch_too_small_names_both_numbers(student, batch):
    with pytest.raises(InputError, match=r"=5.*batch size = 5"):
        CSD(student, None, L1Loss(), num_negatives=5, perceptual=NetworkSpace())(batch)
    CSD(student, None, L1Loss(), num_negatives=5, perceptual=NetworkSpace(), faithful=True)(batch)


def test_missing_layers_give_their_weight_to_the_rest(student, shared_data, caplog):
    space = VGGSpace(weights=str(shared_data / "weights" / "vgg19_normalised_to_conv3_1.pth"))
    method = CSD(student, None, L1Loss(), num_negatives=2, perceptual=space)
    assert sum(method.layer_weights) == pytest.approx(1 / 32 + 1 / 16 + 1 / 8 + 1 / 4 + 1)
    assert len(method.layer_weights) == 3 and "goes to relu1_1, relu2_1, relu3_1" in caplog.text


def test_network_space_is_a_frozen_copy(student, batch, tmp_path):
    method = CSD(student, None, L1Loss(), num_negatives=2, perceptual=NetworkSpace())
    before = method._features(batch.gt)
    with torch.no_grad():
        student.conv_first.weight.add_(1)
    assert all(torch.equal(a, b) for a, b in zip(before, method._features(batch.gt), strict=True))
    save_network(tmp_path / "n.pth", student)
    other = CSD(student, None, L1Loss(), perceptual=NetworkSpace(path=str(tmp_path / "n.pth"), taps=("conv_first",)))
    assert len(other._features(batch.gt)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": (1.0,)}, "below 1"),
        ({"widths": ()}, "at least one"),
        ({"widths": (0.3,)}, "Nearest valid"),
        ({"num_negatives": 0}, "at least 1"),
        ({"perceptual": NetworkSpace(taps=("body.9",))}, "Available"),
        ({"perceptual": NetworkSpace(layer_weights=(1.0,))}, "1 values for 2 taps"),
    ],
)
def test_bad_options(student, options, message):
    with pytest.raises(ValueError, match=message):
        CSD(student, None, L1Loss(), **{"perceptual": NetworkSpace(), **options})


def test_several_widths_sum(student, batch):
    torch.manual_seed(0)
    both = CSD(student, None, L1Loss(), widths=(0.5, 0.25), num_negatives=2, perceptual=NetworkSpace())
    names = set(both(batch))
    assert names == {"l_pix@1", "l_pix@0.5", "l_pix@0.25", "l_contrast@0.5", "l_contrast@0.25"}
    assert both.widths == (1.0, 0.5, 0.25)


def test_contrastive_term_is_fp32_under_bf16(student, batch):
    method = CSD(student, None, L1Loss(), num_negatives=2, perceptual=NetworkSpace())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = method(batch)
    assert all(value.dtype == torch.float32 for value in losses.values())


def test_a_space_of_another_colour_is_refused(student, tmp_path):
    luma = EDSR(num_in_ch=1, num_out_ch=1, num_feat=4, num_block=1, rgb_mean=(0.0,))
    save_network(tmp_path / "luma.pth", luma)
    with pytest.raises(InputError, match=r"luma\.pth\) takes 1 channel\(s\), but the network gives 3"):
        CSD(student, None, L1Loss(), widths=(0.5,), perceptual=NetworkSpace(path=str(tmp_path / "luma.pth")))
