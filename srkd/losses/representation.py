"""Contrast of representations: a place's feature is nearer to the teacher's of the same place than to any other.

Paper: Tian, Krishnan, Isola, "Contrastive Representation Distillation", ICLR 2020, https://arxiv.org/abs/1910.10699;
in the form of InfoNCE (van den Oord et al., 2018), which needs no estimate of the number of samples.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from srkd.losses.exact import exact


@exact
def representation_distance(
    student_ND: Tensor, teacher_ND: Tensor, bank_KD: Tensor, *, temperature: float = 0.07
) -> Tensor:
    """−mean_i log( exp(s_i·t_i/τ) / Σ_j exp(s_i·u_j/τ) ), u being the teacher's embeddings and those of the bank.

    All embeddings are divided by their length first. With N + K samples it is log(N + K) where nothing is known, and 0
    where every place is told apart.
    """
    s_ND, others_MD = F.normalize(student_ND, dim=1), F.normalize(torch.cat([teacher_ND, bank_KD]), dim=1)
    return F.cross_entropy(s_ND @ others_MD.T / temperature, torch.arange(len(s_ND), device=s_ND.device))
