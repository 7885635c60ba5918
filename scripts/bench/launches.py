"""Kernel launches, copies and waits of a training step, for every method and network, counted without a GPU.

  scripts/bench/cuda_stub/run scripts/bench/launches.py
  scripts/bench/cuda_stub/run scripts/bench/launches.py --only EDSR-baseline "four widths" --precision bf16
  scripts/bench/cuda_stub/run scripts/bench/launches.py --tiny

Batch 16, patch 192, ×4, Adam, moving average; the batch travels as 8-bit images. `eager` is kernel by kernel, `graph`
the step as it is recorded, where it can be. Layout copies are those that a convolution makes of its input.
Waits are for the device. Each number is the mean of 5 steps, after 5 that warm up. EDSR 256 × 32 has a batch of 2 here
and CSD in a network's features one of 4, as memory is the host's: a step's launches do not depend on it. The exit
status is 1 where a step waits or fails.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from gpu_smoke import LARGE, cases

from srkd.data.parcels import Parcel, TrainLoader, unpacked_images
from srkd.engine.distributed import World
from srkd.engine.graphed import best_step
from srkd.engine.meter import LossMeter
from srkd.engine.optim import Adam, Ema, move_rates
from srkd.engine.settings import Settings
from srkd.engine.step import Now
from srkd.methods.base import Method

WARM, STEPS, BATCH, PATCH, SCALE = 5, 5, 16, 192, 4
PRECISIONS = ("fp32", "bf16", "fp16")
SMALLER = {LARGE: 2, "CSD network": 4}  # batches


def images(batch: int, side: int) -> torch.Tensor:
    return torch.zeros(batch, side, side, 3, dtype=torch.uint8).pin_memory().permute(0, 3, 1, 2)


def counted(method: Method, settings: Settings, batch: int, patch: int) -> dict[str, float]:
    """What one step calls, after those that warm up."""
    method.cuda().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    groups = method.param_groups()
    rates = [1e-4 * group.pop("lr_factor", 1.0) for group in groups]
    optimizer = Adam(groups, lr=1e-4)
    move_rates(optimizer)
    world, ema = World(0, 1, torch.device("cuda")), Ema(method.student, decay=0.999)
    parts = {"optimizer": optimizer, "settings": settings, "world": world, "meter": LossMeter(), "ema": ema}
    step = best_step(method, **parts)
    tensors = {"lq": images(batch, patch // SCALE), "gt": images(batch, patch)}
    parcel = Parcel(tensors, [None] * batch)  # type: ignore[list-item]
    loader = TrainLoader(iter(()), unpacked_images)
    before: dict[str, int] = {}
    for number in range(WARM + STEPS):
        if number == WARM:
            before = torch.cuda_stub()  # type: ignore[attr-defined]
        method.before_step(number / 100)
        step(loader, [parcel], Now(number, rates, number / 100))
        method.after_step((number + 1) / 100)
    return {name: (value - before[name]) / STEPS for name, value in torch.cuda_stub().items()}  # type: ignore[attr-defined]


def row(make: Callable[[], Method], precision: str, batch: int, patch: int) -> tuple[str, bool]:
    """The cells of one case in one precision, and whether all is well."""
    settings = Settings(total_iter=100, precision=precision, cuda_graph=False)  # type: ignore[arg-type]
    try:
        eager = counted(make(), settings, batch, patch)
        graph = counted(make(), replace(settings, cuda_graph=True), batch, patch)
    except Exception as error:  # a mixture of devices or types, or what the stub does not have: it is a row too
        return f"{type(error).__name__}: {str(error).splitlines()[0]} | | | |", False
    whole = f"{graph['launches']:.0f}" if graph["graph_launches"] else "–"
    waits = max(eager["sync"], graph["sync"])
    cells = f"{eager['launches']:,.0f}", whole, *(f"{n:,.0f}" for n in (eager["layout_copies"], eager["h2d"], waits))
    return " | ".join(cells), waits == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="CASE", help="some of the cases")
    parser.add_argument("--precision", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that it runs")
    args = parser.parse_args()
    if not hasattr(torch, "cuda_stub"):
        sys.exit("start it with scripts/bench/cuda_stub/run: on a GPU nothing is counted.")
    print("| method or network | precision | eager | graph | layout copies | copies to the GPU | waits |")
    print("|---|---|---:|---:|---:|---:|---:|")
    torch.manual_seed(0)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, make in cases(Path(folder), tiny=args.tiny).items():
            if args.only and name not in args.only:
                continue
            batch, patch = (4, 32) if args.tiny else (SMALLER.get(name, BATCH), PATCH)
            for precision in args.precision:
                cells, well = row(make, precision, batch, patch)
                bad += not well
                print(f"| {name} | {precision} | {cells} |", flush=True)
                torch.cuda.empty_cache()
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
