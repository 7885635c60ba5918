"""Train one registered method for four iterations, and from its second again; in one process, or as a script in two.

torchrun --nproc_per_node=2 tests/contracts/trained.py FOLDER METHOD [METHOD ...]
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any, Literal

import torch
import yaml

from srkd.engine.build import Start, build_trainer
from srkd.engine.distributed import gather_objects, join_world, leave_world
from srkd.methods.base import teacher_use
from srkd.networks.edsr import EDSR
from srkd.networks.weights import save_network
from srkd.options import Component, TrainOptions, load_train_options
from srkd.registry import METHODS

STUDENT = {"type": "EDSR", "num_feat": 8, "num_block": 3, "upscale": 2}


def options(folder: Path, name: str, run: str) -> TrainOptions:
    """A tiny training of a method, with images in `folder`/photos."""
    component: Any = METHODS.get(name)
    content: dict[str, Any] = {
        "name": run,
        "scale": 2,
        "manual_seed": 3,
        "device": "cpu",
        "datasets": {
            "train": {
                "name": "photos", "type": "PairedImageDataset", "dataroot_gt": str(folder / "photos"), "gt_size": 24,
                "use_hflip": True, "use_rot": True, "batch_size_per_gpu": 4,
            }
        },
        "network_g": STUDENT,
        "path": {"experiments_root": str(folder / name)},
        "train": {
            "ema_decay": 0.9, "optim_g": {"type": "Adam", "lr": 1e-3}, "total_iter": 4, "precision": "fp32",
        },
        "logger": {"print_freq": 1, "save_checkpoint_freq": 2},
    }  # fmt: skip
    if teacher_use(component) != "no":
        content["network_g_teacher"] = {**STUDENT, "num_feat": 12}
        content["path"]["pretrain_network_g_teacher"] = str(folder / "teacher.pth")
    file = folder / f"{name}_{run}_{os.getpid()}.yml"  # one a process: none reads what another is writing
    file.write_text(yaml.safe_dump(content))
    method = Component(name, component.example(folder))
    return load_train_options(file).model_copy(update={"method": method})


def prepare(folder: Path) -> None:
    """What all of them learn from, once."""
    torch.manual_seed(1)
    save_network(folder / "teacher.pth", EDSR(num_feat=12, num_block=3, upscale=2))


def train_twice(folder: Path, name: str, launcher: Literal["none", "pytorch"] = "none") -> None:
    """Four iterations as `whole`; its first two and then two more as `parts`.

    Raises:
        AssertionError: anything that is saved differs.
    """
    world = join_world(launcher, "cpu")
    whole = options(folder, name, "whole")
    parts = options(folder, name, "parts")
    assert build_trainer(whole, Start(launcher)).run() == 0
    root = folder / name
    if world.is_main:
        shutil.copytree(root / "whole", root / "parts")
        for file in [*(root / "parts").glob("*/*4.*"), *(root / "parts").glob("*/*latest*")]:
            file.unlink()
    gather_objects(world, None)
    trainer = build_trainer(parts, Start(launcher, auto_resume=True))
    assert trainer.iteration == 2
    assert trainer.run() == 0
    networks = [f"models/net_{network}_4.pth" for network in trainer.method.networks]
    for file in (*networks, "training_states/4.state"):
        saved = [torch.load(root / run / file, weights_only=True) for run in ("whole", "parts")]
        assert differences(*saved) == []
    student = {key: value.tolist() for key, value in trainer.method.named_parameters()}
    assert all(other == student for other in gather_objects(world, student))  # trained as one


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    """Where two saved things differ."""
    if isinstance(a, torch.Tensor):
        return [] if torch.equal(a, b) else [where]
    if isinstance(a, dict):
        keys = [where] if a.keys() != b.keys() else []
        return keys + [d for key in a.keys() & b.keys() for d in differences(a[key], b[key], f"{where}.{key}")]
    if isinstance(a, (list, tuple)):
        return [where] * (len(a) != len(b)) + [
            d for number, pair in enumerate(zip(a, b, strict=False)) for d in differences(*pair, f"{where}[{number}]")
        ]
    return [] if a == b or "options" in where else [where]


if __name__ == "__main__":
    for each in sys.argv[2:]:
        train_twice(Path(sys.argv[1]), each, "pytorch")
    leave_world()
