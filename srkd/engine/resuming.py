"""Going on with a training: which state is taken, what may have changed since, and what is said of it."""

from __future__ import annotations

import json
import logging
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from srkd.atomic import atomic_write_text
from srkd.engine.checkpoint import Folder, load_state
from srkd.networks.weights import Weights, read_weights
from srkd.options import TrainOptions, dump_options, load_train_options
from srkd.options.dump import plain_options
from srkd.types import InputError

log = logging.getLogger(__name__)

FIXED = ("scale", "network_g", "method.type", "train.optim_g.type")
"""What makes a training what it is: with another one its state means nothing."""

APART = ("name", "path.experiments_root", "path.resume_state")
"""Where the experiment lies; it may have been moved."""


@dataclass(frozen=True)
class Resumed:
    """A training that goes on.

    Attributes:
        state: the training state.
        weights: the network file of its iteration.
        before: the options until now; None where they cannot be read.
        changes: the options that differ, `key: old → new`.
    """

    state: dict[str, Any]
    weights: Weights
    before: TrainOptions | None = None
    changes: list[str] = field(default_factory=list[str])

    @property
    def iteration(self) -> int:
        """How far it is."""
        return self.state["iter"]


def resume(opt: TrainOptions, folder: Folder, *, automatic: bool) -> Resumed | None:
    """The training to go on with; None to begin.

    Args:
        opt: the options it goes on with.
        folder: its experiment.
        automatic: from the newest state that can be read, if there is one; else from `path.resume_state`, if given.

    Raises:
        InputError: the state cannot be used, or is of another training; the answer says how to go on.
    """
    found = _newest(folder) if automatic else None
    if found is None and opt.path.resume_state:
        found = _named(Path(opt.path.resume_state), folder)
    if found is None:
        if automatic:
            log.info("Nothing to resume in %s: starting at iteration 0.", folder.root)
        return None
    state, weights = found
    before = _options_before(folder)
    changes = _changes(before, opt) if before else {}
    _refuse(opt, folder, state["iter"], changes)
    return Resumed(state, weights, before, [f"{key}: {old} → {new}" for key, (old, new) in changes.items()])


def _newest(folder: Folder) -> tuple[dict[str, Any], Weights] | None:
    """The newest checkpoint that is whole.

    A damaged one is passed over with a warning, not refused: what comes after the older one is trained again, and is
    the same bit for bit, so that an unattended job loses some time instead of its night.
    """
    problems: list[InputError] = []
    for path in folder.all_states():
        try:
            found = _read(path, folder)
        except InputError as error:
            problems.append(error)
            continue
        for problem in problems:
            log.warning("%s Going on from the one before: %s.", problem, path)
        return found
    if problems:
        raise InputError(
            f"{problems[0]} No other checkpoint of {folder.root} can be read; to begin anew, leave out --auto_resume."
        )
    return None


def _named(path: Path, folder: Folder) -> tuple[dict[str, Any], Weights]:
    """The checkpoint that an option names, and no other."""
    if path.resolve().parent != folder.states.resolve():
        raise InputError(
            f"path.resume_state: {path} is not a state of this experiment ({folder.states}); to start another one "
            "from its network use path.pretrain_network_g."
        )
    try:
        return _read(path, folder)
    except InputError as error:
        for other in folder.all_states():
            if other.resolve() != path.resolve():
                try:
                    _read(other, folder)
                except InputError:
                    continue
                raise InputError(f"{error} {other} is whole: path.resume_state={other}, or --auto_resume.") from None
        raise


def _read(path: Path, folder: Folder) -> tuple[dict[str, Any], Weights]:
    state = load_state(path)
    if path.stem != str(state["iter"]):
        raise InputError(f"training state {path} is damaged: it says that it is of iteration {state['iter']!r:.40}.")
    return state, read_weights(folder.network(state["iter"]), "params")


def _options_before(folder: Folder) -> TrainOptions | None:
    files = folder.options_files()
    if not files:
        log.warning("%s has no options.yml: nothing shows whether this training goes on as it began.", folder.root)
        return None
    try:
        return load_train_options(files[-1])
    except InputError as error:
        log.warning("What has changed since the start is not known, since that cannot be read: %s", error)
        return None


