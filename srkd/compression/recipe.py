"""A distillation as an option file that `srkd train` runs: which photographs, for how long, how."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srkd.atomic import atomic_write_text
from srkd.compat.loading import network_in
from srkd.compression.students import Student, learning_rate, plain
from srkd.imaging.files import list_images
from srkd.missing import not_there
from srkd.networks.slim import Network
from srkd.networks.weights import read_weights
from srkd.options.dump import dump_value
from srkd.types import InputError

EXPERIMENT = "training"
"""Folder of the training below OUT."""

FEWEST, MOST_HELD_OUT = 10, 20
"""Photographs: how many there must be, and how many of them are kept to measure with (every tenth, at least two)."""

FEWEST_PICTURES = 8
"""Of the teacher, for a distillation."""

GT_SIZE, BATCH_SIZE = 96, 16

_FOR_PICTURES, _FOR_ENSEMBLE = 1 / 3, 1 / 6
"""Shares of the time that the teacher's pictures may take; below the second they are the mean of eight turns."""


@dataclass(frozen=True)
class Lesson:
    """How many photographs the teacher draws, and how, within the time.

    Attributes:
        photographs: to train with.
        self_ensemble: pictures are the mean over eight flips and rotations.
        seconds: that takes.
    """

    photographs: int
    self_ensemble: bool
    seconds: float


def teacher_block(path: str | Path) -> tuple[Network, dict[str, Any], str | None]:
    """The network in a weight file; its `network_g_teacher`, and its `path.pretrain_network_g_teacher`.

    Raises:
        InputError: the file cannot be read or recognised.
    """
    weights = read_weights(path)
    network = network_in(weights).eval()
    if weights.described or weights.converted:
        return network, {"type": type(network).__name__, **plain(network.config)}, str(weights.path)
    return network, {"type": "spandrel", "path": str(weights.path)}, None


def photographs_in(folder: Path) -> list[Path]:
    """The images in a folder, or in the folders in it.

    Raises:
        InputError: they are fewer than `FEWEST`.
    """
    if not folder.is_dir():
        raise InputError(f"--data: {not_there(folder, wanted=Path.is_dir)}")
    found: list[Path] = []
    for place in (folder, *sorted(filter(Path.is_dir, folder.iterdir()))):
        try:
            found += list_images(place)
        except InputError:  # none in there
            continue
        if place == folder:
            break
    if len(found) < FEWEST:
        raise InputError(
            f"--data: {folder} has {len(found)} images, in itself or in its folders; at least {FEWEST} photographs are "
            "needed, and some hundred are better."
        )
    return found


