"""CRD: the student's feature of a place tells which place of which patch the teacher's feature is from.

Paper: Tian, Krishnan, Isola, "Contrastive Representation Distillation", ICLR 2020, https://arxiv.org/abs/1910.10699.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from srkd.losses.pixel import PixelLoss
from srkd.losses.representation import representation_distance
from srkd.methods.base import Teachers, everyone
from srkd.methods.feature import PlaceMethod
from srkd.networks.slim import Network, SlimConv2d
from srkd.registry import METHODS
from srkd.types import InputError


class _Heads(nn.Module):
    """Both features to embeddings of the same size, and the bank of the teacher's features of earlier batches."""

    bank: Tensor

    def __init__(self, ours: int, theirs: int, embedding: int, bank: int) -> None:
        super().__init__()
        self.student, self.teacher = SlimConv2d(ours, embedding, 1), nn.Conv2d(theirs, embedding, 1)
        self.register_buffer("bank", torch.randn(bank, theirs))


@METHODS.register
class CRD(PlaceMethod):
    """pix(S, gt) + feature_weight · Σ_l InfoNCE(g(s_l), h(t_l)), g and h being trained embeddings of places.

    Positive is the teacher's embedding of the same place; negatives are those of all other places of the batch, and of
    the bank, which keeps the teacher's features of earlier batches and embeds them anew.

    Args:
        embedding: numbers of an embedding.
        bank: how many earlier features are kept.
        temperature: τ: small ones tell near negatives apart.
    """

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        embedding: int = 32,
        bank: int = 1024,
        temperature: float = 0.07,
        **options: Any,
    ) -> None:
        if embedding < 1 or bank < 0 or not temperature > 0:
            raise InputError(
                f"`embedding` (={embedding}) must be at least 1, `bank` (={bank}) not negative and `temperature` "
                f"(={temperature}) positive."
            )
        self.embedding, self.bank = embedding, bank  # before, as `build` needs them
        self.temperature = temperature
        super().__init__(student, teacher, pixel, **options)

    def build(self, channels: tuple[int, int]) -> nn.Module:
        """Embeddings and bank."""
        return _Heads(*channels, self.embedding, self.bank)

    def project(self, head: Any, student: Tensor, teacher: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Embeddings of the places, and of the bank."""
        features = self.places(teacher)
        earlier = head.bank.to(features.dtype)
        theirs = head.teacher(torch.cat([features, earlier])[..., None, None]).flatten(1)
        if self.training:
            rows = everyone(features).to(head.bank.dtype)[-len(head.bank) :] if len(head.bank) else head.bank
            head.bank = torch.cat([head.bank, rows])[len(rows) :]
        ours = self.places(head.student(student))
        return ours, (theirs[: len(features)], theirs[len(features) :])

    def distance(self, student: Tensor, teacher: tuple[Tensor, Tensor]) -> Tensor:
        """InfoNCE."""
        return representation_distance(student, *teacher, temperature=self.temperature)
