"""`srkd train --check`: everything is built, a few steps run, and what a long run would cost is told."""

from __future__ import annotations

import sys

import torch
from rich.console import Console
from rich.table import Table

from srkd.engine.meter import TOTAL
from srkd.engine.trainer import Trainer

STEPS = 4


def check(trainer: Trainer, console: Console) -> None:
    """Run a few steps of `trainer` and print shapes, terms, memory and time; nothing is written."""
    timing, losses = trainer.rehearse(STEPS)
    settings, method = trainer.settings, trainer.method
    batch = trainer.batch(0)
    student = method.student

    table = Table("", "", show_header=False, box=None)
    for width in method.widths:
        count = sum(p.numel() for p in student.parameters()) if width == 1 else None
        size = f", {count:,} parameters" if count else ""
        table.add_row(f"width {width:g}", f"{student.channels(width)} channels{size}")
    table.add_row("lq, gt", f"{list(batch.lq.shape)}, {list(batch.gt.shape)} ({batch.lq.dtype})")
    table.add_row("device, precision", f"{trainer.world.device}, {settings.precision}")
    for name, value in losses.items():
        weight = "" if name == TOTAL else f" × {method.weight(name, 0.0):g}"
        table.add_row(name, f"{value:.4e}{weight}")
    seconds, waiting = timing
    hours = seconds * settings.total_iter / 3600
    table.add_row("time per iteration", f"{seconds:.3f} s, {100 * waiting / seconds:.0f} % of it waiting for data")
    table.add_row("whole run", f"{settings.total_iter:,} iterations, about {hours:.2f} h")
    table.add_row("peak memory", f"{_peak_bytes(trainer.world.device) / 2**20:,.0f} MiB")
    console.print(table)
    console.print("All is well: nothing was written.")


def _peak_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
