"""Kernel launches, copies and waits of a training step, for every method and network, counted without a GPU.

  scripts/bench/cuda_stub/run scripts/bench/launches.py
  scripts/bench/cuda_stub/run scripts/bench/launches.py --only EDSR-baseline "four widths" --precision bf16

Batch 16, patch 192, ×4, Adam, moving average; the batch travels as 8-bit images. `eager` is kernel by kernel, `graph`
the step as it is recorded, where it can be. Layout copies are those that a convolution makes of its input.
Waits are for the device.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from gpu_smoke import cases

from srkd.data.parcels import Parcel, TrainLoader, unpacked_images
from srkd.engine.distributed import World
from srkd.engine.graphed import best_step
from srkd.engine.meter import LossMeter
from srkd.engine.optim import Adam, Ema, move_rates
from srkd.engine.settings import Settings
from srkd.engine.step import Now
from srkd.methods.base import Method

WARM, STEPS, BATCH, PATCH, SCALE = 5, 2, 16, 192, 4


def images(side: int) -> torch.Tensor:
    return torch.zeros(BATCH, side, side, 3, dtype=torch.uint8).pin_memory().permute(0, 3, 1, 2)


def counted(method: Method, settings: Settings) -> dict[str, float]:
    """What one step calls, after those that warm up."""
    method.cuda().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = Adam(method.parameters(), lr=1e-4)
    move_rates(optimizer)
    world, ema = World(0, 1, torch.device("cuda")), Ema(method.student, decay=0.999)
    parts = {"optimizer": optimizer, "settings": settings, "world": world, "meter": LossMeter(), "ema": ema}
    step = best_step(method, **parts)
    parcel = Parcel({"lq": images(PATCH // SCALE), "gt": images(PATCH)}, [None] * BATCH)  # type: ignore[list-item]
    loader = TrainLoader(iter(()), unpacked_images)
    before: dict[str, int] = {}
    for number in range(WARM + STEPS):
        if number == WARM:
            before = torch.cuda_stub()  # type: ignore[attr-defined]
        method.before_step(0.0)
        step(loader, [parcel], Now(number, [1e-4], 0.0))
        method.after_step(0.0)
    return {name: (value - before[name]) / STEPS for name, value in torch.cuda_stub().items()}  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="CASE", help="some of the cases")
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16", "fp16"], choices=("fp32", "bf16", "fp16"))
    args = parser.parse_args()
    if not hasattr(torch, "cuda_stub"):
        sys.exit("start it with scripts/bench/cuda_stub/run: on a GPU nothing is counted.")
    print("| method or network | precision | eager | graph | layout copies | copies to the GPU | waits |")
    print("|---|---|---:|---:|---:|---:|---:|")
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        for name, make in cases(Path(folder)).items():
            if args.only and name not in args.only:
                continue
            for precision in args.precision:
                settings = Settings(total_iter=100, precision=precision, cuda_graph=False)
                eager = counted(make(), settings)
                graph = counted(make(), replace(settings, cuda_graph=True))
                whole = f"{graph['launches']:.0f}" if graph["graph_launches"] else "–"
                numbers = (eager["launches"], whole, eager["layout_copies"], eager["h2d"], eager["sync"])
                cells = " | ".join(n if isinstance(n, str) else f"{n:,.0f}" for n in numbers)
                print(f"| {name} | {precision} | {cells} |", flush=True)
                torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
