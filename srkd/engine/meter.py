"""Losses between two prints: their means, and the step at which one was first not finite.

Everything stays on the device until it is read: no step waits for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from srkd.engine.distributed import World, any_rank, gather_objects
from srkd.engine.finite import CAUSES, NonFiniteLossError
from srkd.types import InputError, Losses

TOTAL = "total"
"""What the log calls the weighted sum, which is what is minimised."""

NEVER = 2**62  # exact in floating point too


class LossMeter:
    """Adds up the losses of every batch this process sees; names may differ from batch to batch.

    A mean is over iterations, accumulated batches and processes: how a step is split does not change the log.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[str, ...], _Group] = {}

    def see(self, losses: Losses, total: Tensor, iteration: int | Tensor) -> None:
        """Add the losses of one batch of the step `iteration` (from 1; a tensor is read later), and their weighted sum.

        Raises:
            InputError: a loss is no scalar.
        """
        values = {**losses, TOTAL: total}
        if wrong := [name for name, value in values.items() if value.numel() != 1]:
            raise InputError(
                f"the loss {wrong[0]!r} has the shape {list(values[wrong[0]].shape)}; it must be one number."
            )
        now = torch.stack([value.detach().float().reshape(()) for value in values.values()])
        names = tuple(values)
        if names not in self._groups:
            self._groups[names] = _Group(torch.zeros_like(now))
        self._groups[names].add(now, iteration)

    def check(self, world: World, last_saved: Path | None) -> None:
        """Wait for the device; every process raises where one has seen a loss that is not finite.

        Raises:
            NonFiniteLossError: a loss was not finite.
        """
        found = {names: group.first.tolist() for names, group in self._groups.items()}
        first = -any_rank(world, -min((min(at) for at in found.values()), default=NEVER))
        if first == NEVER:
            return
        bad = dict.fromkeys(
            name for names, ats in found.items() for name, at in zip(names, ats, strict=True) if at == first
        )
        if len(bad) > 1:
            bad.pop(TOTAL, None)  # it is what the others make of it
        raise NonFiniteLossError(
            f"loss {', '.join(bad) or 'of another process'} became infinite or not a number at iteration {first:,}. "
            f"The last checkpoint is {last_saved or 'none: nothing was saved yet'}. {CAUSES}"
        )

    def read(self, world: World) -> dict[str, float]:
        """Wait for the device and every process: the mean of each loss since the last reading; begins anew."""
        sums: dict[str, tuple[float, int]] = {}
        for state in gather_objects(world, self.state()):
            for group in state:
                for name, value in zip(group["names"], group["sums"].tolist(), strict=True):
                    before, count = sums.get(name, (0.0, 0))
                    sums[name] = before + value, count + group["count"]
        for group in self._groups.values():
            group.clear()
        if TOTAL in sums:
            sums[TOTAL] = sums.pop(TOTAL)  # the last one, whatever names came later
        return {name: value / count for name, (value, count) in sums.items()}

    def state(self) -> list[dict[str, Any]]:
        """What was added since the last reading, as plain values and tensors on the CPU."""
        return [
            {"names": list(names), "sums": group.sums.cpu(), "count": group.count}
            for names, group in self._groups.items()
            if group.count
        ]

    def names(self) -> set[str]:
        """The losses that have been seen."""
        return {name for names in self._groups for name in names} - {TOTAL}

    # A recorded step computes its losses each time it is replayed, but runs no Python that counts them.

    def counts(self) -> dict[tuple[str, ...], int]:
        """How often each set of names has been seen since the last reading."""
        return {names: group.count for names, group in self._groups.items()}

    def take_back(self, counts: Mapping[tuple[str, ...], int]) -> dict[tuple[str, ...], int]:
        """Forget what has been counted since `counts`, which is returned."""
        since = {names: group.count - counts.get(names, 0) for names, group in self._groups.items()}
        self.count({names: -number for names, number in since.items()})
        return since

    def count(self, more: Mapping[tuple[str, ...], int]) -> None:
        """Count what has been seen without this meter."""
        for names, number in more.items():
            self._groups[names].count += number

    def load(self, state: Sequence[Mapping[str, Any]], device: torch.device) -> None:
        """Go on from `state`; a RuntimeError where names and sums are not as many."""
        self._groups = {tuple(g["names"]): _Group(g["sums"].to(device), g["count"], len(g["names"])) for g in state}


class _Group:
    """Losses that came together: sums [N], and for each the first step at which it was not finite."""

    def __init__(self, sums: Tensor, count: int = 0, number: int = -1) -> None:
        self.sums, self.count = sums.reshape(number), count
        self.first = torch.full_like(sums, NEVER, dtype=torch.int64)

    def clear(self) -> None:
        """Begin anew, in the same tensors."""
        self.sums.zero_()
        self.first.fill_(NEVER)
        self.count = 0

    def add(self, values: Tensor, iteration: int | Tensor) -> None:
        self.sums += values
        self.count += 1
        begins = ~torch.isfinite(values) & (self.first == NEVER)
        self.first.copy_(torch.where(begins, iteration, self.first))  # masked_fill_ would wait for a tensor's value
