"""One optimiser step. What happens on the device is one function that waits for nothing, so that it can be recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from srkd.data.parcels import Parcel, TrainLoader
from srkd.engine.distributed import World, parallel
from srkd.engine.meter import LossMeter
from srkd.engine.optim import Ema, set_rate
from srkd.engine.settings import Settings
from srkd.imaging.color import rgb_to_y_tensor
from srkd.inference.forward import takes_luma
from srkd.inference.precision import DTYPES
from srkd.methods.base import Method
from srkd.networks.cuts import Cuts
from srkd.types import Batch, Losses


@dataclass(frozen=True)
class Now:
    """Numbers of one step that the host decides.

    Attributes:
        iteration: how many were done before it.
        rates: the learning rate of each parameter group.
        progress: how much of the training is done, in [0, 1].
    """

    iteration: int
    rates: Sequence[float]
    progress: float


class Step:
    """Forward, backward, clipping, optimiser, average, and a look at the losses.

    Args:
        method: the objective, on its device.
        optimizer: over its parameters.
        settings: precision, accumulation, clipping.
        world: this process among its peers.
        meter: told the losses.
        ema: average of the networks, or None.
    """

    def __init__(
        self,
        method: Method,
        *,
        optimizer: torch.optim.Optimizer,
        settings: Settings,
        world: World,
        meter: LossMeter,
        ema: Ema | None = None,
    ) -> None:
        self.method, self.optimizer, self.settings = method, optimizer, settings
        self.world, self.meter, self.ema = world, meter, ema
        self.parallel = parallel(
            method,
            world,
            find_unused_parameters=method.find_unused_parameters,
            broadcast_buffers=not method.local_buffers,
        )
        self.cuts = Cuts(method)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=settings.precision == "fp16")
        self._done = torch.cuda.Event() if world.device.type == "cuda" else None
        # Where a step may be recorded, its number is read on the device, as it differs each time it is replayed.
        self.number = torch.zeros((), dtype=torch.int64, device=world.device) if world.device.type == "cuda" else None

    def __call__(self, loader: TrainLoader, parcels: Sequence[Parcel], now: Now) -> None:
        """Take one step with the parcels of all accumulated batches."""
        self.tell(now)
        self.compute((self.prepare(loader, parcel) for parcel in parcels), now)
        self.launched()

    def launched(self) -> None:
        """Note that all of a step has been given to the device: one that fails half-way is not counted."""
        if self.ema:
            self.ema.updates += 1
        if self._done is not None:
            self._done.record()

    def busy(self) -> bool:
        """Whether the device is still computing the last step; the host does not wait for the answer."""
        return self._done is not None and not self._done.query()

    def tell(self, now: Now) -> None:
        """Set what changes from step to step and is no image."""
        for group, rate in zip(self.optimizer.param_groups, now.rates, strict=True):
            set_rate(group, rate)
        if self.ema:
            self.ema.advance()
        if self.number is not None:
            self.number.fill_(now.iteration + 1)

    def prepare(self, loader: TrainLoader, parcel: Parcel) -> Batch:
        """The batch of a parcel on the device, with what the method's `inputs` makes for it."""
        inputs = self.method.inputs(len(parcel.crops))
        return self.finish(loader, parcel.map(self.send), {name: self.send(value) for name, value in inputs.items()})

    def send(self, tensor: Tensor) -> Tensor:
        """A tensor on the device; the host does not wait for it."""
        pinned = tensor.pin_memory() if self.world.device.type == "cuda" and tensor.device.type == "cpu" else tensor
        return pinned.to(self.world.device, non_blocking=True)

    def finish(self, loader: TrainLoader, parcel: Parcel, inputs: Mapping[str, Tensor]) -> Batch:
        """Make the batch of what lies on the device; RGB becomes Y where the student is a Y-channel network."""
        batch = loader.unpack(parcel).map(lambda tensor: tensor.contiguous(memory_format=torch.channels_last))
        if takes_luma(self.method.student):  # teachers' pictures are luma already
            batch = replace(batch, lq=rgb_to_y_tensor(batch.lq), gt=rgb_to_y_tensor(batch.gt))
        return replace(batch, inputs=inputs)

    def compute(self, batches: Iterable[Batch], now: Now) -> None:
        """All that happens on the device."""
        parts, seen = self.settings.accumulate, list[tuple[Losses, Tensor]]()
        for number, batch in enumerate(batches, 1):
            with self._sync(number == parts):
                with self.autocast(), self._cuts():
                    losses = self.parallel(batch)
                    total = self.method.total(losses, now.progress)
                self.scaler.scale(total / parts if parts > 1 else total).backward()
            seen.append(({name: value.detach() for name, value in losses.items()}, total.detach()))
        if self.settings.grad_clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.method.parameters(), self.settings.grad_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        for losses, total in seen:
            self.meter.see(losses, total, now.iteration + 1 if self.number is None else self.number)
        if self.ema:
            self.ema.blend()

    def autocast(self) -> AbstractContextManager[Any]:
        """The precision of forward passes."""
        if self.settings.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.world.device.type, dtype=DTYPES[self.settings.precision])

    def _cuts(self) -> AbstractContextManager[Any]:
        # Compiled code does so by itself. Several processes exchange gradients while others are still being computed;
        # here all of them come at the end.
        if self.world.device.type != "cuda" or self.world.size > 1 or self.settings.compile:
            return nullcontext()
        return self.cuts.given(DTYPES[self.settings.precision])

    def _sync(self, last: bool) -> AbstractContextManager[Any]:
        if last or not isinstance(self.parallel, DistributedDataParallel):
            return nullcontext()
        return self.parallel.no_sync()  # gradients are exchanged once, with the last part
