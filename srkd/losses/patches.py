"""Embeddings of patches: what a distance between samples compares where an image has no class but many places."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def patch_embeddings(f_BCHW: Tensor, *, grid: int) -> Tensor:
    """The mean of the features over each cell of a grid × grid of the map: [B, C, H, W] -> [B·grid², C].

    A map that is smaller than the grid has one cell a position.
    """
    rows, columns = min(grid, f_BCHW.shape[2]), min(grid, f_BCHW.shape[3])
    return F.adaptive_avg_pool2d(f_BCHW, (rows, columns)).flatten(2).transpose(1, 2).flatten(0, 1)
