"""`srkd train --check`: everything a run does, once and in small, and what a long run would cost.

What passes does not fail at its first validation or its first save.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import torch
from rich.console import Console

from srkd.compat.loading import network_in
from srkd.engine.checkpoint import Folder, capture, load_state, save_state
from srkd.engine.meter import TOTAL
from srkd.engine.runtime import is_out_of_memory, memory_advice
from srkd.engine.saving import save_learnt
from srkd.engine.seeding import random_states
from srkd.engine.trainer import Trainer
from srkd.engine.validation import Validator
from srkd.networks.weights import read_weights
from srkd.table import Column, Table
from srkd.types import InputError, WorkError

STEPS = 4


def check(trainer: Trainer, console: Console) -> None:
    """A few steps of `trainer`, one validation, one save and load; prints shapes, terms, memory and time.

    Nothing is left on disk.

    Raises:
        InputError: something of it would fail.
        WorkError: there is not enough memory.
    """
    try:
        timing, losses = trainer.rehearse(STEPS)
        scores = _rehearse_validation(trainer)
        written = _rehearse_saving(trainer) if trainer.world.is_main else 0
    except Exception as error:
        if is_out_of_memory(error):
            raise WorkError(memory_advice(error)) from None
        raise
    settings, method = trainer.settings, trainer.method
    batch = trainer.batch(0)
    student = method.student

    facts: list[tuple[str, str]] = []
    for width in method.widths:
        count = sum(p.numel() for p in student.parameters()) if width == 1 else None
        size = f", {count:,} parameters" if count else ""
        facts.append((f"width {width:g}", f"{student.channels(width)} channels{size}"))
    facts.append(("lq, gt", f"{list(batch.lq.shape)}, {list(batch.gt.shape)} ({batch.lq.dtype})"))
    facts.append(("device, precision", f"{trainer.world.device}, {settings.precision}"))
    for name, value in losses.items():
        weight = "" if name == TOTAL else f" × {method.weight(name, 0.0):g}"
        facts.append((name, f"{value:.4e}{weight}"))
    facts += [(name, f"{value:.4f} (the smallest image)") for name, value in scores.items()]
    seconds, waiting = timing
    hours = seconds * settings.total_iter / 3600
    facts += [
        ("network file", f"written and opened again, {written / 2**10:,.0f} KiB"),
        ("time per iteration", f"{seconds:.3f} s, {100 * waiting / seconds:.0f} % of it waiting for data"),
        ("whole run", f"{settings.total_iter:,} iterations, about {hours:.2f} h"),
        ("peak memory", f"{_peak_bytes(trainer.world.device) / 2**20:,.0f} MiB"),
    ]
    Table([Column("what", "name"), Column("found", "name")], [*facts]).print(console)
    console.print("All is well: nothing was written.")


def _rehearse_validation(trainer: Trainer) -> dict[str, float]:
    if not isinstance(trainer.validate, Validator) or not trainer.world.is_main:
        return {}
    with trainer.ema.applied() if trainer.ema else nullcontext():
        return trainer.validate.rehearse(trainer.method.student.eval())


def _rehearse_saving(trainer: Trainer) -> int:
    """Write what a checkpoint holds into a temporary folder and open it again; the size of the network file."""
    _require_writable(trainer.folder.root)
    with tempfile.TemporaryDirectory() as folder:
        there = Folder(Path(folder))
        path, state = there.network("rehearsal"), there.state(0)
        save_learnt(trainer, there, "rehearsal")
        weights = read_weights(path, "params")
        again, own = network_in(weights).state_dict(), trainer.method.student.state_dict()
        tensors = {name: value.cpu() for name, value in own.items() if isinstance(value, torch.Tensor)}
        differing = [name for name in tensors if name not in again or not torch.equal(again[name], tensors[name])]
        if differing:
            raise InputError(
                f"network_g: {type(trainer.method.student).__name__} is not the same once it has been saved and "
                f"opened again: {differing[0]} differs."
            )
        save_state(state, capture(trainer, [{"random": random_states(), "losses": trainer.meter.state()}]))
        load_state(state)
        if plugin := weights.meta.get("plugin"):
            _reopen(path, plugin)
        return path.stat().st_size


def _reopen(path: Path, plugin: str) -> None:
    """Open a network file in a fresh process that knows the plugin from the file's own words."""
    code = (
        "import sys; from srkd.plugins import import_plugin; from srkd.networks.weights import load_network; "
        "import_plugin(sys.argv[1]); load_network(sys.argv[2])"
    )
    done = subprocess.run([sys.executable, "-c", code, plugin, str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise InputError(
            f"plugins: a network file of this training says that it needs the plugin {plugin!r}, and cannot be opened "
            f"with it in another process: {reason}"
        )


def _require_writable(folder: Path) -> None:
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InputError(f"path.experiments_root: {folder} cannot be written: {there} does not allow it.")


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
