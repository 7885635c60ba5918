"""Writing the network and the state of a training; a disk that is full ends no training."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from srkd.engine.checkpoint import Folder, SaveError, capture, save_state
from srkd.engine.distributed import any_rank, gather_objects
from srkd.engine.finite import check_weights
from srkd.engine.seeding import random_states
from srkd.engine.targets import cached_teachers
from srkd.networks.weights import save_network

if TYPE_CHECKING:
    from srkd.engine.trainer import Trainer

log = logging.getLogger(__name__)


@contextmanager
def saving(folder: Folder, iteration: int) -> Generator[None]:
    """Around the writing of a checkpoint.

    Raises:
        SaveError: it cannot be written.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch's writer raises the latter
        reason = str(error).strip().split("\n")[0]
        raise SaveError(f"iteration {iteration:,} cannot be saved in {folder.root}: {reason}") from None


def save_learnt(trainer: Trainer, folder: Folder, tag: str | int) -> None:
    """Write the networks as they are now, each with all that a file says of its training."""
    for name, network in reversed(trainer.method.networks.items()):  # the student last: it is there once all are
        save_network(
            folder.network(tag, name),
            network,
            params_ema=trainer.ema.of(name) if trainer.ema else None,
            iter=trainer.iteration,
            method=type(trainer.method).__name__,
            widths=trainer.method.widths,
            training_set=trainer.batches.name,
            companions=trainer.method.companions,
            origin={**(trainer.origin.record() if trainer.origin else {}), **cached_teachers(trainer.batches)},
        )


def check_finite(trainer: Trainer) -> None:
    """Wait for the device; refuse losses and weights that are worthless.

    Raises:
        NonFiniteLossError: one is not finite.
    """
    trainer.meter.check(trainer.world, trainer.last_saved)
    for network in trainer.method.networks.values():
        check_weights(network, trainer.iteration, trainer.last_saved)


def save(trainer: Trainer) -> None:
    """Write the networks and the training state of this iteration, and `net_g_latest.pth`.

    Raises:
        SaveError: they cannot be written.
        NonFiniteLossError: they would be worthless.
    """
    check_finite(trainer)
    world, folder, iteration = trainer.world, trainer.folder, trainer.iteration
    states = gather_objects(world, {"random": random_states(), "losses": trainer.meter.state()})
    problem: SaveError | None = None
    if world.is_main:
        try:
            with saving(folder, iteration):
                save_learnt(trainer, folder, iteration)
                save_learnt(trainer, folder, "latest")
                save_state(folder.state(iteration), capture(trainer, states))
        except SaveError as error:
            problem = error
    if any_rank(world, int(problem is not None)):  # nobody gives up, or goes on, alone
        raise problem or SaveError(f"iteration {iteration:,} cannot be saved by the first process")
    trainer.last_saved = folder.state(iteration)


def save_or_tell(trainer: Trainer) -> None:
    """As `save`; where that cannot be written, the training goes on."""
    try:
        save(trainer)
    except SaveError as error:
        if trainer.world.is_main:
            freq = trainer.settings.save_freq
            log.error("%s. Training goes on; the next try is after %s iterations.", error, f"{freq:,}")


def save_best(trainer: Trainer, before: tuple[float | None, int]) -> None:
    """Write `net_g_best.pth`; where that fails, the best one stays the one in it, and the next better is tried."""
    try:
        with saving(trainer.folder, trainer.iteration):
            save_learnt(trainer, trainer.folder, "best")
    except SaveError as error:
        trainer.best.value, trainer.best.iter = before
        log.error("%s. Training goes on; net_g_best.pth stays that of before.", error)
