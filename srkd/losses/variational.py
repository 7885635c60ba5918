"""PISR's variational information distillation: the student's features have to predict the teacher's.

Paper: Lee, Lee, Kim, Ham, "Learning with Privileged Information for Efficient Image Super-Resolution", ECCV 2020,
https://arxiv.org/abs/2007.07524, after Ahn et al., "Variational Information Distillation for Knowledge Transfer",
CVPR 2019. The mean over all elements, as the weight 1e-6 presumes, where the paper prints a sum.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Distribution = Literal["laplace", "gaussian"]
FLOOR = 1e-8
"""The least scale (variance): a teacher that is predicted exactly would be worth infinitely much."""
LAPLACE_UNIT, GAUSSIAN_UNIT = 0.1, 0.001


def variational_distance(
    mean_BCHW: Tensor, raw_scale_BCHW: Tensor, teacher_BCHW: Tensor, distribution: Distribution = "laplace"
) -> Tensor:
    """Negative log-likelihood of the teacher's features, averaged; without constants, so it may be negative.

    laplace:  log(2b) + |μ − f| / b,         b = 0.1 · softplus(raw) + 1e-8
    gaussian: log(v)/2 + (μ − f)² / (2v),    v = 0.001 · softplus(raw) + 1e-8
    (The authors' code adds C·log(2π)/2 to both, which has no gradient.)

    Args:
        mean_BCHW: μ, predicted from the student's features.
        raw_scale_BCHW: what becomes the scale b or variance v, predicted likewise; broadcast to μ.
        teacher_BCHW: the teacher's features f; detached here.
        distribution: whose likelihood it is.
    """
    with torch.autocast(mean_BCHW.device.type, enabled=False):
        mean, raw, teacher = (
            x.float() if x.dtype.itemsize < 4 else x for x in (mean_BCHW, raw_scale_BCHW, teacher_BCHW)
        )
        error = mean - teacher.detach()
        if distribution == "laplace":
            scale = LAPLACE_UNIT * F.softplus(raw) + FLOOR
            return ((2 * scale).log() + error.abs() / scale).mean()
        variance = GAUSSIAN_UNIT * F.softplus(raw) + FLOOR
        return (variance.log() / 2 + error.square() / (2 * variance)).mean()
