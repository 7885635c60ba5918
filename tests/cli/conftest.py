import numpy as np
import pytest
import torch

from srkd.imaging.files import write_image
from srkd.networks.edsr import EDSR
from srkd.networks.weights import save_network


@pytest.fixture
def network():
    torch.manual_seed(0)
    return EDSR(num_feat=8, num_block=1, upscale=2).eval()


@pytest.fixture
def checkpoint(tmp_path, network):
    """`net.pth` of `network`, trained at widths 1 and 0.5."""
    save_network(tmp_path / "net.pth", network, widths=(1.0, 0.5), iter=7, method="CSD")
    return tmp_path / "net.pth"


@pytest.fixture
def folder(tmp_path, photo):
    """A set of three small photographs in HR/, none of a size divisible by 2."""
    for number in range(3):
        image = np.roll(photo, 17 * number, axis=1)[:41, : 51 + 2 * number]
        write_image(tmp_path / "mine" / "HR" / f"img{number}.png", image)
    return tmp_path / "mine"
