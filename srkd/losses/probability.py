"""PKT: the probability that one sample is another's neighbour.

Paper: Passalis, Tefas, "Learning Deep Representations with Probabilistic Knowledge Transfer", ECCV 2018,
https://arxiv.org/abs/1803.10837, eq. 5 to 9, with the cosine kernel.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from srkd.losses.exact import exact

EPS = 1e-7


def neighbour_probabilities(e_NC: Tensor) -> Tensor:
    """p(j|i) ∝ (cos(e_i, e_j) + 1) / 2 over j ≠ i: [N, C] -> [N, N], each row a distribution, 0 on the diagonal."""
    e_NC = F.normalize(e_NC, dim=1)
    likeness_NN = (e_NC @ e_NC.T + 1) / 2
    likeness_NN = likeness_NN.masked_fill(torch.eye(len(e_NC), dtype=torch.bool, device=e_NC.device), 0.0)
    return likeness_NN / (likeness_NN.sum(dim=1, keepdim=True) + EPS)


@exact
def probability_distance(student_NC: Tensor, teacher_ND: Tensor) -> Tensor:
    """Divergence of the student's neighbour probabilities from the teacher's: mean_i Σ_j p_T · log(p_T / p_S)."""
    theirs, ours = neighbour_probabilities(teacher_ND.detach()), neighbour_probabilities(student_NC)
    return (theirs * torch.log((theirs + EPS) / (ours + EPS))).sum(dim=1).mean()
