"""Where a training began: what two runs must share for their results to be compared image by image and seed by seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from srkd.data.batches import TrainBatches

DIGITS = 16
"""Of a hash that are kept: 64 bits tell a million runs apart."""


@dataclass(frozen=True)
class Origin:
    """What network files, training states and benchmark results record of a start.

    Attributes:
        seed: `manual_seed`.
        start: hash of the student's weights before the first step, pretrained ones loaded.
        data_order: hash of what decides which crops come in which order. A run that was resumed with another order says
            so: `FIRST,ITERATION:SECOND`.
    """

    seed: int
    start: str
    data_order: str

    def record(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def resumed(self, data_order: str, iteration: int) -> Origin:
        """The same start, its data from `iteration` on in `data_order`."""
        if self.data_order.rpartition(":")[2].rpartition(",")[2] == data_order:
            return self
        return replace(self, data_order=f"{self.data_order},{iteration}:{data_order}")


def origin_of_run(seed: int, student: nn.Module, data_order: str, state: Mapping[str, Any] | None) -> Origin | None:
    """The record of a run that begins now, or goes on from the training state `state`.

    None where version 0.1 began it: that start is not known any more.
    """
    if state is None:
        return Origin(seed, hash_of_weights(student.state_dict()), data_order)
    record = state.get("origin")
    return Origin(**record).resumed(data_order, state["iter"]) if record else None


def hash_of_weights(weights: Mapping[str, Any]) -> str:
    """Hash of a state dict: names, types, shapes and values, whatever the device and the memory layout."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        if not isinstance(value, Tensor):  # a module's extra state
            continue
        plain = value.detach().cpu().contiguous()
        digest.update(f"{name} {plain.dtype} {list(plain.shape)} ".encode())
        digest.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:DIGITS]


def hash_of_order(batches: TrainBatches, accumulate: int) -> str:
    """Hash of what decides the crops of every step. No image is read.

    How a step's images are split over processes and accumulated batches changes nothing (`srkd.data.sampling`): only
    their number counts.
    """
    data = batches.dataset
    decides = {
        "seed": batches.seed,
        "images of a step": batches.batch_size * batches.world_size * accumulate,
        "names": list(getattr(data, "names", ())) or len(data),
        "scale": data.scale,
        "gt_size": batches.gt_size,
        "hflip": data.use_hflip,
        "rot": data.use_rot,
    }
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:DIGITS]
