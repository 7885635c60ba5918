"""The family's table: every method and its control, one student, one schedule, several seeds (×4).

  python scripts/reproduce/family.py --budget try
  python scripts/reproduce/family.py --budget cpu-evening --craft ../shared/data/weights/craft_x4.pth

Feature methods learn from an EDSR 48×8 that is trained first, output methods from CRAFT through its cached ×8 pictures
(without --craft: from the EDSR). Everything goes on where it was interrupted when the same command is given again.
Results go to docs/results/family_x4_<budget>/: the benchmark, the comparison with the control, seed by seed, and
runs.json: what each training took. Weights are defaults, not tuned; `*_acting` arms have one at which the term acts.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from steps import ROOT, cost, run, train

from srkd.atomic import atomic_write_text
from srkd.options import load_train_options
from srkd.provenance import environment

OPTIONS = ROOT / "options/train/Supervised"
STUDENT, TEACHER = OPTIONS / "scratch_edsr12x8_x4_bsds.yml", OPTIONS / "supervised_edsr48x8_x4_bsds.yml"
CACHE = {"keep": "outputs", "self_ensemble": True}

ALONE: dict[str, dict[str, Any]] = {
    "scratch": {"type": "Supervised"},  # the control
    "mean_teacher": {"type": "EMATeacher"},
    "mutual": {"type": "MutualLearning"},
    "slimmable": {"type": "Supervised", "widths": [1.0, 0.5]},
    "us_nets": {"type": "USNets", "least": 0.5},
}
FEATURES: dict[str, dict[str, Any]] = {
    **{
        name.lower(): {"type": name} for name in ("FitNet", "AT", "NST", "FSP", "PKT", "RKD", "IRG", "SP", "VID", "CRD")
    },
    "lsfd": {"type": "LSFD"},
    "srkd": {"type": "SRKD"},
    "srkd_acting": {"type": "SRKD", "feature_weight": 100.0},
    "fakd": {"type": "FAKD"},
    "cross_kd": {"type": "CrossKD", "feature_weight": 0.5},
}
OUTPUTS: dict[str, dict[str, Any]] = {
    "output_kd": {"type": "OutputKD", "teacher_cache": CACHE},
    "masked_kd": {"type": "MaskedKD", "teacher_cache": CACHE},
    "dukd": {"type": "DUKD"},
}


@dataclass(frozen=True)
class Budget:
    """Iterations of the teacher and of each arm, and the side of the HR patches."""

    teacher: int
    arms: int
    patch: int = 96


BUDGETS = {
    "try": Budget(teacher=20, arms=10, patch=48),
    "cpu-minutes": Budget(teacher=2_000, arms=500),
    "cpu-tiny": Budget(teacher=2_000, arms=2_000),
    "cpu-evening": Budget(teacher=6_000, arms=5_000),
    "gpu-10min": Budget(teacher=10_000, arms=5_000, patch=192),
}


def option_file(name: str, source: Path, root: Path, iterations: int, patch: int, **blocks: Any) -> Path:
    """A file in `root` that includes the repository's `source`, with the budget's schedule and other `blocks`."""
    paths = {"experiments_root": root.as_posix(), **blocks.pop("path", {})}
    content = {
        "include": str(source.resolve()),
        "name": name,
        "path": paths,
        "datasets": {"train": {"gt_size": patch}},
        "train": {"total_iter": iterations, "scheduler": {"T_max": iterations}},
        "val": {"val_freq": iterations},
        **blocks,
    }
    file = root / "options" / f"{name}.yml"
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(file, yaml.safe_dump(content, sort_keys=False))
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", choices=BUDGETS, default="cpu-tiny")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time (default: %(default)s)")
    parser.add_argument("--arms", nargs="+", metavar="NAME", help="only these, and the control (default: all)")
    parser.add_argument("--sets", nargs="+", default=["Set5", "Urban100"])
    parser.add_argument("--craft", type=Path, metavar="FILE", help="weights of CRAFT ×4, the output methods' teacher")
    args = parser.parse_args()
    methods = {**ALONE, **FEATURES, **OUTPUTS}
    if wrong := [name for name in args.arms or () if name not in methods]:
        parser.error(f"--arms: unknown: {', '.join(wrong)}; there are {', '.join(methods)}.")
    chosen = ["scratch", *(name for name in args.arms or methods if name != "scratch")]
    budget, table = BUDGETS[args.budget], f"family_x4_{args.budget}"
    root, out = Path("experiments") / table, Path("docs/results") / table

    teacher_file = option_file("teacher", TEACHER, root, budget.teacher, budget.patch)
    teacher = root / "teacher/models/net_g_latest.pth"
    train(teacher_file, teacher, budget.teacher)
    network = load_train_options(teacher_file).network_g
    edsr = {
        "network_g_teacher": {"type": network.type, **network.args},
        "path": {"pretrain_network_g_teacher": teacher.as_posix()},
    }
    craft = {"network_g_teacher": {"type": "spandrel", "path": str(args.craft)}} if args.craft else edsr
    wired: dict[str, dict[str, Any]] = {
        name: {} if name in ALONE else craft if name in OUTPUTS else edsr for name in chosen
    }
    files = [
        option_file(name, STUDENT, root, budget.arms, budget.patch, method=methods[name], **wired[name])
        for name in chosen
    ]
    run("sweep", "-opt", *files, "--seeds", args.seeds, "--jobs", args.jobs, "--name", table, "--sets", args.sets[0])
    arms = {name: [f"{name}_seed{seed}" for seed in args.seeds.split(",")] for name in chosen}
    folders = {run_name: root / run_name for runs in arms.values() for run_name in runs}
    networks = [teacher, *(folder / "models/net_g_latest.pth" for folder in folders.values())]
    run("benchmark", *networks, "--sets", *args.sets, "--widths", "1.0", "-o", out / "benchmark.json")
    record = {
        "command": shlex.join(["python", *sys.argv]),
        "budget": {"name": args.budget, **asdict(budget)},
        "environment": environment("cuda" if torch.cuda.is_available() else "cpu"),
        "teachers": {"features": "teacher", "outputs": "craft" if args.craft else "teacher"},
        "methods": {name: methods[name] for name in chosen},
        "arms": arms,
        "trainings": {"teacher": cost(root / "teacher"), **{name: cost(folder) for name, folder in folders.items()}},
    }
    atomic_write_text(out / "runs.json", json.dumps(record, indent=1) + "\n")
    result = out / "benchmark.json"
    for name in chosen[1:]:
        run("compare", f"scratch={result}:scratch_*", f"{name}={result}:{name}_seed*", "--sets", *args.sets)


if __name__ == "__main__":
    main()
