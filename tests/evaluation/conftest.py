import numpy as np
import pytest
import torch

from srkd.imaging.files import write_image
from srkd.networks.edsr import EDSR


@pytest.fixture
def network():
    torch.manual_seed(0)
    return EDSR(num_feat=8, num_block=1, upscale=2)


@pytest.fixture
def folder(tmp_path, photo):
    """A set of three small photographs in HR/, none of a size divisible by 2."""
    for number in range(3):
        write_image(
            tmp_path / "mine" / "HR" / f"img{number}.png", np.roll(photo, 17 * number, axis=1)[:41, : 51 + number]
        )
    return tmp_path / "mine"
