"""Losses and weights that became infinite or not a number (`srkd.engine.meter` looks at the losses)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from srkd.types import WorkError

CAUSES = "Usual causes: too high a learning rate or loss weight, or fp16 with `img_range: 255` (use bf16)."


class NonFiniteLossError(WorkError):
    """A loss or a weight became infinite or not a number; the last checkpoint is from before."""


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
