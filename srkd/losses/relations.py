"""Relations between samples: distances, angles, and how distances change from layer to layer.

Papers: Park, Kim, Lu, Cho, "Relational Knowledge Distillation", CVPR 2019, https://arxiv.org/abs/1904.05068, eq. 4
to 9; Liu et al., "Knowledge Distillation via Instance Relationship Graph", CVPR 2019.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from srkd.losses.exact import exact

EPS = 1e-8


def relative_distances(e_NC: Tensor) -> Tensor:
    """Euclidean distances of every two samples, divided by their mean over different ones: [N, C] -> [N, N]."""
    squares_N = e_NC.square().sum(dim=1)
    d2_NN = (squares_N[:, None] + squares_N[None] - 2 * e_NC @ e_NC.T).clamp(min=0)
    off = ~torch.eye(len(e_NC), dtype=torch.bool, device=e_NC.device)
    d_NN = torch.where(off, (d2_NN + EPS).sqrt(), 0.0)  # the root has no gradient at 0
    return d_NN / (d_NN.sum() / off.sum() + EPS)


def angles(e_NC: Tensor) -> Tensor:
    """Cosine of the angle at j between i and k: [N, C] -> [N, N, N], as [j, i, k]."""
    ways = F.normalize(e_NC[None] - e_NC[:, None], dim=2)  # [j, i, C]: from j to i
    return ways @ ways.mT


@exact
def relation_distance(
    student_NC: Tensor, teacher_ND: Tensor, *, distance_weight: float = 1.0, angle_weight: float = 2.0
) -> Tensor:
    """Huber distance of relative distances and of angles, weighted."""
    teacher_ND, total = teacher_ND.detach(), student_NC.new_zeros(())
    if distance_weight:
        total = total + distance_weight * F.smooth_l1_loss(
            relative_distances(student_NC), relative_distances(teacher_ND)
        )
    if angle_weight:
        total = total + angle_weight * F.smooth_l1_loss(angles(student_NC), angles(teacher_ND))
    return total


@exact
def edge_distance(student_NC: Tensor, teacher_ND: Tensor) -> Tensor:
    """IRG's edges: mean squared difference of the relative distances."""
    return F.mse_loss(relative_distances(student_NC), relative_distances(teacher_ND.detach()))


@exact
def change_distance(
    student_first: Tensor, student_second: Tensor, teacher_first: Tensor, teacher_second: Tensor
) -> Tensor:
    """IRG's transformation: mean squared difference of how the relative distances change from one layer to the next."""
    ours = relative_distances(student_second) - relative_distances(student_first)
    theirs = relative_distances(teacher_second.detach()) - relative_distances(teacher_first.detach())
    return F.mse_loss(ours, theirs)
