"""A small student, a wider and deeper teacher, and a batch of images in [0, 1]."""

import pytest
import torch
from torch.nn import functional as F

from srkd.networks.edsr import EDSR
from srkd.types import Batch


@pytest.fixture
def pair():
    torch.manual_seed(0)
    student = EDSR(num_feat=4, num_block=3, upscale=2)
    return student, EDSR(num_feat=6, num_block=10, upscale=2, res_scale=0.1).eval()


@pytest.fixture
def images():
    torch.manual_seed(1)
    return Batch(F.avg_pool2d(gt := torch.rand(3, 3, 16, 16), 2), gt)
