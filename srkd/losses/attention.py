"""Attention transfer: where features are strong.

Paper: Zagoruyko, Komodakis, "Paying More Attention to Attention", ICLR 2017, https://arxiv.org/abs/1612.03928, eq. 2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from srkd.losses.exact import exact

EPS = 1e-6


def attention_map(f_BCHW: Tensor, *, power: float = 2.0) -> Tensor:
    """Σ_c |F_c|^p over the channels, divided by its L2 norm over the positions: [B, C, H, W] -> [B, H·W]."""
    strength_BN = f_BCHW.abs().pow(power).sum(dim=1).flatten(1)
    return strength_BN / (torch.linalg.vector_norm(strength_BN, dim=1, keepdim=True) + EPS)


@exact
def attention_distance(student_BCHW: Tensor, teacher_BCHW: Tensor, *, power: float = 2.0) -> Tensor:
    """Mean over the images of ‖Q(s) − Q(t)‖², Q being the attention map; from 0 to 2. Channels may differ."""
    difference_BN = attention_map(student_BCHW, power=power) - attention_map(teacher_BCHW.detach(), power=power)
    return difference_BN.square().sum(dim=1).mean()
