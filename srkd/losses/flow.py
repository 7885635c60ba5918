"""FSP: how features change from one layer to the next.

Paper: Yim, Joo, Bae, Kim, "A Gift from Knowledge Distillation: Fast Optimization, Network Minimization and Transfer
Learning", CVPR 2017, eq. 1 and 2.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from srkd.losses.exact import exact


def flow_matrix(first_BCHW: Tensor, second_BDHW: Tensor) -> Tensor:
    """Inner products of the channels of two layers, divided by the number of positions: [B, C, D]."""
    positions = first_BCHW.shape[-2] * first_BCHW.shape[-1]
    return first_BCHW.flatten(2) @ second_BDHW.flatten(2).mT / positions


@exact
def flow_distance(
    student_first: Tensor, student_second: Tensor, teacher_first: Tensor, teacher_second: Tensor
) -> Tensor:
    """Mean squared difference of the flow matrices of student and teacher; channels and positions as the teacher's."""
    theirs = flow_matrix(teacher_first.detach(), teacher_second.detach())
    return F.mse_loss(flow_matrix(student_first, student_second), theirs)
