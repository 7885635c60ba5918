"""The arms of a table and their trainings, which go on where they were interrupted."""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from steps import told

from srkd.atomic import atomic_write_text
from srkd.networks.slim import narrow
from srkd.networks.weights import load_network, read_weights, save_network
from srkd.options import load_train_options

STUDENT = {"type": "EDSR", "num_feat": 16, "num_block": 9, "upscale": 4, "img_range": 1.0, "upsampler": "direct"}
WIDE = {**STUDENT, "num_feat": 64}  # its quarter is the student
CRAFT = "craft"  # the teacher that comes as a file
STAGE1 = "<stage1>"
CSD = {
    **{"type": "CSD", "widths": [0.25], "num_negatives": 4, "contrast_weight": 0.1},
    "perceptual": {"type": "network", "taps": ["body.0"]},
}
PISR = {"type": "PISR", "stage1": STAGE1}
SHARE = 0.1  # of the pixel loss's gradient, where a term acts


@dataclass(frozen=True)
class Arm:
    """One training of the table.

    Attributes:
        method: the block `method:`; STAGE1 in it becomes the file of the training `first_stage`.
        teachers: trainings that come first, or CRAFT.
        start: the training whose network it starts from; `wide@0.25` is a slice of it, as a network of its own.
        control: what it is compared with.
        acting: the arm whose log says the weight of this one, and the name of the term and of its weight.
        network: the block `network_g:`.
        length: its iterations, by their name in the budget.
        train: further keys of the block `train:`.
        data: further keys of `datasets.train`.
    """

    method: dict[str, Any]
    teachers: tuple[str, ...] = ()
    start: str | None = None
    control: str = "scratch"
    acting: tuple[str, str, str] | None = None
    network: dict[str, Any] = field(default_factory=lambda: STUDENT)
    length: str = "arms"
    train: dict[str, Any] = field(default_factory=dict[str, Any])
    data: dict[str, Any] = field(default_factory=dict[str, Any])

    def first(self) -> set[str]:
        """The trainings that come before it."""
        return {*self.teachers, *([self.start.partition("@")[0]] if self.start else [])} - {CRAFT}


@dataclass(frozen=True)
class Budget:
    """Iterations by name, the side of the HR patches, and iterations between validations (none: five a training)."""

    iterations: Mapping[str, int]
    patch: int = 96
    val_freq: int | None = None


