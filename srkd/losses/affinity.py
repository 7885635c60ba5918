"""FAKD's spatial affinity: which positions of the features resemble which.

Paper: He, Dai, Lu, Jiang, Xia, "FAKD: Feature-Affinity Based Knowledge Distillation for Efficient Image
Super-Resolution", ICIP 2020, https://doi.org/10.1109/ICIP40778.2020.9190917.

Legend: B images, C channels (the student's and the teacher's may differ), N = H·W positions, R rows of the affinity.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

EPS = 1e-8
BLOCK = 2**23
"""Entries of the affinity that exist at a time, by default: 32 MiB in fp32."""


def normalised_positions(f_BCHW: Tensor, *, pool: int = 1) -> Tensor:
    """Features with every position's vector divided by its length: [B, C, H, W] -> [B, C, N].

    Args:
        f_BCHW: features; half precision is computed in fp32.
        pool: factor of an average pooling before it (1: none), which divides the affinity's size by pool⁴.
    """
    f_BCHW = f_BCHW.float() if f_BCHW.dtype.itemsize < 4 else f_BCHW
    if pool > 1:
        f_BCHW = F.avg_pool2d(f_BCHW, pool)
    f_BCN = f_BCHW.flatten(2)
    # the root's gradient at a position that is zero in every channel is not a number: the norm's own is 0 there
    return f_BCN / (torch.linalg.vector_norm(f_BCN, dim=1, keepdim=True) + EPS)


def spatial_affinity(f_BCHW: Tensor, *, pool: int = 1) -> Tensor:
    """Cosine similarity of every two positions, A = Fnᵀ·Fn: [B, C, H, W] -> [B, N, N]. For small features."""
    f_BCN = normalised_positions(f_BCHW, pool=pool)
    return f_BCN.mT @ f_BCN


def affinity_distance(student_BCHW: Tensor, teacher_BCHW: Tensor, *, pool: int = 1, block: int = BLOCK) -> Tensor:
    """mean |A_S − A_T| over all B·N·N entries, without ever holding an affinity.

    At 48 × 48 positions and 16 images an affinity has 85 million entries, and autograd would keep several for each
    tap. Here R rows of it exist at a time, and only the gradient [B, C, N] is kept.

    Args:
        student_BCHW: the student's features; gradients flow here only.
        teacher_BCHW: the teacher's features: other channels, the same H × W.
        pool: see `normalised_positions`.
        block: entries of the affinity that exist at a time.

    Returns:
        A scalar, in fp32 at least.
    """
    assert student_BCHW.shape[-2:] == teacher_BCHW.shape[-2:]
    with torch.autocast(student_BCHW.device.type, enabled=False):
        student_BCN = normalised_positions(student_BCHW, pool=pool)
        teacher_BCN = normalised_positions(teacher_BCHW.detach(), pool=pool)
        distance: Any = _AffinityDistance.apply(student_BCN, teacher_BCN, block)
        return distance


class _AffinityDistance(torch.autograd.Function):
    """mean |SᵀS − TᵀT| by blocks of rows; the forward pass computes the gradient along with the value.

    With D = SᵀS − TᵀT, which is symmetric, d mean|D| / dS = 2 / (B·N²) · S · sign(D): the rows of D that a block holds
    give the gradient of its positions, so that nothing has to be computed a second time.
    """

    @staticmethod
    def forward(ctx: Any, student_BCN: Tensor, teacher_BCN: Tensor, block: int) -> Tensor:
        images, _, positions = student_BCN.shape
        entries = images * positions * positions
        gradient_BCN = torch.empty_like(student_BCN) if ctx.needs_input_grad[0] else None
        sums: list[Tensor] = []
        # Two buffers for all blocks: allocated one after another, they would fragment a CPU's heap, and the resident
        # set would grow by as much as a whole affinity.
        rows = min(max(block // (images * positions), 1), positions)
        buffers = [student_BCN.new_empty(images * rows * positions) for _ in range(2)]
        for start in range(0, positions, rows):
            stop = min(start + rows, positions)
            shape = images, stop - start, positions
            d_BRN, other_BRN = (buffer[: math.prod(shape)].view(shape) for buffer in buffers)
            torch.bmm(student_BCN[..., start:stop].mT, student_BCN, out=d_BRN)
            d_BRN -= torch.bmm(teacher_BCN[..., start:stop].mT, teacher_BCN, out=other_BRN)
            if gradient_BCN is not None:
                gradient_BCN[..., start:stop] = student_BCN @ torch.sign(d_BRN, out=other_BRN).mT
            sums.append(d_BRN.abs_().sum())
        if gradient_BCN is not None:
            ctx.save_for_backward(gradient_BCN.mul_(2 / entries))
        return torch.stack(sums).sum() / entries

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (gradient_BCN,) = ctx.saved_tensors
        return gradient_BCN * gradients[0], None, None
