"""Which slice of a trained network should its quarter start from? As it is, or with its channels in order (×4).

  OMP_NUM_THREADS=1 python scripts/reproduce/ordering.py
  OMP_NUM_THREADS=1 python scripts/reproduce/ordering.py --wide experiments/mine/models/net_g_latest.pth

The wide network is EDSR 64×9 with a direct tail, trained for 2,500 iterations unless one is given. Its channels are
ordered by `srkd prune` (norm, learnt scales, search); each quarter is cut and trained alone, beside one from random
weights. Everything is measured on the 30 development photographs, which the search looked at, too.
Results: docs/results/ordering_x4.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import yaml
from steps import run, told

from srkd.atomic import atomic_write_text
from srkd.networks.slim import narrow
from srkd.networks.weights import load_network, read_weights, save_network

ROOT = Path("experiments/ordering_x4")
RESULT = Path("docs/results/ordering_x4.json")
BASE = Path("options/train/base/bsds_x4.yml")
PHOTOGRAPHS = Path("datasets/train/bsds399")
EDSR = {"type": "EDSR", "num_block": 9, "upscale": 4, "img_range": 1.0, "upsampler": "direct"}
ORDERS = ("norm", "scale", "search")


def train(name: str, num_feat: int, rate: float, iterations: int, start: Path | None) -> Path:
    """Train one network, or what is left of it."""
    content: dict[str, Any] = {
        "include": str(BASE.resolve()),
        "name": name,
        "datasets": {"train": {"gt_size": 96}},
        "network_g": {**EDSR, "num_feat": num_feat},
        "path": {"experiments_root": str(ROOT), **({"pretrain_network_g": str(start)} if start else {})},
        "train": {
            "precision": "bf16",
            "optim_g": {"lr": rate},
            "scheduler": {"T_max": iterations},
            "total_iter": iterations,
        },
        "val": {"val_freq": max(iterations // 5, 1)},
    }
    trained = ROOT / name / "models/net_g_latest.pth"
    if not trained.exists() or read_weights(trained).meta["iter"] < iterations:
        ROOT.mkdir(parents=True, exist_ok=True)
        file = ROOT / f"{name}.yml"
        atomic_write_text(file, yaml.safe_dump(content, sort_keys=False))
        run("train", "-opt", file, "--auto_resume", "-q")
    return trained


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wide", type=Path, metavar="FILE", help="a trained EDSR 64×9")
    parser.add_argument("--iterations", type=int, default=5_000, help="of each quarter (default: %(default)s)")
    parser.add_argument("--orders", nargs="+", choices=ORDERS, default=ORDERS, help="to try; search takes half an hour")
    args = parser.parse_args()
    wide = args.wide or train("wide", 64, 8e-4, 2_500, None)
    images = ROOT / "development"  # links: what orders looks at the photographs that decide, and at no others
    images.mkdir(parents=True, exist_ok=True)
    for name in (BASE.parent / "bsds_development_30.txt").read_text(encoding="utf-8").split():
        if not (link := images / name).exists():
            link.symlink_to((PHOTOGRAPHS / name).resolve())
    starts: dict[str, Path | None] = {"random weights": None}
    for order in ("as it is", *args.orders):
        ordered, quarter = ROOT / f"{order}.pth", ROOT / f"{order}_quarter.pth"
        if order in ORDERS and not ordered.exists():
            run("prune", wide, "-o", ordered, "--by", order, "--images", images)
        save_network(quarter, narrow(load_network(ordered if order in ORDERS else wide), 0.25))
        starts[order] = quarter
    record: dict[str, Any] = {"wide": str(wide), "iterations": args.iterations, "quarters": {}}
    for name, start in starts.items():
        folder = train(f"quarter {name}", 16, 2e-3, args.iterations, start).parents[1]
        record["quarters"][name] = {line["iter"]: line["psnr"] for line in told(folder, "val")}
        atomic_write_text(RESULT, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
