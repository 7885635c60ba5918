"""SRKD's statistics over channels: what features of different width have in common.

Paper: Gao, Zhao, Li, Tong, "Image Super-Resolution Using Knowledge Distillation", ACCV 2018,
https://doi.org/10.1007/978-3-030-20890-5_34. The best of its statistics is (mean over channels)².
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Statistic = Literal["mean", "mean_of_power", "max", "min"]
Norm = Literal["mse", "l1"]


def channel_statistic(
    f_BCHW: Tensor, statistic: Statistic = "mean", *, power: int = 2, keep_sign: bool = False
) -> Tensor:
    """One map of features [B, C, H, W], whatever C: [B, 1, H, W].

    Args:
        f_BCHW: features.
        statistic: `mean`: (1/C Σ_c F_c)^p; `mean_of_power`: 1/C Σ_c F_c^p; `max` and `min` over channels.
        power: p; `max` and `min` know none.
        keep_sign: sign(x)·|x|^p in place of x^p, which forgets the sign for even p.
    """
    if statistic == "max":
        return f_BCHW.amax(dim=1, keepdim=True)
    if statistic == "min":
        return f_BCHW.amin(dim=1, keepdim=True)
    if statistic == "mean":
        return _raise(_mean(f_BCHW), power, keep_sign)
    return _mean(_raise(f_BCHW, power, keep_sign))


def _mean(f_BCHW: Tensor) -> Tensor:
    # a sum, divided: the gradient of torch's mean forgets the features' memory layout, and convolutions copy it back
    return f_BCHW.sum(dim=1, keepdim=True) / f_BCHW.shape[1]


def _raise(x: Tensor, power: int, keep_sign: bool) -> Tensor:
    return x * x.abs() ** (power - 1) if keep_sign else x**power


def statistic_distance(
    student_BCHW: Tensor,
    teacher_BCHW: Tensor,
    *,
    statistic: Statistic = "mean",
    power: int = 2,
    keep_sign: bool = False,
    norm: Norm = "mse",
) -> Tensor:
    """Mean squared (or absolute) difference of the statistics of two features [B, C, H, W], C of each its own.

    Computed in fp32 at least: half precision has no room for squares of features.
    """
    with torch.autocast(student_BCHW.device.type, enabled=False):
        student_B1HW, teacher_B1HW = (
            channel_statistic(
                f_BCHW.float() if f_BCHW.dtype.itemsize < 4 else f_BCHW, statistic, power=power, keep_sign=keep_sign
            )
            for f_BCHW in (student_BCHW, teacher_BCHW)
        )
        distance = F.mse_loss if norm == "mse" else F.l1_loss
        return distance(student_B1HW, teacher_B1HW)
