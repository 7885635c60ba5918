"""The family's table: every method and its control, one student, one schedule, several seeds (×4).

  python scripts/reproduce/family.py --budget try
  OMP_NUM_THREADS=1 nice -n 19 python scripts/reproduce/family.py --budget cpu-evening \
      --craft ../shared/data/weights/craft_x4.pth

Feature methods learn from an EDSR 48×8 that is trained first, output methods from CRAFT through its cached ×8 pictures
(without --craft: from the EDSR). Weights are defaults, not tuned; in the arms `*_acting` the term's gradient on the
student is a tenth of the pixel loss's: the weight for that comes from the log of the default's own training.

The first seed of all arms comes before the second of any. After each seed all that is there is measured and written to
docs/results/family_x4_<budget>/: benchmark.json, comparison.json (each arm with its control), runs.json (what each
training took) and table.md. The same command goes on where it was interrupted. An arm that fails is said at the end,
and the others go on. Arms above 0.3 s of CPU an iteration have one seed.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import torch
import yaml
from steps import ROOT, run, told

from srkd.atomic import atomic_write_text
from srkd.evaluation.arms import Arm as Side
from srkd.evaluation.arms import read_arms
from srkd.evaluation.compare import Comparison, compare
from srkd.evaluation.words import Answer
from srkd.networks.weights import read_weights
from srkd.options import load_train_options
from srkd.provenance import environment

BASE = ROOT / "options/train/base/bsds_x4.yml"
STUDENT = {"type": "EDSR", "num_feat": 16, "num_block": 9, "upscale": 4, "img_range": 1.0, "upsampler": "direct"}
WIDE = {**STUDENT, "num_feat": 64}  # its quarter is the student
EDSR = {"type": "EDSR", "num_feat": 48, "num_block": 8, "upscale": 4, "img_range": 1.0}
CACHE = {"keep": "outputs", "self_ensemble": True}
SLOW = 0.3  # seconds of CPU an iteration
SHARE = 0.1  # of the pixel loss's gradient, where a term acts


@dataclass(frozen=True)
class Arm:
    """One training of the table.

    Attributes:
        method: the block `method:`; STAGE1 in it becomes the first stage's file.
        teacher: `edsr`, `craft`, `both`, or none.
        start: the training whose network it starts from.
        control: what it is compared with.
        acting: the arm whose log says the weight of this one, and the name of the term and of its weight.
        blocks: further blocks of the option file.
    """

    method: dict[str, Any]
    teacher: str | None = None
    start: str | None = None
    control: str = "scratch"
    acting: tuple[str, str, str] | None = None
    network: dict[str, Any] = field(default_factory=lambda: STUDENT)
    blocks: dict[str, Any] = field(default_factory=dict[str, Any])


STAGE1 = "<stage1>"
FIRST: dict[str, Arm] = {  # trained once, with seed 0
    "edsr": Arm({"type": "Supervised"}, network=EDSR),
    "wide": Arm({"type": "Supervised"}, network=WIDE),
    "first_stage": Arm({"type": "PISRTeacher"}),
}
FEATURES = ("FitNet", "AT", "NST", "FSP", "PKT", "RKD", "IRG", "SP", "VID", "CRD", "LSFD", "SRKD", "FAKD", "CrossKD")
CSD = {"type": "CSD", "widths": [0.25], "num_negatives": 4, "contrast_weight": 0.1}
PISR = {"type": "PISR", "stage1": STAGE1}
ARMS: dict[str, Arm] = {
    "scratch": Arm({"type": "Supervised"}),
    "fourier": Arm({"type": "Supervised"}, blocks={"train": {"pixel_opt": {"type": "FrequencyLoss"}}}),
    "haar": Arm(
        {"type": "Supervised"}, blocks={"train": {"pixel_opt": {"type": "FrequencyLoss", "transform": "haar"}}}
    ),
    "mean_teacher": Arm({"type": "EMATeacher"}),
    "mutual": Arm({"type": "MutualLearning"}),
    "byot": Arm({"type": "BYOT"}),
    "slimmable": Arm({"type": "Supervised", "widths": [1.0, 0.5, 0.25]}),
    "us_nets": Arm({"type": "USNets", "least": 0.25}, control="slimmable"),
    "output_kd": Arm({"type": "OutputKD", "teacher_cache": CACHE}, "craft"),
    "masked_kd": Arm({"type": "MaskedKD", "teacher_cache": CACHE}, "craft"),
    "adaptive_kd": Arm({"type": "AdaptiveKD", "teacher_cache": CACHE}, "both"),
    "output_kd_edsr": Arm({"type": "OutputKD", "teacher_cache": CACHE}, "edsr"),
    **{name.lower(): Arm({"type": name}, "edsr") for name in FEATURES},
    "srkd_acting": Arm({"type": "SRKD"}, "edsr", acting=("srkd", "l_stat", "feature_weight")),
    "decoder": Arm({"type": "Supervised"}, start="first_stage"),
    "pisr": Arm(PISR, start="first_stage", control="decoder"),
    "pisr_acting": Arm(PISR, start="first_stage", control="decoder", acting=("pisr", "l_vid", "information_weight")),
    "slice": Arm({"type": "Supervised", "widths": [0.25]}, start="wide", network=WIDE),
    "csd": Arm(
        {**CSD, "perceptual": {"type": "network", "taps": ["body.0"]}}, start="wide", control="slice", network=WIDE
    ),
    "fakd_widths": Arm({"type": "FAKD", "widths": [1.0, 0.5, 0.25]}, "edsr", control="slimmable"),
    "dukd": Arm({"type": "DUKD"}, "edsr", control="output_kd_edsr"),
}
EXTRA: dict[str, Arm] = {  # only where --arms names them: CRAFT runs live, 3 s an iteration
    "fakd_widths_craft": Arm({"type": "FAKD", "widths": [1.0, 0.5, 0.25]}, "craft", control="slimmable"),
}
EVERY = {**FIRST, **ARMS, **EXTRA}


@dataclass(frozen=True)
class Budget:
    """Iterations of what is trained first and of each arm, and the side of the HR patches."""

    first: int
    arms: int
    patch: int = 96


BUDGETS = {
    "try": Budget(first=10, arms=10, patch=48),
    "cpu-minutes": Budget(first=1_000, arms=300),
    "cpu-tiny": Budget(first=2_000, arms=1_000),
    "cpu-evening": Budget(first=3_000, arms=2_000),
    "cpu-night": Budget(first=6_000, arms=5_000),
    "gpu-hour": Budget(first=10_000, arms=5_000, patch=192),  # estimated for an H100 with --jobs 3; not run
}


class Table:
    """The trainings of one budget, and their files."""

    def __init__(self, name: str, budget: Budget, craft: Path | None) -> None:
        self.budget, self.craft = budget, craft
        self.processes: set[subprocess.Popen[bytes]] = set()
        self.root, self.out = Path("experiments") / name, Path("docs/results") / name

    def network(self, run_name: str) -> Path:
        return self.root / run_name / "models/net_g_latest.pth"

    def iterations(self, run_name: str) -> int:
        return self.budget.first if run_name in FIRST else self.budget.arms

    def finished(self, run_name: str) -> bool:
        file = self.network(run_name)
        return file.exists() and (read_weights(file).meta.get("iter") or 0) >= self.iterations(run_name)

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
            except (subprocess.CalledProcessError, ValueError) as error:
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
        arm, iterations = EVERY[name], self.iterations(run_name)
        method = dict(arm.method)
        if "stage1" in method:
            method["stage1"] = str(self.network("first_stage"))
        if arm.acting:
            method[arm.acting[2]] = self.acting_weight(*arm.acting)
        teacher: dict[str, Any] = {}
        path: dict[str, Any] = {"experiments_root": self.root.as_posix()}
        if arm.start:
            path["pretrain_network_g"] = str(self.network(arm.start))
        craft = {"type": "spandrel", "path": str(self.craft)}
        if arm.teacher == "both" and self.craft:
            teacher = {"network_g_teachers": {"craft": craft, "edsr": EDSR}}
            path["pretrain_network_g_teachers"] = {"edsr": str(self.network("edsr"))}
        elif arm.teacher == "craft" and self.craft:
            teacher = {"network_g_teacher": craft}
        elif arm.teacher:
            teacher = {"network_g_teacher": EDSR}
            path["pretrain_network_g_teacher"] = str(self.network("edsr"))
        train = {"total_iter": iterations, "scheduler": {"T_max": iterations}, **arm.blocks.get("train", {})}
        content = {
            "include": str(BASE.resolve()),
            "name": run_name,
            "manual_seed": seed,
            "path": path,
            "datasets": {"train": {"gt_size": self.budget.patch}},
            "network_g": arm.network,
            **teacher,
            "method": method,
            "train": train,
            "val": {"val_freq": max(iterations // 5, 1)},
        }
        file = self.root / "options" / f"{run_name}.yml"
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
        options = load_train_options(self.root / "options" / f"{arm}_seed0.yml").method.args
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

    def slow(self, run_name: str) -> bool:
        """Whether an arm's first training took so long that there is no second."""
        return self.finished(run_name) and self.cost(run_name)["cpu_ms"] > 1000 * SLOW

    def measure(self, arms: Mapping[str, Sequence[str]], sets: Sequence[str], command: str) -> None:
        """Measure all runs that are finished, and write the tables."""
        done = {name: [r for r in runs if self.finished(r)] for name, runs in arms.items()}
        done = {name: runs for name, runs in done.items() if runs}
        runs = [run_name for every in done.values() for run_name in every]
        first = [name for name in FIRST if self.finished(name)]
        result = self.out / "benchmark.json"
        networks = [self.network(name) for name in [*(n for n in first if n == "edsr"), *runs]]
        run("benchmark", *networks, "--sets", *sets, "--no-teacher", "-o", result, "-q")
        specs = [f"{name}={result}:{name}" for name in first if name == "edsr"]
        specs += [f"{name}={result}:{name}_seed*" for name in done]
        sides = {(side.name, side.width): side for side in read_arms(specs)}
        pairs = [(other, side) for side in sides.values() if (other := _control(side, sides)) is not None]
        found = compare(pairs, "psnr", sets=sets) if pairs else []
        if found:
            side_file = pairs[0][0].runs[0].file
            Answer(found, str(side_file.protocol["description"])).write(self.out / "comparison.json")
        record = {
            "command": command,
            "budget": asdict(self.budget),
            "environment": environment("cuda" if torch.cuda.is_available() else "cpu"),
            "teachers": {"features": "edsr", "outputs": "craft" if self.craft else "edsr"},
            "methods": {name: load_train_options(self._options(each[0])).method.args for name, each in done.items()},
            "arms": done,
            "gradients": {name: self.gradients(each[0]) for name, each in done.items()},
            "trainings": {run_name: self.cost(run_name) for run_name in [*first, *runs]},
        }
        atomic_write_text(self.out / "runs.json", json.dumps(record, indent=1) + "\n")
        atomic_write_text(self.out / "table.md", table(list(sides.values()), found, record, sets))

    def _options(self, run_name: str) -> Path:
        return self.root / "options" / f"{run_name}.yml"


