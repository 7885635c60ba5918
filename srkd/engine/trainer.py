"""The training loop: one method, one optimiser, one loop read top to bottom."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import torch
from torch import nn

from srkd.data.batches import TrainBatches, train_loader
from srkd.data.parcels import TrainLoader, unpacked_images
from srkd.engine.checkpoint import Best, Folder, SaveError
from srkd.engine.distributed import World, gather_objects
from srkd.engine.finite import NonFiniteLossError
from srkd.engine.gradients import WeakTerms, pulls
from srkd.engine.graphed import best_step
from srkd.engine.logging import RunLog
from srkd.engine.meter import LossMeter
from srkd.engine.optim import Ema, move_rates
from srkd.engine.origin import Origin
from srkd.engine.runtime import Clock, Interruption, is_out_of_memory, memory_advice, on_signals
from srkd.engine.saving import check_finite, save, save_best, save_or_tell
from srkd.engine.schedule import Rate
from srkd.engine.settings import Settings
from srkd.engine.step import Now
from srkd.engine.targets import attach_targets
from srkd.methods.base import Method
from srkd.types import Batch, WorkError

log = logging.getLogger(__name__)

Validate = Callable[[nn.Module, int, Best, str], bool]
"""(network, iteration, best, its name) -> whether this is the best student so far; updates `best`."""


@dataclass(eq=False)
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
        ema: average of the method's networks, or None.
        validate: see `Validate`; None for no validation.
        origin: where the run began; None for one that was begun by version 0.1.
    """

    method: Method
    batches: TrainBatches
    _: KW_ONLY
    optimizer: torch.optim.Optimizer
    rate: Rate
    settings: Settings
    world: World
    folder: Folder
    run_log: RunLog
    ema: Ema | None = None
    validate: Validate | None = None
    origin: Origin | None = None

    def __post_init__(self) -> None:
        self.base_rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        move_rates(self.optimizer)
        self.iteration, self.interruption, self.best = 0, Interruption(self.world), Best()
        self.held = ExitStack()  # what is given back when the run ends
        self.last_saved: Path | None = None
        self.meter, self.weak = LossMeter(), WeakTerms()
        shared = ("optimizer", "settings", "world", "meter", "ema")
        self.step = best_step(self.method, **{name: getattr(self, name) for name in shared})
        self.scaler = self.step.scaler

    def run(self) -> int:
        """Train to the end. Returns 0, or 128 + the signal that interrupted the run (everything is saved then)."""
        with self.held, on_signals(self.interruption.heard), self.run_log:
            try:
                return self._loop()
            except (NonFiniteLossError, SaveError):
                raise
            except Exception as error:  # an image that cannot be decoded, a metric, memory: what was learnt is kept
                if self.world.size == 1 and self.iteration and self.last_saved != self.folder.state(self.iteration):
                    save(self)
                if is_out_of_memory(error):
                    raise WorkError(memory_advice(error)) from None
                raise

    def _loop(self) -> int:
        settings = self.settings
        loader = self._batches()
        self.method.train()
        if self.iteration == 0:
            self._look_at_gradients()
        clock = Clock()
        while self.iteration < settings.total_iter:
            self._step(loader, clock)
            clock.lap()
            self.run_log.advance(self.iteration)
            last = self.iteration == settings.total_iter
            if self.iteration % settings.print_freq == 0 or last:
                self._print(clock)
            if self.validate and (last or (settings.val_freq and self.iteration % settings.val_freq == 0)):
                self._validate(clock)  # before the state is saved, which has the best result so far
            if self.iteration % settings.save_freq == 0:
                save_or_tell(self)
            if self.interruption.agreed(self.iteration):
                log.warning("Interrupted: saving iteration %s. Go on with --auto_resume.", f"{self.iteration:,}")
                break
        if self.last_saved != self.folder.state(self.iteration):
            save(self)
        log.info("Saved: %s", self.folder.network("latest"))
        gather_objects(self.world, None)  # nobody leaves while another is still writing
        return 0 if self.iteration >= settings.total_iter else 128 + self.interruption.number

    def rehearse(self, steps: int) -> tuple[tuple[float, float], dict[str, float]]:
        """Run `steps` iterations that leave no file: (seconds, of these waiting) per iteration, and mean losses."""
        loader, clock = self._batches(make_targets=False), Clock()
        self.method.train()
        self._look_at_gradients()
        for done in range(min(steps, self.settings.total_iter - self.iteration)):
            self._step(loader, clock)
            clock.lap()
            if done == 0:  # it decodes, allocates and compiles
                self.meter.check(self.world, self.last_saved)  # waits for the device
                clock = Clock()
        self.meter.check(self.world, self.last_saved)
        return clock.read(), self.meter.read(self.world)

    def _batches(self, *, make_targets: bool = True) -> TrainLoader:
        each = self.settings.accumulate
        self.batches.dataset.prepare(self.run_log.decoding)
        attach_targets(self.method, self.batches, self.world, progress=self._made, make=make_targets)
        loader = train_loader(
            self.batches,
            start_iter=self.iteration * each,
            total_iter=self.settings.total_iter * each,
            num_workers=self.settings.num_workers,
            device=self.world.device,
            progress=self.run_log.decoding,
        )
        self.run_log.advice = loader.why_wait
        return loader

    def _made(self, done: int, total: int) -> None:
        """Show how many pictures are made; between two of them an interruption counts: those that are there stay."""
        self.run_log.decoding(done, total)
        if self.interruption.number:
            raise KeyboardInterrupt(self.interruption.number)

    def _step(self, loader: TrainLoader, clock: Clock) -> None:
        """One optimiser step over `accumulate` batches."""
        self.method.before_step(self.progress)
        # For all of them: an image that cannot be decoded is met before anything has changed.
        with clock.waiting(self.step.busy):
            parcels = [loader.parcel() for _ in range(self.settings.accumulate)]
        rates = [self.rate(self.iteration, base) for base in self.base_rates]
        self.step(loader, parcels, Now(self.iteration, rates, self.progress))
        self.iteration += 1
        self.method.after_step(self.progress)

    @property
    def progress(self) -> float:
        """How much of the training is done, in [0, 1]."""
        return self.iteration / self.settings.total_iter

    def batch(self, number: int) -> Batch:
        """One of the training batches as the method sees it, on the device; the loader is not asked."""
        parcel = self.batches.parcel(number).map(self.step.send)
        return self.step.finish(TrainLoader(iter(()), unpacked_images), parcel, {})

    # --- what happens now and then

    def _print(self, clock: Clock) -> None:
        self.meter.check(self.world, self.last_saved)
        values = self.meter.read(self.world)
        each = self.batches.batch_size * self.world.size * self.settings.accumulate
        epoch = self.iteration * each // len(self.batches.dataset)
        seconds, data_seconds = clock.read()
        lr = float(self.optimizer.param_groups[0]["lr"])
        self.run_log.train(self.iteration, values, epoch=epoch, lr=lr, seconds=seconds, data_seconds=data_seconds)

    def _validate(self, clock: Clock) -> None:
        assert self.validate
        with clock.paused():
            check_finite(self)
            self._look_at_gradients()
            if self.world.is_main:
                before = self.best.value, self.best.iter
                with self.ema.applied() if self.ema else nullcontext():
                    is_best = [
                        self.validate(network.eval(), self.iteration, self.best, name)
                        for name, network in self.method.networks.items()
                    ]
                if any(is_best):
                    save_best(self, before)
            self.method.train()

    def _look_at_gradients(self) -> None:
        """On every process, as a method may gather from the others; at the batch that comes next."""
        batch = self.batch(self.iteration * self.settings.accumulate)
        found = pulls(self.method, batch, self.progress, autocast=self.step.autocast, scaler=self.scaler)
        norms = {name: pull.student for name, pull in found.items()}
        log.info("Gradient norm of each weighted term: " + ", ".join(f"{k} {v:.3e}" for k, v in norms.items()))
        for line in self.weak.see(found):
            log.warning(line)
        self.run_log.scalars("gradients", self.iteration, norms)
