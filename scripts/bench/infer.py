"""Time of one frame at each width: the upscaler, the exported smaller network, and slicing at every call.

  python scripts/bench/infer.py
  python scripts/bench/infer.py --rounds 20 -o docs/benchmarks/MACHINE/infer.json

EDSR-baseline ×4 (64 channels, 16 blocks, random weights: they change no time), a frame of 320 × 180, uint8 in and out.
`upscaler` is `srkd.Upscaler`; `exported` the file that `srkd export --width` writes, loaded as an ordinary network and
run in the same precision and layout; `sliced` the papers' way: the full network cuts its weights at every call, fp32,
NCHW. All take turns, one call each a round, so that a busy machine slows all of them; the figures are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import srkd
from srkd.inference.export import export
from srkd.inference.forward import upscale_image
from srkd.inference.precision import DTYPES, precisions
from srkd.networks.edsr import EDSR
from srkd.provenance import environment


class Planar(nn.Module):
    """A network that is given planes one after the other (NCHW), at a width that it slices at every call."""

    def __init__(self, network: nn.Module, width: float) -> None:
        super().__init__()
        self.network, self.width_of_calls = network, width

    def forward(self, x: Tensor, width: float = 1.0) -> Tensor:
        return self.network(x.contiguous(), self.width_of_calls)


def candidates(network: EDSR, widths: list[float], device: str, folder: Path) -> dict[tuple[str, float, str], Callable]:
    """What is timed, by (how, width, precision)."""
    frame = np.random.default_rng(0).integers(0, 256, (180, 320, 3), np.uint8)
    found: dict[tuple[str, float, str], Callable] = {}

    def add(how: str, width: float, precision: str, run: Callable) -> None:
        found[how, width, precision] = lambda: run(frame)

    def through(model: nn.Module) -> Callable:
        return lambda image: upscale_image(model, image)

    for width in widths:
        add("sliced", width, "fp32", through(Planar(network.to(device), width)))
        export(network, folder / f"{width}.pth", width=width)
        for precision in precisions(torch.device(device)):
            small = srkd.load_network(folder / f"{width}.pth").to(device, DTYPES[precision])
            add("exported", width, precision, through(small.to(memory_format=torch.channels_last)))
            up = srkd.Upscaler(network, width=width, device=device, precision=precision)
            add("upscaler", width, precision, up.upscale)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--widths", type=float, nargs="+", default=[1.0, 0.75, 0.5, 0.25])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json")
    args = parser.parse_args()

    torch.manual_seed(0)
    network = EDSR(num_feat=64, num_block=16, upscale=4).eval()
    with tempfile.TemporaryDirectory() as folder:
        runs = candidates(network, args.widths, args.device, Path(folder))
    times: dict[tuple[str, float, str], list[float]] = {key: [] for key in runs}
    for number in range(args.rounds + 2):
        for key, run in runs.items():
            start = time.perf_counter()
            run()
            if number >= 2:  # two rounds warm up
                times[key].append(1000 * (time.perf_counter() - start))
    medians = {key: statistics.median(values) for key, values in times.items()}

    table = Table(
        "width", "precision", "upscaler", "exported", "sliced fp32 NCHW", "upscaler / exported", "sliced / upscaler"
    )
    rows = []
    for (how, width, precision), median in medians.items():
        if how != "upscaler":
            continue
        exported, sliced = medians["exported", width, precision], medians["sliced", width, "fp32"]
        rows.append(
            {"width": width, "precision": precision, "upscaler": median, "exported": exported, "sliced": sliced}
        )
        table.add_row(
            f"{width:g}",
            precision,
            *(f"{value:.1f} ms" for value in (median, exported, sliced)),
            f"{median / exported:.3f}",
            f"{sliced / median:.2f} ×",
        )
    where = environment(args.device)
    console = Console(width=140)
    console.print(table)
    console.print(", ".join(f"{key} {value}" for key, value in where.items()), highlight=False)
    if args.output:
        content = {"environment": where, "command": " ".join(sys.argv), "load": os.getloadavg()[0], "rows": rows}
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