def _changes(before: TrainOptions, now: TrainOptions) -> dict[str, tuple[str, str]]:
    """Old and new of every option that differs, by its dotted key."""
    old, new = (_flat(plain_options(options)) for options in (before, now))
    return {
        key: (old.get(key, "not given"), new.get(key, "not given"))
        for key in [*old, *(key for key in new if key not in old)]
        if old.get(key) != new.get(key) and key not in APART
    }


def _flat(value: Any, prefix: str = "") -> dict[str, str]:
    if isinstance(value, Mapping) and value:
        return {k: v for name, item in value.items() for k, v in _flat(item, f"{prefix}{name}.").items()}
    return {prefix.removesuffix("."): json.dumps(value, ensure_ascii=False, default=str)}


def _refuse(opt: TrainOptions, folder: Folder, iteration: int, changes: Mapping[str, tuple[str, str]]) -> None:
    fixed = [key for key in changes if key in FIXED or key.startswith("network_g.")]
    if fixed:
        listed = "; ".join(f"{key} was {changes[key][0]}, now {changes[key][1]}" for key in fixed)
        raise InputError(
            f"{folder.root} holds another training: {listed}. Take the old value to go on with it; for a new training "
            f"give it another `name`, and path.pretrain_network_g={folder.network(iteration)} to start from this one."
        )
    if opt.train.total_iter < iteration:
        raise InputError(
            f"train.total_iter: is {opt.train.total_iter:,}, but {folder.root} is at iteration {iteration:,} already. "
            f"Give {iteration:,} or more, or begin a new training under another `name`."
        )


def say_changes(resumed: Resumed, folder: Folder, world_size: int, opt: TrainOptions) -> None:
    """Name what is different from before, with another size of the step and how to keep the old one."""
    log.info("Resumed at iteration %s from %s.", f"{resumed.iteration:,}", folder.state(resumed.iteration))
    if resumed.changes:
        log.warning("It goes on with other options than before:\n  %s", "\n  ".join(resumed.changes))
    processes = len(resumed.state["random"])
    if resumed.before is None:
        return
    before, now = _step(resumed.before, processes), _step(opt, world_size)
    if before[0] == now[0]:
        return
    log.warning(
        "A step had %d images (%s) and now has %d (%s), at the same learning rate. %s",
        *before,
        *now,
        _keeping(before[0], opt.datasets.train.batch_size_per_gpu, world_size),
    )


def _step(opt: TrainOptions, processes: int) -> tuple[int, str]:
    """How many images a step of the optimiser has, and why."""
    batch, each = opt.datasets.train.batch_size_per_gpu, opt.train.accumulate
    told = f"batch_size_per_gpu {batch} × {processes} process{'es' * (processes > 1)} × accumulate {each}"
    return batch * processes * each, told


def _keeping(images: int, batch: int, processes: int) -> str:
    """The options that give a step `images` images again."""
    own, rest = divmod(images, processes)
    if rest:
        return f"{processes} processes cannot share {images} images equally: change the learning rate with the batch."
    if own % batch == 0:
        return f"To keep {images}: train.accumulate={own // batch}."
    size = max(size for size in range(1, min(own, batch) + 1) if own % size == 0)
    return f"To keep {images}: datasets.train.batch_size_per_gpu={size} train.accumulate={own // size}."


def record_options(opt: TrainOptions, folder: Folder, resumed: Resumed | None) -> None:
    """Write the options into the experiment: `options.yml` at the start; what a resumed run changes beside it.

    Nothing is ever overwritten: the second set is `options_2.yml`, whole as the first one.
    """
    files = folder.options_files()
    if resumed and files and not resumed.changes and resumed.before:
        return
    header = f"# {time.strftime('%Y-%m-%d %H:%M:%S')}\n# {shlex.join(sys.argv)}\n"
    if resumed and files:
        header += f"# From iteration {resumed.iteration:,} on, instead of {files[-1].name}:\n"
        header += "".join(f"#   {line}\n" for line in resumed.changes or ["(what was before cannot be read)"])
    name = f"options_{folder.options_number(files[-1]) + 1}.yml" if files else "options.yml"
    atomic_write_text(folder.root / name, header + dump_options(opt))