def _control(side: Side, sides: Mapping[tuple[str, float], Side]) -> Side | None:
    """What an arm is compared with, at its width; a quarter of the wide network is the student."""
    arm = EVERY.get(side.name)
    if arm is None or side.name in FIRST or side.name == arm.control:
        return None
    return sides.get((arm.control, 1.0 if arm.network is WIDE and arm.control == "scratch" else side.width))


def table(sides: Sequence[Side], found: Sequence[Comparison], record: Mapping[str, Any], sets: Sequence[str]) -> str:
    """The table as Markdown: a row an arm and width."""
    head = ["arm", "control", "seeds", *sets, *(f"{name}: arm − control (95 %)" for name in sets)]
    lines = [[*head, "gradient / pixel loss's", "CPU ms an iteration", "MiB"]]
    for side in sides:
        cells = [side.label, "", str(len(side.runs))]
        for name in sets:
            values = [
                row.metrics["psnr"] for each in side.runs for (where, _), row in each.rows.items() if where == name
            ]
            cells.append(f"{statistics.fmean(values):.3f}" if values else "")
        for name in sets:
            item = next((c for c in found if (c.arm, c.set) == (side.label, name)), None)
            cells[1] = item.baseline if item else cells[1]
            cells.append(_interval(item))
        trainings = [
            cost for run_name, cost in record["trainings"].items() if run_name.rpartition("_seed")[0] == side.name
        ]
        trainings = trainings or [record["trainings"][name] for name in [side.name] if name in record["trainings"]]
        shares = record["gradients"].get(side.name, {})
        cells.append(", ".join(f"{name} {value:.2g}" for name, value in shares.items()))
        for key in ("cpu_ms", "mib"):
            cells.append(f"{statistics.fmean(cost[key] for cost in trainings):.0f}" if trainings else "")
        lines.append(cells)
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _interval(item: Comparison | None) -> str:
    """A difference with its interval; without one where there is one seed a side."""
    if item is None or item.difference is None:
        return ""
    low, high = item.difference.crossed or (item.difference.low, item.difference.high)
    interval = f" ({low:+.3f} … {high:+.3f}; {item.verdict})" if low is not None and high is not None else ""
    return f"{item.difference.mean:+.3f}{interval}"


