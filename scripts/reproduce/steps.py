"""What the scripts of this folder share: srkd's commands, one after the other, and trainings that are not run twice."""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from srkd.networks.weights import read_weights

ROOT = Path(os.path.relpath(Path(__file__).parents[2]))  # result files name networks by it: not this machine's folders


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


def told(folder: Path, kind: str) -> list[dict[str, Any]]:
    """The lines of a training's metrics that are of a kind: train, val."""
    lines = (json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line["kind"] == kind]


def cost(folder: Path) -> dict[str, float]:
    """Iterations of a training and the median of its seconds for one of them."""
    trained = told(folder, "train")
    return {"iterations": trained[-1]["iter"], "seconds": statistics.median(line["seconds"] for line in trained)}
