"""Whether training in bf16 costs quality: the same small trainings in bf16 and fp32, the same seeds.

  python scripts/reproduce/precision.py

EDSR with 32 channels and 8 blocks, ×2, 2,000 iterations with a schedule that ends at 0, patches of 48; about half an
hour on 2 cores. Goes on where it was interrupted. Results go to docs/results/precision/.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

from srkd.networks.weights import read_weights

ROOT = Path(__file__).parents[2]
ITERATIONS = 2000
OVERRIDES = (
    "network_g={type: EDSR, num_feat: 32, num_block: 8, upscale: 2, img_range: 1.0}",
    "datasets.train.gt_size=48",
    f"train.total_iter={ITERATIONS}",
    f"train.scheduler.T_max={ITERATIONS}",
    f"val.val_freq={ITERATIONS}",
)


def run(*arguments: object) -> None:
    """One srkd command, shown; the script ends with it if it fails."""
    words = [str(argument) for argument in arguments]
    sys.stdout.write(f"$ srkd {shlex.join(words)}\n")
    sys.stdout.flush()
    status = subprocess.run([sys.executable, "-m", "srkd", *words], check=False).returncode
    if status:
        raise SystemExit(status)


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
            if not network.exists() or read_weights(network).meta["iter"] < ITERATIONS:
                own = (f"name={name}", f"manual_seed={seed}", f"train.precision={precision}")
                run("train", "-opt", ROOT / "options/train/base/bsds_x2.yml", "--auto_resume", *OVERRIDES, *own)
    run("benchmark", *networks, "--sets", *args.sets, "-o", ROOT / "docs/results/precision/benchmark.json")


if __name__ == "__main__":
    main()
