"""Experiment folders and everything a run needs to go on exactly where it stopped.

`experiments/<name>/models/net_g_<iter|latest|best>.pth` hold the network (see `networks.weights`);
`training_states/<iter>.state` holds the rest: optimiser, heads, scaler, random states, EMA count, best metric.
"""

from __future__ import annotations

import logging
import pickle
import random
import shutil
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from srkd.atomic import atomic_path
from srkd.engine.optim import load_optimizer
from srkd.engine.targets import cached_teachers
from srkd.networks.weights import save_network
from srkd.types import InputError, WorkError

if TYPE_CHECKING:
    from srkd.engine.trainer import Trainer

log = logging.getLogger(__name__)


class SaveError(WorkError):
    """A checkpoint could not be written."""


@dataclass(frozen=True)
class Folder:
    """The places of one experiment."""

    root: Path

    @property
    def models(self) -> Path:
        """Network files."""
        return self.root / "models"

    @property
    def states(self) -> Path:
        """Training states."""
        return self.root / "training_states"

    @property
    def visualization(self) -> Path:
        """Validation images."""
        return self.root / "visualization"

    @property
    def metrics(self) -> Path:
        """One JSON object a line: losses and validation results."""
        return self.root / "metrics.jsonl"

    @contextmanager
    def claimed(self) -> Generator[None]:
        """Keep other processes from training this experiment.

        Raises:
            InputError: one does.
        """
        self.root.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root.with_name(f".{self.root.name}.lock"))
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise InputError(
                f"{self.root} is being trained by another process; wait for it, or give this run another `name`."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def network(self, tag: str | int) -> Path:
        """The network file of an iteration, `latest` or `best`."""
        return self.models / f"net_g_{tag}.pth"

    def state(self, iteration: int) -> Path:
        """The training state of an iteration."""
        return self.states / f"{iteration}.state"

    def latest_state(self) -> Path | None:
        """The newest training state whose network file exists, or None."""
        numbers = [int(path.stem) for path in self.states.glob("*.state") if path.stem.isdigit()]
        whole = [number for number in numbers if self.network(number).exists()]
        return self.state(max(whole)) if whole else None


def archive(root: Path) -> Path | None:
    """Move an existing experiment aside to `<name>_archived_<time>`; nothing is ever overwritten."""
    if not root.exists():
        return None
    stamp = time.strftime("%Y%m%d_%H%M%S")
    target = root.with_name(f"{root.name}_archived_{stamp}")
    count = 1
    while target.exists():
        count += 1
        target = root.with_name(f"{root.name}_archived_{stamp}_{count}")
    shutil.move(root, target)
    return target


def seed_everything(seed: int) -> None:
    """Seed torch's generators, and NumPy's and Python's, which only components of somebody else use."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def random_states() -> dict[str, Any]:
    """The state of every random generator of this process, as plain values and tensors."""
    version, internal, gauss = random.getstate()
    numpy_state = np.random.get_state(legacy=True)
    assert isinstance(numpy_state, tuple)
    states: dict[str, Any] = {
        "python": [version, list(internal), gauss],
        "numpy": [
            numpy_state[0],
            torch.from_numpy(numpy_state[1].astype(np.int64)),  # weights_only refuses NumPy arrays
            *(float(value) if index else int(value) for index, value in enumerate(numpy_state[2:])),
        ],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Undo whatever happened to the random generators since `random_states`."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, position, has_gauss, cached = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, int(has_gauss), cached))
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(states["cuda"])


@dataclass
class Best:
    """The best validation result so far."""

    value: float | None = None
    iter: int = 0
    records: dict[str, list[float]] = field(default_factory=dict[str, list[float]])


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


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a training state atomically."""
    with atomic_path(path) as temporary:
        torch.save(dict(state), temporary)


def load_state(path: str | Path) -> dict[str, Any]:
    """Read a training state written by `save_state`.

    Raises:
        InputError: missing, unreadable, or not one of ours.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"training state {path} does not exist.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError) as error:
        raise InputError(f"training state {path} cannot be read ({type(error).__name__}).") from None
    if not isinstance(state, dict) or not {"iter", "optimizer", "random"} <= state.keys():
        raise InputError(
            f"training state {path} was not written by srkd (it has no 'iter', 'optimizer' and 'random'); "
            "start from its network instead: path.pretrain_network_g."
        )
    return state


def save_learnt(trainer: Trainer, path: Path) -> None:
    """Write the student as it is now, with all that a file says of its training."""
    save_network(
        path,
        trainer.method.student,
        params_ema=trainer.ema.params if trainer.ema else None,
        iter=trainer.iteration,
        method=type(trainer.method).__name__,
        widths=trainer.method.widths,
        training_set=trainer.batches.name,
        companions=trainer.method.companions,
        origin={**(trainer.origin.record() if trainer.origin else {}), **cached_teachers(trainer.batches)},
    )


def capture(trainer: Trainer, each: list[dict[str, Any]]) -> dict[str, Any]:
    """All but the networks: plain values and tensors.

    Args:
        trainer: what is captured.
        each: of every process, its `random_states` and what its loss meter holds: `{random, losses}`.
    """
    heads = {k: v for k, v in trainer.method.state_dict().items() if not k.startswith("student.")}
    best = trainer.best
    return {
        "iter": trainer.iteration,
        "optimizer": trainer.optimizer.state_dict(),
        "scaler": trainer.scaler.state_dict(),
        "heads": heads,
        "ema_updates": trainer.ema.updates if trainer.ema else 0,
        "best": {"value": best.value, "iter": best.iter, "records": best.records},
        "random": [one["random"] for one in each],
        "losses": [one["losses"] for one in each],
        "origin": trainer.origin.record() if trainer.origin else None,
    }


def restore(trainer: Trainer, state: Mapping[str, Any], params_ema: Mapping[str, Tensor] | None) -> None:
    """Continue from what `capture` returned; the student's parameters are already loaded.

    Raises:
        InputError: it is of another method, network or optimiser.
    """
    trainer.iteration = state["iter"]
    load_optimizer(trainer.optimizer, state["optimizer"])
    trainer.scaler.load_state_dict(state["scaler"] or trainer.scaler.state_dict())  # empty: it was not fp16
    missing, unexpected = trainer.method.load_state_dict(state["heads"], strict=False)
    wrong = [*unexpected, *(name for name in missing if not name.startswith("student."))]
    if wrong:
        raise InputError(f"the training state is of another method: it does not fit {', '.join(wrong)}.")
    if trainer.ema and params_ema:
        trainer.ema.updates = state["ema_updates"]
        for name, value in params_ema.items():
            trainer.ema.params[name].copy_(value)
    trainer.best = Best(**state["best"])
    if len(state["random"]) == trainer.world.size:
        restore_random_states(state["random"][trainer.world.rank])
        if "losses" in state:  # not in version 0.1
            trainer.meter.load(state["losses"][trainer.world.rank], trainer.world.device)
    else:
        log.warning("The state is of %d processes: random states begin anew.", len(state["random"]))
    trainer.last_saved = trainer.folder.state(trainer.iteration)
