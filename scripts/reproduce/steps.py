"""What the scripts of this folder share: srkd's commands, one after the other, and trainings that are not run twice."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from srkd.networks.weights import read_weights

ROOT = Path(__file__).parents[2]


def run(*arguments: object) -> None:
    """One srkd command, shown; the script ends with it if it fails."""
    words = [str(argument) for argument in arguments]
    sys.stdout.write(f"$ srkd {shlex.join(words)}\n")
    sys.stdout.flush()
    status = subprocess.run([sys.executable, "-m", "srkd", *words], check=False).returncode
    if status:
        raise SystemExit(status)


def train(option_file: Path, network: Path, iterations: int, *overrides: str) -> None:
    """Run a training, or what is left of it, unless `network` has its iterations already."""
    if not network.exists() or read_weights(network).meta["iter"] < iterations:
        run("train", "-opt", option_file, "--auto_resume", *overrides)
