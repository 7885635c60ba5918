"""CSD's contrastive loss: pull the student's output to the teacher's, push it from upsampled inputs.

Paper: Wang, Lin, Qu, Wu, Zhang, Xie, Yao, "Towards Compact Single Image Super-Resolution via Contrastive
Self-distillation", IJCAI 2021, https://arxiv.org/abs/2105.11683, the contrastive term L_CL with d = L1.

Legend: B images, K negatives for each, M images that negatives are chosen from; one [.., C, H, W] tensor a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

EPS = 1e-7

_CHUNK = 2**18  # elements that one pass works on: they and their two buffers stay in a core's cache
_CHUNK_OF_GPU = 2**26  # few enough for its memory; small ones would be over before the next is started


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
        far_B = summed_distances(s_BCHW, n_MCHW, index_BK)
        ratio = (near_B / (far_B + EPS)).mean() if per_image else near_B.mean() / (far_B.mean() + EPS)
        total = total + weight * ratio
    return total


def summed_distances(s_BCHW: Tensor, n_MCHW: Tensor, index_BK: Tensor) -> Tensor:
    """Σ_k mean |s_b − n_k| over the images k that `index_BK` names for each image b: [B].

    Value and gradient come from one pass. The gradient, Σ_k sign(s − n_k) / (C·H·W), is a whole number of at most K for
    each element, so one byte of it is kept; left to autograd it would be K differences. No gradient flows to `n_MCHW`.
    """
    if s_BCHW.is_contiguous(memory_format=torch.channels_last):  # as it lies in memory, so that nothing is copied
        s_BCHW, n_MCHW = s_BCHW.permute(0, 2, 3, 1), n_MCHW.permute(0, 2, 3, 1)
    total_B: Tensor = _SummedDistances.apply(s_BCHW.flatten(1), n_MCHW.flatten(1), index_BK)  # pyright: ignore[reportAssignmentType]
    return total_B


class _SummedDistances(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, s_BD: Tensor, n_MD: Tensor, index_BK: Tensor) -> Tensor:
        B, D = s_BD.shape
        K = index_BK.shape[1]
        signs_BD = torch.empty_like(s_BD, dtype=torch.int8 if K <= 127 else torch.int16)
        total_B = s_BD.new_zeros(B)
        step = max((_CHUNK if s_BD.device.type == "cpu" else _CHUNK_OF_GPU) // B, 1)
        for start in range(0, D, step):
            s_Bd = s_BD[:, start : start + step]
            n_Md = n_MD[:, start : start + step]
            sign_Bd = torch.zeros_like(s_Bd)
            buffer_Bd = torch.empty_like(s_Bd)
            for chosen_B in index_BK.unbind(dim=1):
                torch.sub(s_Bd, n_Md[chosen_B], out=buffer_Bd)
                total_B += torch.linalg.vector_norm(buffer_Bd, ord=1, dim=1)
                sign_Bd += buffer_Bd.sign_()
            signs_BD[:, start : start + step] = sign_Bd
        ctx.save_for_backward(signs_BD)
        return total_B / D

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None]:
        (signs_BD,) = ctx.saved_tensors
        (grad_B,) = grad_outputs
        return signs_BD * (grad_B / signs_BD.shape[1]).unsqueeze(1), None, None


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
