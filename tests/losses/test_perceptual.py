"""VGG-19 features: equal to torchvision's network, and the normalised file."""

import logging

import pytest
import torch
import torchvision

from srkd.losses.perceptual import LAYERS, VGG19
from srkd.types import InputError


@pytest.fixture(scope="module")
def reference():
    torch.manual_seed(0)
    return torchvision.models.vgg19(weights=None).features.eval()


def features_of(reference, x):
    taken = []
    for index, layer in enumerate(reference):
        x = layer(x)
        if index in (1, 6, 11, 20, 29):  # relu1_1 … relu5_1
            taken.append(x.clone())
    return taken


@pytest.mark.parametrize("input", ["raw255", "imagenet"])
def test_equal_to_torchvision(reference, tmp_path, input):
    torch.save({f"features.{k}": v for k, v in reference.state_dict().items()}, tmp_path / "vgg19.pth")
    vgg = VGG19(weights=str(tmp_path / "vgg19.pth"), input=input)
    x = torch.rand(2, 3, 40, 36)
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    fed = x * 255 if input == "raw255" else (x - mean) / std
    for ours, theirs in zip(vgg(x), features_of(reference, fed), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_subset_of_layers_stops_early(reference, tmp_path):
    torch.save(reference.state_dict(), tmp_path / "vgg19.pth")
    vgg = VGG19(weights=str(tmp_path / "vgg19.pth"), layers=("relu1_1", "relu3_1"))
    assert len(vgg.convolutions) == 5
    assert [tuple(f.shape) for f in vgg(torch.rand(1, 3, 16, 16))] == [(1, 64, 16, 16), (1, 256, 4, 4)]


def test_normalised_file(shared_data, photo, caplog):
    """Its activations are normalised: every channel's mean over photographs is near 1 (Gatys' normalisation)."""
    with caplog.at_level(logging.WARNING, "srkd"):
        vgg = VGG19(weights=str(shared_data / "weights" / "vgg19_normalised_to_conv3_1.pth"))
    assert vgg.layers == LAYERS[:3]
    assert "relu4_1, relu5_1 left out" in caplog.text
    x = torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].float() / 255
    means = [features.mean().item() for features in vgg(x)]
    assert all(0.3 < mean < 3 for mean in means), means


def test_frozen_and_fp32(reference, tmp_path):
    vgg = VGG19(weights="random", layers=("relu1_1",))
    assert not any(p.requires_grad for p in vgg.parameters())
    x = torch.rand(1, 3, 8, 8, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (features,) = vgg(x)
    assert features.dtype == torch.float32
    features.sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0


def test_errors(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        VGG19(weights="random", layers=("relu9_1",))
    with pytest.raises(InputError, match="do not exist"):
        VGG19(weights=str(tmp_path / "none.pth"))
    (tmp_path / "bad.pth").write_text("x")
    with pytest.raises(InputError, match="cannot be read"):
        VGG19(weights=str(tmp_path / "bad.pth"))
    torch.save({"conv_first.weight": torch.ones(1)}, tmp_path / "other.pth")
    with pytest.raises(InputError, match="not a state dict of VGG-19"):
        VGG19(weights=str(tmp_path / "other.pth"))
    torch.save(torchvision.models.vgg16(weights=None).features.state_dict(), tmp_path / "vgg16.pth")
    with pytest.raises(InputError, match="is not VGG-19: its convolution 17"):
        VGG19(weights=str(tmp_path / "vgg16.pth"))


@pytest.mark.parametrize("spoil", ["cut", "nan", "meta", "text", "sparse"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_of_weights_is_one_sentence(tmp_path, spoil, suffix):
    from safetensors.torch import save_file

    path = tmp_path / f"vgg{suffix}"
    weight = torch.zeros(64, 3, 3, 3)
    if spoil == "nan":
        weight[0] = float("nan")
    if suffix == ".pth" or spoil in ("meta", "sparse"):
        weight = {"meta": weight.to("meta"), "sparse": weight.to_sparse()}.get(spoil, weight)
        torch.save({"0.weight": weight, "0.bias": torch.zeros(64)}, path)
    else:
        save_file({"0.weight": weight, "0.bias": torch.zeros(64)}, path)
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:300])
    if spoil == "text":
        path.write_text("no weights")
    with pytest.raises(InputError, match=r"VGG-19's weights: checkpoint .*vgg"):
        VGG19(layers=("relu1_1",), weights=str(path))