class Trainings:
    """The trainings of one budget, and their files.

    Args:
        name: of the folders in experiments/ and docs/results/.
        budget: how long.
        first: what is trained once, with seed 0.
        arms: the rows, by name.
        base: the option file that all of them include.
        craft: weights of the teacher CRAFT.
    """

    def __init__(
        self,
        name: str,
        budget: Budget,
        first: Mapping[str, Arm],
        arms: Mapping[str, Arm],
        *,
        base: Path,
        craft: Path | None = None,
    ) -> None:
        self.budget, self.first, self.arms, self.base, self.craft = budget, first, arms, base, craft
        self.every = {**first, **arms}
        self.processes: set[subprocess.Popen[bytes]] = set()
        self.root, self.out = Path("experiments") / name, Path("docs/results") / name

    def network(self, run_name: str) -> Path:
        return self.root / run_name / "models/net_g_latest.pth"

    def options(self, run_name: str) -> Path:
        return self.root / "options" / f"{run_name}.yml"

    def iterations(self, run_name: str) -> int:
        return self.budget.iterations[self.every[run_name.partition("_seed")[0]].length]

    def finished(self, run_name: str) -> bool:
        file = self.network(run_name)
        return file.exists() and (read_weights(file).meta.get("iter") or 0) >= self.iterations(run_name)

    def width(self, name: str) -> float:
        """The width at which an arm's network is the student."""
        return STUDENT["num_feat"] / self.every[name].network["num_feat"]

    def start(self, start: str) -> Path:
        """The network file that `Arm.start` names; a slice is made where it is not there yet."""
        name, _, width = start.partition("@")
        if not width:
            return self.network(name)
        file = self.root / f"{name}_at_{width}.pth"
        if not file.exists() and self.network(name).exists():
            save_network(file, narrow(load_network(self.network(name)), float(width)), method=f"slice of {name}")
        return file

    def train(self, name: str, seed: int | None = None) -> None:
        """Train an arm, or what is left of it; what that takes is put down beside its folder.

        Raises:
            subprocess.CalledProcessError: the training failed, or was interrupted.
        """
        run_name = name if seed is None else f"{name}_seed{seed}"
        if self.finished(run_name):
            return
        options = self.option_file(name, run_name, seed or 0)
        before = read_weights(file).meta["iter"] if (file := self.network(run_name)).exists() else 0
        words = ["train", "-opt", str(options), "--auto_resume", "-q"]
        sys.stdout.write(f"$ srkd {shlex.join(words)}\n")
        sys.stdout.flush()
        process = subprocess.Popen([sys.executable, "-m", "srkd", *words])
        self.processes.add(process)
        _, status, usage = os.wait4(process.pid, 0)
        self.processes.discard(process)
        after = read_weights(file).meta["iter"] if file.exists() else 0
        pieces = [*self.pieces(run_name), [after - before, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]]
        atomic_write_text(self.root / f"{run_name}.cost.json", json.dumps(pieces) + "\n")
        if status:
            raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), words)

    def train_all(self, runs: Sequence[tuple[str, int | None]], jobs: int) -> dict[str, object]:
        """Train several arms, some at a time; returns those that failed, with the reason.

        Interrupted, it ends what runs, which saves its state.
        """
        failed: dict[str, object] = {}

        def one(name: str, seed: int | None) -> None:
            try:
                self.train(name, seed)
            except (subprocess.CalledProcessError, ValueError, LookupError, OSError) as error:
                failed[name] = error

        with ThreadPoolExecutor(jobs) as pool:
            try:
                for future in [pool.submit(one, *each) for each in runs]:
                    future.result()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in [*self.processes]:
                    process.terminate()
                raise
        return failed

    def option_file(self, name: str, run_name: str, seed: int) -> Path:
        """An option file of its own for a run."""
        arm, iterations = self.every[name], self.iterations(run_name)
        method = dict(arm.method)
        if "stage1" in method:
            method["stage1"] = str(self.network("first_stage"))
        if arm.acting:
            method[arm.acting[2]] = self.acting_weight(*arm.acting)
        path: dict[str, Any] = {"experiments_root": self.root.as_posix()}
        if arm.start:
            path["pretrain_network_g"] = str(self.start(arm.start))
        craft = {"type": "spandrel", "path": str(self.craft)}
        networks = {each: craft if each == CRAFT else self.every[each].network for each in arm.teachers}
        files = {each: str(self.network(each)) for each in arm.teachers if each != CRAFT}
        several = len(networks) > 1
        content = {
            "include": str(self.base.resolve()),
            "name": run_name,
            "manual_seed": seed,
            "path": path,
            "datasets": {"train": {"gt_size": self.budget.patch, **arm.data}},
            "network_g": arm.network,
            "method": method,
            "train": {"precision": "bf16", "total_iter": iterations, "scheduler": {"T_max": iterations}, **arm.train},
            "val": {"val_freq": min(self.budget.val_freq or max(iterations // 5, 1), iterations)},
        }
        if networks:
            content["network_g_teachers" if several else "network_g_teacher"] = (
                networks if several else networks[arm.teachers[0]]
            )
        if files:
            path[f"pretrain_network_g_teacher{'s' if several else ''}"] = files if several else files[arm.teachers[0]]
        file = self.options(run_name)
        file.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(file, yaml.safe_dump(content, sort_keys=False))
        return file

    def gradients(self, run_name: str) -> dict[str, float]:
        """The median over a training's looks of each term's gradient on the student, over that of the pixel loss."""
        looks = [line for line in told(self.root / run_name, "gradients") if line["iter"]]
        names = [name for name in looks[0] if name not in ("kind", "iter") and not name.startswith("l_pix")]

        def reference(look: Mapping[str, float], name: str) -> float:
            return look.get(name.replace(name.partition("@")[0], "l_pix")) or look.get("l_pix@1") or look["l_pix"]

        return {
            name: statistics.median(look[name] / reference(look, name) for look in looks if name in look)
            for name in names
        }

    def acting_weight(self, arm: str, term: str, option: str) -> float:
        """The weight at which a term's gradient is `SHARE` of the pixel loss's, from the log of seed 0."""
        options = load_train_options(self.options(f"{arm}_seed0")).method.args
        return float(f"{options[option] * SHARE / self.gradients(f'{arm}_seed0')[term]:.2g}")

    def pieces(self, run_name: str) -> list[list[float]]:
        """Of a training in one or several pieces: [iterations, seconds of CPU, MiB] each."""
        file = self.root / f"{run_name}.cost.json"
        return json.loads(file.read_text()) if file.exists() else []

    def cost(self, run_name: str) -> dict[str, float]:
        """What a training took: CPU is the whole process, seconds the median of an iteration by the clock."""
        pieces = self.pieces(run_name)
        seconds = statistics.median(line["seconds"] for line in told(self.root / run_name, "train"))
        cpu = sum(piece[1] for piece in pieces)
        return {
            "iterations": self.iterations(run_name),
            "seconds": seconds,
            "cpu_seconds": cpu,
            "cpu_ms": 1000 * cpu / max(sum(piece[0] for piece in pieces), 1),
            "mib": max((piece[2] for piece in pieces), default=0.0),
        }

    def slow(self, run_name: str, most: float) -> bool:
        """Whether an arm's first training took more than so many seconds of CPU an iteration."""
        return self.finished(run_name) and self.cost(run_name)["cpu_ms"] > 1000 * most
