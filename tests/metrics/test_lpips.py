"""Backbones are random here: what is tested is the arithmetic, the package's own weights and the loading."""

import warnings

import lpips
import numpy as np
import pytest
import torch
from torchvision import models

from srkd.metrics.perceptual import LPIPS
from srkd.types import InputError


@pytest.fixture(scope="module")
def alexnet():
    torch.manual_seed(3)
    state = models.alexnet(weights=None).features.state_dict()
    return {f"features.{name}": value for name, value in state.items()}


@pytest.fixture(scope="module")
def vgg16():
    torch.manual_seed(4)
    with torch.device("meta"):  # its classifier would take half a gigabyte
        features = models.vgg16(weights=None).features
    features.to_empty(device="cpu")
    state = {name: torch.randn(value.shape) * 0.05 for name, value in features.state_dict().items()}
    return {f"features.{name}": value for name, value in state.items()}


def package(backbone, state):
    """The package's own object, its backbone filled slice by slice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net=backbone, pnet_rand=True, verbose=False)
    for part in (network.net.slice1, network.net.slice2, network.net.slice3, network.net.slice4, network.net.slice5):
        for name, parameter in part.named_parameters():
            parameter.data.copy_(state[f"features.{name}"])
    return network


@pytest.fixture
def pair(photo, rng):
    sr = np.clip(photo.astype(int) + rng.integers(-30, 30, photo.shape), 0, 255).astype(np.uint8)
    return sr, photo


@pytest.mark.parametrize("backbone", ["alex", "vgg"])
def test_values_are_the_packages(backbone, alexnet, vgg16, pair, tmp_path):
    state = {"alex": alexnet, "vgg": vgg16}[backbone]
    torch.save(state, tmp_path / "weights.pth")
    ours = LPIPS(backbone, tmp_path / "weights.pth")
    sr, gt = (torch.from_numpy(image[4:-4, 4:-4].copy()).permute(2, 0, 1)[None] / 255 for image in pair)
    with torch.no_grad():
        expected = float(package(backbone, state)(sr, gt, normalize=True))  # [0, 1] -> [-1, 1] by the package
    found = ours(*pair, crop_border=4)
    assert found == pytest.approx(expected, rel=1e-5) and found > 1e-3
    assert ours(pair[1], pair[1]) == 0


def test_the_layers_weights_are_the_learned_ones_of_the_package(alexnet, tmp_path):
    torch.save(alexnet, tmp_path / "weights.pth")
    before = torch.random.get_rng_state()
    network = LPIPS("alex", tmp_path / "weights.pth").network
    assert torch.equal(torch.random.get_rng_state(), before)
    learned = torch.load(f"{lpips.__path__[0]}/weights/v0.1/alex.pth", map_location="cpu", weights_only=True)
    assert torch.equal(network.lin0.model[1].weight, learned["lin0.model.1.weight"])
    assert not any(parameter.requires_grad for parameter in network.parameters()) and not network.training


def test_other_files_are_refused(alexnet, tmp_path):
    torch.save(alexnet, tmp_path / "alex.pth")
    with pytest.raises(InputError, match=r"not torchvision's VGG-16: features.0.weight is missing or has another size"):
        LPIPS("vgg", tmp_path / "alex.pth")
    torch.save(dict(list(alexnet.items())[:-1]), tmp_path / "short.pth")
    with pytest.raises(InputError, match=r"not torchvision's AlexNet: features.10.bias"):
        LPIPS("alex", tmp_path / "short.pth")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(InputError, match="cannot be read"):
        LPIPS("alex", tmp_path / "text.pth")


def test_images_that_do_not_fit(alexnet, tmp_path, photo):
    torch.save(alexnet, tmp_path / "weights.pth")
    measure = LPIPS("alex", tmp_path / "weights.pth")
    with pytest.raises(InputError, match="at least 32 × 32"):
        measure(photo[:39], photo[:39], crop_border=4)
    with pytest.raises(InputError, match="uint8 RGB"):
        measure(photo[..., 0], photo[..., 0])
    with pytest.raises(InputError, match="one shape"):
        measure(photo, photo[1:])