def held_out(photographs: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Those to train with, and those to measure with: evenly spread over the names."""
    count = min(max(len(photographs) // 10, 2), MOST_HELD_OUT)
    kept = {len(photographs) * (2 * at + 1) // (2 * count) for at in range(count)}
    return (
        [path for at, path in enumerate(photographs) if at not in kept],
        [path for at, path in enumerate(photographs) if at in kept],
    )


def evenly(photographs: Sequence[Path], count: int) -> list[Path]:
    """`count` of them, evenly spread."""
    return [photographs[at * len(photographs) // count] for at in range(count)]


def lesson(photographs: int, seconds_each: float, seconds: float) -> Lesson:
    """How the teacher's pictures are made within a share of the time.

    Args:
        photographs: that there are to train with.
        seconds_each: one picture takes.
        seconds: that there are for everything.

    Raises:
        InputError: not even a few pictures can be made.
    """
    whole = photographs * seconds_each
    if 8 * whole <= _FOR_ENSEMBLE * seconds:
        return Lesson(photographs, True, 8 * whole)
    if whole <= _FOR_PICTURES * seconds:
        return Lesson(photographs, False, whole)
    count = int(_FOR_PICTURES * seconds / seconds_each)
    if count < FEWEST_PICTURES:
        least = FEWEST_PICTURES * seconds_each / _FOR_PICTURES / 60
        raise InputError(
            f"--minutes: the teacher takes {seconds_each:.1f} s for the picture of one photograph on this machine, so "
            f"that {seconds / 60:g} minutes are too few. Give at least {least:.0f}, or smaller photographs."
        )
    return Lesson(count, False, count * seconds_each)


def options_of(
    student: Student,
    teacher: tuple[Mapping[str, Any], str | None],
    train: Sequence[Path],
    validation: Sequence[Path],
    out: Path,
    *,
    scale: int,
    gt_size: int,
    self_ensemble: bool,
    precision: str,
    iterations: int,
    device: str,
) -> dict[str, Any]:
    """The option file, as plain values; lists of names and the student's first weights lie in `out`."""
    psnr = {"type": "calculate_psnr", "crop_border": scale, "test_y_channel": student.network.get("num_in_ch") != 1}
    return {
        "name": EXPERIMENT,
        "scale": scale,
        "manual_seed": 0,
        "device": device,
        "datasets": {
            "train": {
                "name": "photographs",
                **_listed(train, out, "train"),
                "gt_size": gt_size,
                "use_hflip": True,
                "use_rot": True,
                "batch_size_per_gpu": BATCH_SIZE,
            },
            "val": {"name": "held_out", **_listed(validation, out, "held_out")},
        },
        "network_g": student.network,
        "network_g_teacher": teacher[0],
        "method": {
            "type": "OutputKD",
            "alpha": 0.5,
            "teacher_cache": {"keep": "outputs", "self_ensemble": self_ensemble},
        },
        "path": {
            "experiments_root": str(out),
            "pretrain_network_g": None if student.width is None else str(first_weights(out)),
            "pretrain_network_g_teacher": teacher[1],
        },
        "train": {
            "ema_decay": 0.999,
            "precision": precision,
            "optim_g": {"type": "Adam", "lr": learning_rate(student.network["num_feat"]), "betas": [0.9, 0.99]},
            "scheduler": {"type": "CosineAnnealingLR", "T_max": iterations, "eta_min": 1e-6},
            "total_iter": iterations,
            "warmup_iter": min(100, iterations // 10),
            "pixel_opt": {"type": "L1Loss"},
        },
        "val": {"val_freq": -(-iterations // 4), "metrics": {"psnr": psnr}},
        "logger": {"print_freq": max(iterations // 40, 1), "save_checkpoint_freq": max(iterations // 10, 1)},
    }


def write_options(path: Path, options: Mapping[str, Any]) -> None:
    """As YAML, with a line that says how it is run."""
    text = f"# Written by srkd compress; srkd train -opt {path} --auto_resume does the same training.\n"
    atomic_write_text(path, text + dump_value(dict(options)))


def first_weights(out: Path) -> Path:
    """Where the weights that are cut from the teacher lie."""
    return out / "first.pth"


def room_for(folder: Path, megabytes: int = 200) -> None:
    """Check that the folder can be made and written to, before the work.

    Raises:
        InputError: it is a file, or the disk is full.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"-o {folder} is a file; the results need a folder.")
    folder.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(folder).free) < megabytes * 2**20:
        raise InputError(f"-o {folder}: only {free / 2**20:.0f} MiB are free on that disk; {megabytes} are needed.")


def _listed(photographs: Sequence[Path], out: Path, name: str) -> dict[str, Any]:
    """The data set's folders, and for each a list of names, written into `out`."""
    roots = list(dict.fromkeys(path.parent for path in photographs))
    files = [out / (f"{name}.txt" if len(roots) == 1 else f"{name}_{root.name}.txt") for root in roots]
    for root, file in zip(roots, files, strict=True):
        atomic_write_text(file, "".join(f"{path.name}\n" for path in photographs if path.parent == root))
    return {
        "type": "PairedImageDataset",
        "dataroot_gt": [str(root) for root in roots],
        "meta_info_file": [str(file) for file in files],
    }
