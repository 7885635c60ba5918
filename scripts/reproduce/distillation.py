"""The distillation table: every method and its controls, one student, one schedule, several seeds.

  python scripts/reproduce/distillation.py --scale 4 --budget cpu-tiny
  python scripts/reproduce/distillation.py --scale 4 --budget gpu-10min --jobs 3 --sets Set5

Teacher and PISR's first stage are trained once, then every arm with every seed (`srkd sweep`), from the option files
named *_bsds*.yml; the budget sets schedule and patch (and, on a GPU, the size of EDSR-baseline). Everything goes on
where it was interrupted when the same command is given again. Results go to docs/results/<table>_<budget>/: the
benchmark with and without self-ensemble, and runs.json: schedules, machine, and what each training took.
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

OPTIONS = ROOT / "options/train"
TEACHER = "Supervised/supervised_edsr48x8"
FIRST_STAGE = "PISRTeacher/pisrteacher_edsr12x8"
ARMS = (  # the first is what the others are compared with
    "Supervised/scratch_edsr12x8",
    "Supervised/slice_edsr48x8 _w025",
    "OutputKD/output_kd_edsr12x8",
    "SRKD/srkd_edsr12x8",
    "FAKD/fakd_edsr12x8",
    "Supervised/decoder_edsr12x8",
    "PISR/pisr_edsr12x8",
    "Supervised/slimmable_edsr48x8",
    "CSD/csd_edsr48x8 _w025",
)
WIDE = 48  # channels of the teacher in the option files; students have a quarter
CRAFT = "OutputKD/output_kd_craft_edsr12x8"  # ×4 only: there is one such teacher


@dataclass(frozen=True)
class Budget:
    """A schedule: iterations of the teacher and of every arm, the side of HR patches by scale, channels and blocks."""

    teacher: int
    arms: int
    patch: dict[int, int]
    num_feat: int = 48
    num_block: int = 8


# No GPU has been at hand: the names of the last three are estimates for an H100, from 29 runs of 12 s to start, 3 at a
# time, and iterations of 2 to 3 ms (CSD, whose VGG is exact: 45 ms), with --jobs 3 --sets Set5.
BUDGETS = {
    "try": Budget(teacher=20, arms=10, patch={2: 48, 4: 48}),  # only shows that everything runs
    "cpu-minutes": Budget(teacher=2_000, arms=500, patch={2: 48, 4: 96}),
    "cpu-tiny": Budget(teacher=2_000, arms=1_500, patch={2: 48, 4: 96}),
    "cpu-evening": Budget(teacher=6_000, arms=5_000, patch={2: 48, 4: 96}),
    "cpu-night": Budget(teacher=10_000, arms=5_000, patch={2: 64, 4: 128}),
    "gpu-10min": Budget(teacher=2_000, arms=1_000, patch={2: 96, 4: 192}, num_feat=64, num_block=16),
    "gpu-half-hour": Budget(teacher=10_000, arms=5_000, patch={2: 96, 4: 192}, num_feat=64, num_block=16),
    "gpu-hours": Budget(teacher=100_000, arms=50_000, patch={2: 96, 4: 192}, num_feat=64, num_block=16),
}


def option_file(stem: str, scale: int, budget: Budget, root: Path, iterations: int) -> Path:
    """A file in `root` that includes the repository's: paths into `root`, schedule and size of the budget."""
    name, _, suffix = stem.partition(" ")
    source = OPTIONS / f"{name}_x{scale}_bsds{suffix}.yml"
    options = load_train_options(source)

    def moved(path: str) -> str:
        return path.replace("experiments/", f"{root.as_posix()}/", 1)

    starts = ("pretrain_network_g", "pretrain_network_g_teacher")
    paths = {key: moved(value) for key in starts if (value := getattr(options.path, key))}
    content: dict[str, Any] = {
        "include": str(source.resolve()),
        "path": {"experiments_root": root.as_posix(), **paths},
        "datasets": {"train": {"gt_size": budget.patch[scale]}},
        "train": {"total_iter": iterations, "scheduler": {"T_max": iterations}},
        "val": {"val_freq": iterations},
    }
    if "stage1" in options.method.args:
        content["method"] = {"stage1": moved(options.method.args["stage1"])}
    if budget.num_feat != WIDE:
        for block, network in (("network_g", options.network_g), ("network_g_teacher", options.network_g_teacher)):
            if network is not None and network.type == "EDSR":
                part = WIDE // network.args["num_feat"]
                content[block] = {"num_feat": budget.num_feat // part, "num_block": budget.num_block}
    file = root / "options" / source.name
    file.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(file, yaml.safe_dump(content, sort_keys=False))
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, choices=(2, 4), default=4)
    parser.add_argument("--budget", choices=BUDGETS, default="cpu-tiny")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time (default: %(default)s)")
    parser.add_argument("--arms", nargs="+", metavar="NAME", help="only those whose names begin so (default: all)")
    parser.add_argument("--sets", nargs="+", default=["Set5", "Urban100"])
    parser.add_argument(
        "--ensemble-sets", nargs="+", help="sets for self-ensemble (default: all; eight times the time)"
    )
    parser.add_argument("--craft", metavar="SEEDS", help="also the arm that CRAFT teaches, with these seeds (×4; slow)")
    args = parser.parse_args()
    budget = BUDGETS[args.budget]
    table = f"distillation_x{args.scale}_{args.budget}"
    root, out = Path("experiments") / table, Path("docs/results") / table

    chosen = [arm for arm in ARMS if Path(arm).name.startswith(tuple(args.arms or [""]))]
    if not chosen:
        parser.error(f"--arms: none begins with {' or '.join(args.arms)}; there are {', '.join(ARMS)}.")
    first_stage = (FIRST_STAGE,) if any(Path(arm).name.startswith(("decoder", "pisr")) for arm in chosen) else ()

    given: dict[str, Path] = {}
    for stem in (TEACHER, *first_stage):
        iterations = budget.teacher if stem == TEACHER else budget.arms
        file = option_file(stem, args.scale, budget, root, iterations)
        network = root / load_train_options(file).name / "models/net_g_latest.pth"
        given[stem] = network
        train(file, network, iterations)
    arms: dict[str, list[str]] = {}  # by name: the names of the runs
    for stems, seeds in ((chosen, args.seeds), ((CRAFT,), args.craft)):
        if seeds:
            files = [option_file(stem, args.scale, budget, root, budget.arms) for stem in stems]
            name = f"{table}_{len(files)}_arms"
            run("sweep", "-opt", *files, "--seeds", seeds, "--jobs", args.jobs, "--name", name, "--sets", args.sets[0])
            names = [load_train_options(file).name for file in files]
            arms |= {arm: [f"{arm}_seed{seed}" for seed in seeds.split(",")] for arm in names}
    folders = {run: root / run for runs in arms.values() for run in runs}
    networks = [given[TEACHER], *(folder / "models/net_g_latest.pth" for folder in folders.values())]
    run("benchmark", *networks, "--sets", *args.sets, "-o", out / "benchmark.json")
    sets = args.ensemble_sets or args.sets
    run("benchmark", *networks, "--sets", *sets, "--self-ensemble", "-o", out / "self_ensemble.json")
    trained = {folder.name: cost(folder) for folder in (network.parents[1] for network in given.values())}
    record = {
        "command": shlex.join(["python", *sys.argv]),
        "budget": {"name": args.budget, **asdict(budget)},
        "environment": environment("cuda" if torch.cuda.is_available() else "cpu"),
        "teacher": given[TEACHER].parents[1].name,
        "arms": arms,
        "trainings": {**trained, **{name: cost(folder) for name, folder in folders.items()}},
    }
    atomic_write_text(out / "runs.json", json.dumps(record, indent=1) + "\n")
    sys.stdout.write(f"Written: {out}. Then: python scripts/make_table.py\n")


if __name__ == "__main__":
    main()
