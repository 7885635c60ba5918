import hashlib

import pytest
import torch
from torchvision import models

from srkd.data.sources import Source
from srkd.evaluation import lpips
from srkd.evaluation.lpips import BACKBONES, perceptual_column
from srkd.types import InputError


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SRKD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path


@pytest.mark.parametrize("backbone", BACKBONES)
def test_without_weights_the_command_that_fetches_them_is_named(home, backbone):
    with pytest.raises(InputError, match=f"srkd data get-model {BACKBONES[backbone]}, or leave out --lpips"):
        perceptual_column(backbone)
    assert not list(home.iterdir())  # nothing was fetched


@pytest.mark.parametrize("folder", ["home/models", "hub/checkpoints"])
def test_weights_are_found_verified_and_recorded(home, folder, monkeypatch):
    torch.manual_seed(0)
    features = {f"features.{name}": value for name, value in models.alexnet().features.state_dict().items()}
    (home / folder).mkdir(parents=True)
    path = home / folder / "alexnet-owt-7be5be79.pth"
    torch.save(features, path)
    with pytest.raises(InputError, match=r"alexnet-owt-7be5be79.pth is not what its name says.*Remove it"):
        perceptual_column("alex")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    source = Source(what="", url="https://x/alexnet-owt-7be5be79.pth", licence="", sha256=digest[:8])
    monkeypatch.setattr(lpips, "known_models", lambda: {"alexnet": source})
    column = perceptual_column("alex")
    assert column.metric
    assert column.record == {"backbone": "alex", "version": "0.1", "file": path.name, "sha256": digest}


def test_other_backbones_are_refused(home):
    with pytest.raises(InputError, match="alex and vgg, not 'squeeze'"):
        perceptual_column("squeeze")
