"""A tiny real training: photographs, an option file, and a way to run it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from srkd.cli import main
from srkd.data.paired_image import IOBackend, PairedImageDataset
from srkd.imaging.files import write_image


@pytest.fixture
def photographs(tmp_path, _astronaut) -> Path:
    for number in range(4):
        write_image(tmp_path / "photos" / f"p{number}.png", _astronaut[60 * number : 60 * number + 50, 100:160].copy())
    return tmp_path / "photos"


@pytest.fixture
def data(photographs):
    """Makes the data set of the photographs, decoded once; with other options of its cache."""

    def make(*, use_hflip=True, use_rot=True, **backend):
        return PairedImageDataset(
            scale=2, dataroot_gt=str(photographs), gt_size=24, use_hflip=use_hflip, use_rot=use_rot,
            io_backend=IOBackend("cache", **backend),
        )  # fmt: skip

    return make


@pytest.fixture
def own_home(tmp_path, monkeypatch):
    """What srkd keeps between runs begins empty."""
    monkeypatch.setenv("SRKD_HOME", str(tmp_path / "home"))


@pytest.fixture
def recipe(photographs, tmp_path) -> dict[str, Any]:
    """The contents of an option file that trains for ten iterations in a second."""
    return {
        "name": "tiny",
        "scale": 2,
        "manual_seed": 3,
        "device": "cpu",
        "datasets": {
            "train": {
                "name": "photos",
                "type": "PairedImageDataset",
                "dataroot_gt": str(photographs),
                "gt_size": 24,
                "use_hflip": True,
                "use_rot": True,
                "batch_size_per_gpu": 4,
            },
            "val": {"name": "held", "type": "PairedImageDataset", "dataroot_gt": str(photographs)},
        },
        "network_g": {"type": "EDSR", "num_feat": 8, "num_block": 2, "upscale": 2, "img_range": 1.0},
        "path": {"experiments_root": str(tmp_path / "experiments")},
        "train": {
            "ema_decay": 0.99,
            "optim_g": {"type": "Adam", "lr": 1e-3},
            "scheduler": {"type": "CosineAnnealingLR", "T_max": 10},
            "total_iter": 10,
            "pixel_opt": {"type": "L1Loss"},
            "precision": "fp32",  # the same on every machine
        },
        "val": {
            "val_freq": 5,
            "metrics": {"psnr": {"type": "calculate_psnr", "crop_border": 2, "test_y_channel": True}},
        },
        "logger": {"print_freq": 1, "save_checkpoint_freq": 5},
    }


CSD = {"type": "CSD", "widths": [0.5, 0.25], "num_negatives": 2, "perceptual": {"type": "network"}}


@pytest.fixture
def train(tmp_path):
    """Write `recipe` to a file and run `srkd train` on it; returns the exit status."""

    def run(recipe: dict[str, Any], *arguments: str) -> int:
        path = tmp_path / "options.yml"
        path.write_text(yaml.safe_dump(recipe, sort_keys=False))
        return main(["train", "-opt", str(path), *arguments])

    return run


@pytest.fixture
def started():
    """`subprocess.Popen`; what a failing test leaves behind is ended (a sweep passes SIGTERM on)."""
    processes: list[subprocess.Popen[Any]] = []

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[Any]:
        processes.append(subprocess.Popen(*arguments, **options))
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=60)
