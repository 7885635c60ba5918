"""Milliseconds of a frame of 320 × 180, ×4: ours at every width, and public networks of the sizes that are published.

  OMP_NUM_THREADS=1 python scripts/reproduce/milliseconds.py

PyTorch, fp32, channels last, on the CPU. The networks take turns, and the time in which other programs had the
processor does not count; the median counts. Public networks have random weights (time does not depend on them): EDSR,
CARN and FSRCNN are srkd's own, the others are chains of convolutions, as docs/results/published_networks.json has them.
Results go to docs/results/frontier_x4/milliseconds.json. Then: python scripts/make_table.py
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
from collections.abc import Sequence

import torch
from steps import ROOT
from torch import nn

from srkd.atomic import atomic_write_text
from srkd.metrics.latency import alone
from srkd.networks.carn import CARN
from srkd.networks.edsr import EDSR
from srkd.networks.fsrcnn import FSRCNN
from srkd.networks.pretrained import resolve
from srkd.networks.slim import narrow
from srkd.networks.weights import load_network, read_weights
from srkd.provenance import environment

OWN = "switchable-x4"
PUBLISHED = ROOT / "docs/results/published_networks.json"
OUT = ROOT / "docs/results/frontier_x4/milliseconds.json"
SIZE = (180, 320)


def chain(layers: Sequence[tuple[int, int, int]], scale: int) -> nn.Module:
    """Convolutions (in, out, kernel) with ReLU between, and one PixelShuffle."""
    parts: list[nn.Module] = []
    for inside, outside, kernel in layers:
        parts += [nn.Conv2d(inside, outside, kernel, padding=kernel // 2), nn.ReLU()]
    return nn.Sequential(*parts[:-1], nn.PixelShuffle(scale))


def networks() -> dict[str, nn.Module]:
    """What is measured: names as in the published table, `switchable-x4@0.25` for ours."""
    file = resolve(OWN)
    whole = load_network(file).float()
    found: dict[str, nn.Module] = {
        f"{OWN}@{width:g}": narrow(whole, width) for width in read_weights(file).meta["widths"]
    }
    content = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    own = {"EDSR-baseline": EDSR(num_feat=64, num_block=16, upscale=4), "CARN": CARN(upscale=4), "FSRCNN": FSRCNN()}
    for row in content["rows"]:
        if "chain" in row:
            found[row["network"]] = chain(row["chain"], content["scale"])
        elif row["network"] in own:
            found[row["network"]] = own[row["network"]]
    return found


def measure(measured: dict[str, nn.Module], runs: int) -> dict[str, float]:
    """The median of each network's milliseconds; they take turns."""
    found: dict[str, list[float]] = {name: [] for name in measured}
    with torch.inference_mode():
        for round_ in range(runs + 1):
            for name, network in measured.items():
                first = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
                image = torch.rand(1, first.in_channels, *SIZE).to(memory_format=torch.channels_last)
                seconds = alone(lambda network=network, image=image: network(image), "cpu")
                if round_:  # the first warms up
                    found[name].append(1000 * seconds)
    return {name: round(statistics.median(values), 2) for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="timed passes of each network (default: %(default)s)")
    args = parser.parse_args()
    measured = {name: one.eval().to(memory_format=torch.channels_last) for name, one in networks().items()}
    record = {
        "own": OWN,
        "sha256": hashlib.sha256(resolve(OWN).read_bytes()).hexdigest(),
        "size": SIZE,
        "runs": args.runs,
        "environment": environment("cpu"),
        "milliseconds": measure(measured, args.runs),
    }
    atomic_write_text(OUT, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
