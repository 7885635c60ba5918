"""Experiment folders and everything a run needs to go on exactly where it stopped.

`experiments/<name>/models/net_g_<iter|latest|best>.pth` hold the network (see `networks.weights`), and
`net_<name>_<…>.pth` those that are trained beside it (`Method.networks`);
`training_states/<iter>.state` holds the rest: optimiser, heads, scaler, random states, EMA count, best metric.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from srkd.atomic import atomic_path
from srkd.engine.optim import load_optimizer, optimizer_state
from srkd.engine.seeding import restore_random_states
from srkd.methods.base import STUDENT
from srkd.types import InputError, WorkError

if TYPE_CHECKING:
    from srkd.engine.trainer import Trainer

log = logging.getLogger(__name__)


Count = Annotated[int, Field(ge=0)]


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

    def network(self, tag: str | int, name: str = STUDENT) -> Path:
        """The file of one of the networks, of an iteration, `latest` or `best`."""
        return self.models / f"net_{name}_{tag}.pth"

    def state(self, iteration: int) -> Path:
        """The training state of an iteration."""
        return self.states / f"{iteration}.state"

    def all_states(self) -> list[Path]:
        """The training states whose network file exists, newest first."""
        numbers = [int(path.stem) for path in self.states.glob("*.state") if path.stem.isdecimal()]
        return [self.state(number) for number in sorted(numbers, reverse=True) if self.network(number).exists()]

    def options_files(self) -> list[Path]:
        """`options.yml` of the start, then `options_2.yml`, … of what resumed runs changed."""
        found = [path for path in self.root.glob("options*.yml") if self.options_number(path)]
        return sorted(found, key=self.options_number)

    @staticmethod
    def options_number(path: Path) -> int:
        """Which of them a file is, from 1; 0: none."""
        number = re.fullmatch(r"options(?:_([2-9]|[1-9]\d+))?", path.stem)
        return int(number[1] or 1) if number else 0

    def remove_leftovers(self) -> None:
        """Remove what killed writes left behind: only for who has claimed the experiment, as only he writes these."""
        places = [(place, _CHECKPOINT) for place in (self.root, self.models, self.states)]
        for place, ours in [*places, *((place, _PICTURE) for place in self.visualization.glob("*/"))]:
            for path in place.glob(".*"):
                if ours.fullmatch(path.name):
                    path.unlink(missing_ok=True)


_HALF = r"\.[a-z0-9_]{8}"  # what `srkd.atomic` puts behind a name until the file is whole
_CHECKPOINT = re.compile(rf"\.(net_\w+_(\d+|latest|best)|\d+|metrics|options(_\d+)?){_HALF}\.(pth|state|jsonl|yml)")
_PICTURE = re.compile(rf"\..+{_HALF}\.png")


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


@dataclass
class Best:
    """The best validation result so far."""

    value: float | None = None
    iter: int = 0
    records: dict[str, list[float]] = field(default_factory=dict[str, list[float]])


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a training state atomically."""
    with atomic_path(path) as temporary:
        torch.save(dict(state), temporary)


def load_state(path: str | Path) -> dict[str, Any]:
    """Read a training state written by `save_state`.

    Raises:
        InputError: missing, unreadable, not one of ours, or a field of it is not what it should be.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"training state {path} does not exist.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever torch meets in a damaged archive: it has no class of its own for it
        raise InputError(f"training state {path} cannot be read ({type(error).__name__}): it is damaged.") from None
    if not isinstance(state, dict) or not {"iter", "optimizer", "random"} <= state.keys():
        raise InputError(
            f"training state {path} was not written by srkd (it has no 'iter', 'optimizer' and 'random'); "
            "start from its network instead: path.pretrain_network_g."
        )
    try:
        _State.model_validate(state)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"training state {path} is damaged: {where}: {first['msg']}.") from None
    return state


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, arbitrary_types_allowed=True, allow_inf_nan=False)


class _Optimizer(_Part):
    state: dict[int, dict[str, Any]]
    param_groups: list[dict[str, Any]]


class _Best(_Part):
    value: float | None
    iter: Count
    records: dict[str, Annotated[list[float], Field(min_length=2, max_length=2)]]


class _Origin(_Part):
    seed: int
    start: str
    data_order: str


class _Losses(_Part):
    names: list[str]
    sums: Tensor
    count: Count


class _State(_Part):
    """What `capture` writes; the last two are not in version 0.1."""

    iter: Count
    optimizer: _Optimizer
    scaler: dict[str, Any]
    heads: dict[str, Any]
    ema_updates: Count
    best: _Best
    random: Annotated[list[dict[str, Any]], Field(min_length=1)]
    origin: _Origin | None = None
    losses: list[list[_Losses]] = []


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
        "optimizer": optimizer_state(trainer.optimizer),
        "scaler": trainer.scaler.state_dict(),
        "heads": heads,
        "ema_updates": trainer.ema.updates if trainer.ema else 0,
        "best": {"value": best.value, "iter": best.iter, "records": best.records},
        "random": [one["random"] for one in each],
        "losses": [one["losses"] for one in each],
        "origin": trainer.origin.record() if trainer.origin else None,
    }


def restore(trainer: Trainer, state: Mapping[str, Any], params_ema: Mapping[str, Tensor]) -> None:
    """Continue from what `capture` returned; the student's parameters are already loaded.

    Args:
        trainer: what continues.
        state: as `load_state` gives it.
        params_ema: the averages in the network files, as `Ema.params`; empty without: the average begins now.

    Raises:
        InputError: it is of another method, network or optimiser, or damaged.
    """
    path = trainer.folder.state(state["iter"])
    try:
        _restore(trainer, state, params_ema)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"training state {path} does not fit, or is damaged ({type(error).__name__}: {reason})."
        ) from None


def _restore(trainer: Trainer, state: Mapping[str, Any], params_ema: Mapping[str, Tensor]) -> None:
    trainer.iteration = state["iter"]
    load_optimizer(trainer.optimizer, state["optimizer"])
    trainer.scaler.load_state_dict(state["scaler"] or trainer.scaler.state_dict())  # empty: it was not fp16
    missing, unexpected = trainer.method.load_state_dict(state["heads"], strict=False)
    wrong = [*unexpected, *(name for name in missing if not name.startswith("student."))]
    if wrong:
        raise InputError(f"the training state is of another method: it does not fit {', '.join(wrong)}.")
    if trainer.ema:
        trainer.ema.restart(params_ema or trainer.ema.network.state_dict(), state["ema_updates"] if params_ema else 0)
        if not params_ema:
            log.info("train.ema_decay is new: the average starts from the weights of iteration %d.", trainer.iteration)
    trainer.best = Best(**state["best"])
    if len(state["random"]) == trainer.world.size:
        restore_random_states(state["random"][trainer.world.rank])
        if "losses" in state:  # not in version 0.1
            trainer.meter.load(state["losses"][trainer.world.rank], trainer.world.device)
    else:
        log.warning(
            "The state is of %d process(es), this run has %d: random states begin anew.",
            len(state["random"]),
            trainer.world.size,
        )
    trainer.last_saved = trainer.folder.state(trainer.iteration)
