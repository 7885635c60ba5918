"""Losses and weights that became infinite or not a number, noticed without waiting for the device at every step."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from srkd.engine.distributed import World, any_rank
from srkd.types import Losses, WorkError

NEVER = 2**62  # exact in floating point too
CAUSES = "Usual causes: too high a learning rate or loss weight, or fp16 with `img_range: 255` (use bf16)."


class NonFiniteLossError(WorkError):
    """A loss or a weight became infinite or not a number; the last checkpoint is from before."""


class FiniteWatch:
    """Remembers, on the device, when each loss first was not finite; `check` reads it."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._first: Tensor | None = None

    def see(self, losses: Losses, iteration: int) -> None:
        """Look at the losses of one batch."""
        values = torch.stack([value.detach().float() for value in losses.values()])
        if self._first is None:
            self._names = list(losses)
            self._first = torch.full_like(values, NEVER, dtype=torch.int64)
        this = torch.full_like(self._first, iteration)
        self._first = torch.where(torch.isfinite(values), self._first, torch.minimum(self._first, this))

    def check(self, world: World, last_saved: Path | None) -> None:
        """Wait for the device; every process raises where one has seen such a loss.

        Raises:
            NonFiniteLossError: a loss was not finite.
        """
        if self._first is None:
            return
        first = -any_rank(world, -int(self._first.min()))
        if first == NEVER:
            return
        bad = [name for name, at in zip(self._names, self._first.tolist(), strict=True) if at == first]
        raise NonFiniteLossError(
            f"loss {', '.join(bad) or 'of another process'} became infinite or not a number at iteration {first:,}. "
            f"The last checkpoint is {last_saved or 'none: nothing was saved yet'}. {CAUSES}"
        )


def check_weights(network: nn.Module, iteration: int, last_saved: Path | None) -> None:
    """Refuse to save a network that has been ruined by its last step, whose loss nobody has seen yet.

    Raises:
        NonFiniteLossError: a parameter is not finite.
    """
    bad = [name for name, value in network.named_parameters() if not bool(torch.isfinite(value).all())]
    if bad:
        raise NonFiniteLossError(
            f"{bad[0]} of the network has become infinite or not a number by iteration {iteration:,}. "
            f"The last checkpoint is {last_saved or 'none: nothing was saved yet'}. {CAUSES}"
        )
