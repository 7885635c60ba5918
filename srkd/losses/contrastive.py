"""CSD's contrastive loss: pull the student's output to the teacher's, push it from upsampled inputs.

Paper: Wang, Lin, Qu, Wu, Guo, Xie, Xie, "Towards Compact Single Image Super-Resolution via Contrastive
Self-distillation", IJCAI 2021, https://arxiv.org/abs/2105.11683, the contrastive term L_CL with d = L1.

Legend: B images, K negatives for each, M images that negatives are chosen from; one [.., C, H, W] tensor a layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

EPS = 1e-7


def contrastive_loss(
    student: Sequence[Tensor],
    positive: Sequence[Tensor],
    *,
    negatives: Sequence[Tensor],
    index_BK: Tensor,
    weights: Sequence[float],
    per_image: bool = True,
) -> Tensor:
    """Σ_layers λ · d(S, P) / Σ_k d(S, N_k), a ratio and hence free of any scale of the features.

    Args:
        student: features of the student's output, [B, C, H, W] for each layer.
        positive: features of the teacher's output, same shapes.
        negatives: features of the candidate negatives, [M, C, H, W] for each layer.
        index_BK: [B, K] which candidates are the negatives of which image.
        weights: λ of each layer.
        per_image: True takes the ratio for each image and averages over the batch (the paper's formula); False takes
            the ratio of the batch's mean distances (the authors' code).

    Returns:
        A scalar in the features' precision.
    """
    assert len(student) == len(positive) == len(negatives) == len(weights)
    total = student[0].new_zeros(())
    for s_BCHW, p_BCHW, n_MCHW, weight in zip(student, positive, negatives, weights, strict=True):
        near_B = (s_BCHW - p_BCHW).abs().mean(dim=(1, 2, 3))
        # one k at a time: K repeated batches of features would be gigabytes
        far_B = torch.stack(
            [(s_BCHW - n_MCHW[chosen_B]).abs().mean(dim=(1, 2, 3)) for chosen_B in index_BK.unbind(dim=1)]
        ).sum(dim=0)
        ratio = (near_B / (far_B + EPS)).mean() if per_image else near_B.mean() / (far_B.mean() + EPS)
        total = total + weight * ratio
    return total


def draw_negatives(batch_size: int, num_negatives: int) -> Tensor:
    """For each of B images, K distinct other images of the batch: [B, K] indices, from torch's global generator.

    Raises:
        ValueError: fewer than K other images are in the batch.
    """
    if num_negatives > batch_size - 1:
        raise ValueError(
            f"`num_negatives` (={num_negatives}) must be at most the batch size minus 1 (batch size = {batch_size}): "
            "negatives are other images of the same batch."
        )
    order = torch.rand(batch_size, batch_size).fill_diagonal_(2.0)  # an image itself sorts last
    return order.argsort(dim=1)[:, :num_negatives]


def first_negatives(batch_size: int, num_negatives: int) -> Tensor:
    """The authors' choice: the batch's first K images, for every image, itself among them: [B, K] indices.

    Raises:
        ValueError: the batch has fewer than K images.
    """
    if num_negatives > batch_size:
        raise ValueError(
            f"`num_negatives` (={num_negatives}) must be at most the batch size (= {batch_size}) with `faithful: true`."
        )
    return torch.arange(num_negatives).expand(batch_size, num_negatives)
