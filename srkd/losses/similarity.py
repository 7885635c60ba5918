"""Similarity-preserving: images of a batch that are alike to the teacher are alike to the student.

Paper: Tung, Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019, https://arxiv.org/abs/1907.09682.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from srkd.losses.exact import exact


def similarity(f_BCHW: Tensor) -> Tensor:
    """Inner products of the images' features, each row divided by its length: [B, C, H, W] -> [B, B]."""
    f_BM = f_BCHW.flatten(1)
    return F.normalize(f_BM @ f_BM.T, dim=1)


@exact
def similarity_distance(student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
    """‖G(s) − G(t)‖² / B², G being the similarities. Channels and positions may differ."""
    return F.mse_loss(similarity(student_BCHW), similarity(teacher_BCHW.detach()))
