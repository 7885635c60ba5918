"""The training loop: one method, one optimiser, one loop read top to bottom."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from srkd.data.batches import TrainBatches, train_loader
from srkd.engine.checkpoint import Folder, random_states, restore_random_states, save_state
from srkd.engine.distributed import World, any_rank, gather_objects, parallel
from srkd.engine.logging import RunLog
from srkd.engine.optim import Ema
from srkd.engine.runtime import Clock, on_signals, tell_at_once
from srkd.engine.schedule import Rate
from srkd.imaging.color import rgb_to_y_tensor
from srkd.inference.forward import takes_luma
from srkd.methods.base import Method
from srkd.networks.weights import save_network
from srkd.types import Batch, InputError, Losses, WorkError

log = logging.getLogger(__name__)

NEVER = 2**62  # exact in floating point too
POLL = 10  # iterations between agreeing on an interruption, where there are several processes


class NonFiniteLossError(WorkError):
    """A loss became infinite or not a number; the last checkpoint is from before."""


@dataclass(frozen=True)
class Settings:
    """How long and how exactly to train; the words are those of the option file."""

    total_iter: int
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    accumulate: int = 1
    grad_clip: float | None = None
    print_freq: int = 100
    save_freq: int = 5000
    val_freq: int | None = None
    num_workers: int = 0


@dataclass
class Best:
    """The best validation result so far."""

    value: float | None = None
    iter: int = 0
    records: dict[str, list[float]] = field(default_factory=dict[str, list[float]])


Validate = Callable[[nn.Module, int, Best], bool]
"""(network, iteration, best) -> whether this is the best one so far; updates `best`."""


class Trainer:
    """Trains `method` and writes its experiment folder.

    Args:
        method: the objective, on its device, with student and heads.
        batches: iteration -> batch.
        optimizer: over the method's parameters.
        rate: learning rate of an iteration.
        settings: see `Settings`.
        world: this process among its peers.
        folder: where checkpoints go; only rank 0 writes.
        run_log: where lines and values go.
        ema: average of the student, or None.
        validate: see `Validate`; None for no validation.
    """

    def __init__(
        self,
        method: Method,
        batches: TrainBatches,
        *,
        optimizer: torch.optim.Optimizer,
        rate: Rate,
        settings: Settings,
        world: World,
        folder: Folder,
        run_log: RunLog,
        ema: Ema | None = None,
        validate: Validate | None = None,
    ) -> None:
        self.method, self.batches, self.optimizer, self.rate = method, batches, optimizer, rate
        self.settings, self.world, self.folder, self.log = settings, world, folder, run_log
        self.ema, self.validate = ema, validate
        self.parallel = parallel(method, world)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=settings.precision == "fp16")
        self.base_rates = [group["lr"] for group in optimizer.param_groups]
        self.iteration = 0
        self.best = Best()
        self.interrupted = 0
        self.last_saved: Path | None = None
        self._loss_names: list[str] = []
        self._first_bad: Tensor | None = None

    def run(self) -> int:
        """Train to the end. Returns 0, or 128 + the signal that interrupted the run (everything is saved then)."""
        with on_signals(self._interrupt), self.log:
            try:
                return self._loop()
            except InputError:  # an image that cannot be decoded: what was learnt before it is kept
                if self.world.size == 1 and self.iteration:
                    self.save()
                raise

    def _loop(self) -> int:
        settings = self.settings
        loader, clock = self._batches(), Clock()
        self.method.train()
        while self.iteration < settings.total_iter:
            losses = self._step(loader, clock)
            self.iteration += 1
            clock.lap()
            self.log.advance(self.iteration)
            if self.iteration % settings.print_freq == 0 or self.iteration == settings.total_iter:
                self._print(losses, clock)
            if settings.val_freq and self.validate and self.iteration % settings.val_freq == 0:
                self._validate(clock)
            if self.iteration % settings.save_freq == 0:
                self.save()
            if self._should_stop():
                log.warning("Interrupted: saving iteration %s.", f"{self.iteration:,}")
                break
        finished = self.iteration >= settings.total_iter
        if finished and self.validate and (not settings.val_freq or self.iteration % settings.val_freq):
            self._validate(clock)
            self.last_saved = None  # the best result is part of the state
        if self.last_saved != self.folder.state(self.iteration):
            self.save()
        gather_objects(self.world, None)  # nobody leaves while another is still writing
        return 0 if finished else 128 + self.interrupted

    def rehearse(self, steps: int) -> tuple[tuple[float, float], Losses]:
        """Run `steps` iterations that leave no file: (seconds, of these waiting) per iteration, and the losses."""
        loader, clock, losses = self._batches(), Clock(), dict[str, Tensor]()
        self.method.train()
        for done in range(min(steps, self.settings.total_iter - self.iteration)):
            losses = self._step(loader, clock)
            self.iteration += 1
            clock.lap()
            if done == 0:  # it decodes, allocates and compiles
                self._check_finite()  # waits for the device
                clock = Clock()
        self._check_finite()
        return clock.read(), losses

    def _batches(self) -> Iterator[Batch]:
        each = self.settings.accumulate
        return train_loader(
            self.batches,
            start_iter=self.iteration * each,
            total_iter=self.settings.total_iter * each,
            num_workers=self.settings.num_workers,
            device=self.world.device,
            progress=self.log.decoding,
        )

    def _step(self, loader: Iterator[Batch], clock: Clock) -> Losses:
        """One optimiser step over `accumulate` batches; returns the last batch's raw losses, detached."""
        progress = self.iteration / self.settings.total_iter
        for group, base in zip(self.optimizer.param_groups, self.base_rates, strict=True):
            group["lr"] = self.rate(self.iteration, base)
        losses: Losses = {}
        for part in range(1, self.settings.accumulate + 1):
            with clock.waiting():
                batch = self.prepare(next(loader))
            if self.iteration == 0 and part == 1:
                self._log_gradients(batch)
            last = part == self.settings.accumulate
            with self._sync(last):
                with self._autocast():
                    losses = self.parallel(batch)
                    total = self.method.total(losses, progress)
                self.scaler.scale(total / self.settings.accumulate).backward()
            self._watch(losses)
        if self.settings.grad_clip is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.method.parameters(), self.settings.grad_clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.ema:
            self.ema.update(self.method.student)
        return {name: value.detach() for name, value in losses.items()}

    def prepare(self, batch: Batch) -> Batch:
        """`batch` on the device; RGB becomes Y where the student is a Y-channel network."""
        lq, gt = (
            tensor.to(self.world.device, non_blocking=True).contiguous(memory_format=torch.channels_last)
            for tensor in batch
        )
        return Batch(rgb_to_y_tensor(lq), rgb_to_y_tensor(gt)) if takes_luma(self.method.student) else Batch(lq, gt)

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.settings.precision == "fp32":
            return nullcontext()
        dtype = torch.bfloat16 if self.settings.precision == "bf16" else torch.float16
        return torch.autocast(self.world.device.type, dtype=dtype)

    def _sync(self, last: bool) -> AbstractContextManager[Any]:
        if last or not isinstance(self.parallel, DistributedDataParallel):
            return nullcontext()
        return self.parallel.no_sync()  # gradients are exchanged once, with the last part

    # --- non-finite losses: kept on the device, read only when something is printed or saved

    def _watch(self, losses: Losses) -> None:
        values = torch.stack([value.detach().float() for value in losses.values()])
        if self._first_bad is None:
            self._loss_names = list(losses)
            self._first_bad = torch.full_like(values, NEVER, dtype=torch.int64)
        this = torch.full_like(self._first_bad, self.iteration + 1)
        self._first_bad = torch.where(torch.isfinite(values), self._first_bad, torch.minimum(self._first_bad, this))

    def _check_finite(self) -> None:
        if self._first_bad is None:
            return
        first = -any_rank(self.world, -int(self._first_bad.min()))
        if first == NEVER:
            return
        bad = [name for name, at in zip(self._loss_names, self._first_bad.tolist(), strict=True) if at == first]
        raise NonFiniteLossError(
            f"loss {', '.join(bad) or 'of another process'} became infinite or not a number at iteration {first:,}. "
            f"The last good checkpoint is {self.last_saved or 'none: nothing was saved yet'}. "
            "Usual causes: too high a learning rate or loss weight, or fp16 with `img_range: 255` (use bf16)."
        )

    # --- what happens now and then

    def _print(self, losses: Losses, clock: Clock) -> None:
        self._check_finite()
        values = {name: value.item() for name, value in losses.items()}
        each = self.batches.batch_size * self.world.size * self.settings.accumulate
        epoch = self.iteration * each // len(self.batches.dataset)
        seconds, data_seconds = clock.read()
        lr = self.optimizer.param_groups[0]["lr"]
        self.log.train(self.iteration, values, epoch=epoch, lr=lr, seconds=seconds, data_seconds=data_seconds)

    def _validate(self, clock: Clock) -> None:
        assert self.validate
        with clock.paused():
            self._check_finite()
            if self.world.is_main:
                with self.ema.applied_to(self.method.student) if self.ema else nullcontext():
                    self.method.student.eval()
                    is_best = self.validate(self.method.student, self.iteration, self.best)
                if is_best:
                    self._save_network(self.folder.network("best"))
            self.method.train()

    def _log_gradients(self, batch: Batch) -> None:
        """The norm of each weighted term's gradient on the student, so that a term that drowns the rest is seen."""
        parameters = list(self.method.student.parameters())
        states = random_states()
        with self._autocast():
            losses = self.method.forward(batch)  # not the compiled one, whose gradients are taken once
        norms: dict[str, float] = {}
        for name, value in losses.items():
            weighted = self.scaler.scale(self.method.weight(name, 0.0) * value)  # fp16 would lose small gradients
            gradients = torch.autograd.grad(weighted, parameters, retain_graph=True, materialize_grads=True)
            norms[name] = float(nn.utils.get_total_norm(gradients)) / self.scaler.get_scale()
        restore_random_states(states)  # looking must not change the run
        log.info("Gradient norm of each weighted term: " + ", ".join(f"{k} {v:.3e}" for k, v in norms.items()))
        self.log.scalars("gradients", 0, norms)

    def _interrupt(self, number: int) -> None:
        if self.interrupted and number == signal.SIGINT:
            raise KeyboardInterrupt  # only a person is impatient: shells and schedulers send the others twice
        self.interrupted = self.interrupted or number
        tell_at_once("Interrupted: saving after this iteration (Ctrl-C to stop at once).")

    def _should_stop(self) -> bool:
        if self.world.size > 1:
            if self.iteration % POLL:
                return False
            self.interrupted = any_rank(self.world, self.interrupted)
        return bool(self.interrupted)

    # --- saving and restoring

    def save(self) -> None:
        """Write the network and the training state of this iteration, and `net_g_latest.pth`."""
        self._check_finite()
        states = gather_objects(self.world, random_states())
        if self.world.is_main:
            self._save_network(self.folder.network(self.iteration))
            self._save_network(self.folder.network("latest"))
            save_state(self.folder.state(self.iteration), self.state(states))
        self.last_saved = self.folder.state(self.iteration)

    def _save_network(self, path: Path) -> None:
        save_network(
            path,
            self.method.student,
            params_ema=self.ema.params if self.ema else None,
            iter=self.iteration,
            method=type(self.method).__name__,
            widths=self.method.widths,
            training_set=self.batches.name,
            companions=self.method.companions,
        )

    def state(self, states: list[dict[str, Any]]) -> dict[str, Any]:
        """All but the networks: plain values and tensors."""
        heads = {k: v for k, v in self.method.state_dict().items() if not k.startswith("student.")}
        return {
            "iter": self.iteration,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "heads": heads,
            "ema_updates": self.ema.updates if self.ema else 0,
            "best": {"value": self.best.value, "iter": self.best.iter, "records": self.best.records},
            "random": states,
        }

    def restore(self, state: dict[str, Any], params_ema: Mapping[str, Tensor] | None) -> None:
        """Continue from `state`; the student's parameters are already loaded."""
        self.iteration = state["iter"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"] or self.scaler.state_dict())  # empty: it was not fp16
        missing, unexpected = self.method.load_state_dict(state["heads"], strict=False)
        assert not unexpected and all(name.startswith("student.") for name in missing)
        if self.ema and params_ema:
            self.ema.updates = state["ema_updates"]
            for name, value in params_ema.items():
                self.ema.params[name].copy_(value)
        self.best = Best(**state["best"])
        if len(state["random"]) == self.world.size:
            restore_random_states(state["random"][self.world.rank])
        else:
            log.warning("The state is of %d processes: random states begin anew.", len(state["random"]))
        self.last_saved = self.folder.state(self.iteration)