def _end(number: int, frame: object) -> NoReturn:
    del frame
    raise SystemExit(128 + number)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", choices=BUDGETS, default="cpu-tiny")
    parser.add_argument("--seeds", default="0,1,2", help="the first is measured for all arms before the next begins")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time (default: %(default)s)")
    parser.add_argument("--arms", nargs="+", metavar="NAME", help=f"only these, and their controls; also {[*EXTRA]}")
    parser.add_argument("--sets", nargs="+", default=["Set5", "Urban100"])
    parser.add_argument("--craft", type=Path, metavar="FILE", help="weights of CRAFT ×4, the output methods' teacher")
    args = parser.parse_args()
    named = args.arms or [*ARMS]
    if wrong := [name for name in named if name not in {**ARMS, **EXTRA}]:
        parser.error(f"--arms: unknown: {', '.join(wrong)}; there are {', '.join([*ARMS, *EXTRA])}.")
    signal.signal(signal.SIGTERM, _end)
    chosen = [name for name in {**ARMS, **EXTRA} if name in _with_controls(named)]
    this = Table(f"family_x4_{args.budget}", BUDGETS[args.budget], args.craft)
    seeds = [int(seed) for seed in args.seeds.split(",")]
    arms = {name: [f"{name}_seed{seed}" for seed in seeds] for name in chosen}
    needed = [name for name in FIRST if any(name in _needs(EVERY[other], this.craft) for other in chosen)]
    if failed := this.train_all([(name, None) for name in needed], args.jobs):
        raise SystemExit(f"failed: {failed}")
    cached = {EVERY[name].teacher: name for name in chosen if "teacher_cache" in EVERY[name].method}
    for name in cached.values():  # once for all that look at them
        run("data", "render-teacher", "-opt", this.option_file(name, arms[name][0], seeds[0]))
    for seed in seeds:
        todo = [name for name in chosen if name not in failed and (seed == seeds[0] or not this.slow(arms[name][0]))]
        for acting in (False, True):  # these take their weight from the others' logs
            runs = [(name, seed) for name in todo if bool(EVERY[name].acting) == acting]
            failed |= this.train_all(runs, args.jobs)
        this.measure(arms, args.sets, shlex.join(["python", *sys.argv]))
    sys.stdout.write(f"Written: {this.out}/table.md\n")
    if failed:
        raise SystemExit("failed: " + "; ".join(f"{name}: {error}" for name, error in failed.items()))


def _with_controls(names: Sequence[str]) -> set[str]:
    """The arms, and what they are compared with or take a weight from."""
    found = {*names, "scratch"}
    for name in names:
        arm = EVERY[name]
        found |= {arm.control, *([arm.acting[0]] if arm.acting else [])}
    return found


def _needs(arm: Arm, craft: Path | None) -> set[str]:
    """What has to be trained before an arm."""
    teacher = "edsr" if arm.teacher in ("edsr", "both") or (arm.teacher and craft is None) else ""
    return {teacher, arm.start or ""}


if __name__ == "__main__":
    main()
