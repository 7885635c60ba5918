"""Whether training in bf16 costs quality: the same small trainings in bf16 and fp32, the same seeds.

  python scripts/reproduce/precision.py

EDSR with 32 channels and 8 blocks, ×2, 2,000 iterations with a schedule that ends at 0, patches of 48; about half an
hour on 2 cores. Goes on where it was interrupted. Results go to docs/results/precision/.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from steps import ROOT, run, train

ITERATIONS = 2000
OVERRIDES = (
    "network_g={type: EDSR, num_feat: 32, num_block: 8, upscale: 2, img_range: 1.0}",
    "datasets.train.gt_size=48",
    f"train.total_iter={ITERATIONS}",
    f"train.scheduler.T_max={ITERATIONS}",
    f"val.val_freq={ITERATIONS}",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["Set5"])
    args = parser.parse_args()
    networks: list[Path] = []
    for seed in (0, 1, 2):
        for precision in ("bf16", "fp32"):
            name = f"precision_{precision}_seed{seed}"
            network = Path("experiments") / name / "models/net_g_latest.pth"
            networks.append(network)
            own = (f"name={name}", f"manual_seed={seed}", f"train.precision={precision}")
            train(ROOT / "options/train/base/bsds_x2.yml", network, ITERATIONS, *OVERRIDES, *own)
    run("benchmark", *networks, "--sets", *args.sets, "-o", ROOT / "docs/results/precision/benchmark.json")


if __name__ == "__main__":
    main()
