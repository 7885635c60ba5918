"""The whole training step as one CUDA graph: recorded once, then launched as one, however many kernels it has.

Small networks keep the host busier than the GPU: some 450 launches a step take longer than what they compute. A graph
replays the same kernels on the same addresses, so what differs from step to step is written into tensors that stay
where they are (`StaticStep`): the images, what the method draws, learning rates, the average's weight, the step's
number.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from srkd.data.parcels import Parcel, TrainLoader
from srkd.engine.optim import rates_on_device
from srkd.engine.seeding import random_states, restore_random_states
from srkd.engine.step import Now, Step
from srkd.methods.base import Method

log = logging.getLogger(__name__)

WARM = 3
"""Steps that are launched kernel by kernel first: they allocate, choose algorithms and compile."""


class StaticStep(Step):
    """A step that reads everything from tensors which stay where they are."""

    _eager = False
    _parcel: Parcel | None = None
    _inputs: dict[str, Tensor] = {}  # noqa: RUF012 (replaced, never changed)

    def __call__(self, loader: TrainLoader, parcels: Sequence[Parcel], now: Now) -> None:
        """As of `Step`, which it is where several batches are accumulated."""
        if len(parcels) != 1 or self._eager:
            return super().__call__(loader, parcels, now)
        self.tell(now)
        self._fill(parcels[0])
        self.launch(loader, now)
        return self.launched()

    def launch(self, loader: TrainLoader, now: Now) -> None:
        """Compute with what lies in the tensors."""
        assert self._parcel is not None
        self.compute([self.finish(loader, self._parcel, self._inputs)], now)

    def _fill(self, parcel: Parcel) -> None:
        inputs = self.method.inputs(len(parcel.crops))
        if self._parcel is None or self._inputs.keys() != inputs.keys():
            self._parcel = parcel.map(lambda tensor: torch.empty_like(tensor, device=self.world.device))
            self._inputs = {name: torch.empty_like(value, device=self.world.device) for name, value in inputs.items()}
        for places, values in ((self._parcel.tensors, parcel.tensors), (self._inputs, inputs)):
            for name, value in values.items():
                pinned = value.pin_memory() if self.world.device.type == "cuda" and not value.is_pinned() else value
                places[name].copy_(pinned, non_blocking=True)
        self._parcel = replace(self._parcel, crops=parcel.crops)


class GraphedStep(StaticStep):
    """A static step, recorded after `WARM` steps and replayed from then on; where it cannot be, the log says why."""

    _graph: torch.cuda.CUDAGraph | None = None
    _steps = 0

    def launch(self, loader: TrainLoader, now: Now) -> None:
        """Replay the step; before there is a recording, take it kernel by kernel."""
        if self._graph is None and not self._eager and self._steps >= WARM:
            self._record(loader, now)
        if self._graph is not None:
            self._graph.replay()
            self.meter.count(self._seen)
        elif self._eager:  # it has just been refused
            super().launch(loader, now)
        else:
            self._steps += 1
            usual, side = torch.cuda.current_stream(self.world.device), self._side
            side.wait_stream(usual)
            with torch.cuda.stream(side):  # a graph is recorded on another stream than usual: so it warms up there
                super().launch(loader, now)
            usual.wait_stream(side)

    def _record(self, loader: TrainLoader, now: Now) -> None:
        reason = changes_between_steps(self.method, self.meter.names())
        if reason is None:
            before, counts, graph = random_states(), self.meter.counts(), torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, stream=self._side):
                    super().launch(loader, now)
            except (RuntimeError, torch.OutOfMemoryError) as error:
                reason = str(error).split("\n")[0]
                self.optimizer.zero_grad(set_to_none=True)
            self._seen = self.meter.take_back(counts)  # recording computes nothing: nothing has been seen
            if reason is None and _moved(before):
                reason = "the method draws numbers on the CPU in `forward`; give them in `inputs`"
                restore_random_states(before)
            if reason is None:
                self._graph = graph
                log.info("The training step is one CUDA graph (train.cuda_graph: false launches it kernel by kernel).")
                return
        self._eager = True
        log.info("The training step is launched kernel by kernel, not as a CUDA graph: %s.", reason)

    @cached_property
    def _side(self) -> torch.cuda.Stream:
        return torch.cuda.Stream(self.world.device)

    _seen: dict[tuple[str, ...], int] = {}  # noqa: RUF012


def why_no_graph(step: Step) -> str | None:
    """Why a step on CUDA cannot be recorded; None: it can, as far as is known before it has run."""
    settings, method = step.settings, step.method
    if not settings.cuda_graph:
        return "train.cuda_graph is false"
    if step.world.size > 1:
        return "several processes exchange gradients"
    if settings.precision == "fp16":
        return "fp16's scale is decided from step to step"
    if settings.accumulate > 1:
        return "train.accumulate is above 1"
    if settings.compile == "reduce-overhead":
        return "train.compile: reduce-overhead records graphs of its own"
    if not rates_on_device(step.optimizer):
        return f"{type(step.optimizer).__name__} keeps its learning rate in the CPU's memory"
    if not (type(method).__module__.startswith("srkd.") or getattr(method, "cuda_graph", False)):
        return f"{type(method).__name__} does not say `cuda_graph = True`: each of its steps launches the same kernels"
    return None


def changes_between_steps(method: Method, names: Iterable[str]) -> str | None:
    """What of a method's step changes during the training without being a tensor; asked after a first step.

    Args:
        method: that has taken a step.
        names: of its losses.
    """
    if any(part.asks_progress for part in method.modules() if isinstance(part, Method)):
        return f"{type(method).__name__} computes with the progress of the training"
    own = [name for name in ("total", "before_step") if getattr(type(method), name) is not getattr(Method, name)]
    if own and not getattr(method, "cuda_graph", False):
        return f"{type(method).__name__} has a `{own[0]}` of its own, which a recording would not run"
    for name in names:
        if len({method.weight(name, step / 100) for step in range(101)}) > 1:
            return f"the weight of {name} changes during the training"
    return None


def _moved(before: Mapping[str, Any]) -> bool:
    """Whether somebody has drawn from a generator of the CPU."""
    now = random_states()
    return not all(_equal(before[name], now[name]) for name in ("python", "numpy", "torch"))


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor):
        return torch.equal(a, b)
    return all(map(_equal, a, b)) if isinstance(a, list) else a == b


def best_step(method: Method, **parts: Any) -> Step:
    """The step that fits: on CUDA one that is recorded, where it can be; `parts` are those of `Step`."""
    if parts["world"].device.type != "cuda":
        return Step(method, **parts)
    reason = why_no_graph(graphed := GraphedStep(method, **parts))
    if reason is None:
        return graphed
    log.info("The training step is launched kernel by kernel, not as a CUDA graph: %s.", reason)
    return Step(method, **parts)
