"""Train with every option file, value and seed; then measure, report and compare all networks.

  srkd sweep -opt my.yml --seeds 0,1,2 --grid train.optim_g.lr=1e-4,2e-4 --sets Set5 Urban100
  srkd sweep -opt scratch.yml csd.yml --seeds 0,1,2 --sets Urban100 train.total_iter=50000
  srkd sweep -opt my.yml --grid 'method={type: Supervised},{type: CSD, widths: [0.5]}' --jobs 2 --sets Set5
  srkd sweep … --slurm jobs.sh          writes a job array; when its jobs are done, the same without --slurm measures

Runs are called NAME_KEY-VALUE_seedN and lie in experiments/. The rest is in results/SWEEP/: logs/, benchmark.json and
its tables, report.html, comparison.md. The first file with the first values is the baseline. After an interruption
the same command goes on and leaves out what is done.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from srkd.cli.common import add_list, add_sets
from srkd.cli.demo import run_steps
from srkd.cli.display import bar, say
from srkd.types import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from srkd.engine.processes import Launch
    from srkd.engine.sweep import SweepRun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to run, how, and what to measure on."""
    add = parser.add_argument
    add("-opt", "--opt", nargs="+", required=True, metavar="FILE", help="option files (YAML)")
    add_list(parser, "--seeds", metavar="N", help="seeds, such as 0,1,2 (default: the manual_seed of each file)")
    values = "values to try; given several times: every combination"
    add("--grid", action="append", default=[], metavar="key.path=V,V", help=values)
    add_sets(parser, required=True)
    add("--protocol", default="y", metavar="P", help="how images are compared, as in srkd benchmark (y)")
    add("--jobs", type=int, default=1, metavar="N", help="trainings at a time (1)")
    add("--nproc", type=int, default=1, metavar="N", help="processes (GPUs) of each, by torchrun (1)")
    add("--name", metavar="SWEEP", help="folder in results/ (default: the first file's name)")
    add("--slurm", type=Path, metavar="FILE", help="write a job array for sbatch, and run nothing")
    add("overrides", nargs="*", metavar="key.path=value", help="override an option in all runs")


def run(args: argparse.Namespace) -> int:
    """Train, measure, report, compare; 1 where a run failed, 129, 130 or 143 interrupted with the states saved."""
    from srkd.atomic import atomic_write_text
    from srkd.engine.processes import Launch
    from srkd.engine.sweep import job_script, keep_record, parse_axis, parse_seeds, plan
    from srkd.evaluation.protocols import protocol_of
    from srkd.evaluation.sets import find_set

    lists = [args.opt, args.sets, args.seeds or []]  # and the overrides that argparse takes for more of them
    behind = [word for words in lists for word in words if "=" in word and not Path(word).exists()]
    files, sets, seeds = ([word for word in words if word not in behind] for words in lists)
    if not (files and sets and min(args.jobs, args.nproc) >= 1):
        raise InputError("give -opt a file and --sets a set; --jobs and --nproc are at least 1.")
    runs = plan(
        files, seeds=parse_seeds(",".join(seeds)) if seeds else (), grid=[parse_axis(text) for text in args.grid],
        overrides=[*behind, *args.overrides],
    )  # fmt: skip
    protocol_of(args.protocol, runs[0].options.scale)  # what would be wrong after days of training is wrong now
    for name in sets:
        find_set(name)
    waiting = [run for run in runs if not run.is_finished()]
    say(f"Finished already: {len(runs) - len(waiting)} of {len(runs)} runs.")
    name = args.name or Path(files[0]).stem
    out = Path(runs[0].options.path.results_root or "results") / name
    keep_record(out, runs)
    launch = Launch(args.jobs, args.nproc, out / "logs")
    if args.slurm:
        if not waiting:
            raise InputError("every run is finished: leave out --slurm to measure them.")
        launch.logs.mkdir(parents=True, exist_ok=True)
        atomic_write_text(args.slurm, job_script(waiting, name=name, nproc=args.nproc, logs=launch.logs))
        say(
            f"Written: {args.slurm}, a job array of {len(waiting)} tasks. Submit it with your resources, such as",
            f"  sbatch --gres=gpu:{args.nproc} --time=24:00:00 {args.slurm}",
            "When they are done, the same command without --slurm measures, reports and compares.",
        )
        return 0
    status = _train(waiting, launch)
    if status > 1:
        return status
    finished = [run for run in runs if run.is_finished()]
    return (_evaluate(finished, sets, args.protocol, out) if finished else 0) or status


def _train(waiting: Sequence[SweepRun], launch: Launch) -> int:
    """Run the trainings, a line for each that ends: 0, 1 where one failed, or 128 + the signal."""
    from srkd.engine.processes import iteration, last_line, train_all

    done = {run.name: iteration(run) for run in waiting}
    total, failed = sum(run.options.train.total_iter for run in waiting), list[str]()
    with bar("sweep") as progress:

        def on_tick(running: Sequence[SweepRun]) -> None:
            done.update({run.name: iteration(run) for run in running})
            progress(sum(done.values()), total, ", ".join(run.name for run in running))

        def on_end(run: SweepRun, status: int) -> None:
            stopped = status in (129, 130, 143) or status < 0  # a second signal may come when all is saved
            line = f"{'done' if not status else 'stopped' if stopped else 'failed':<7} {run.name}"
            if status:
                failed.append(run.name)
                line += f" (exit status {status}; log: {launch.log(run)}): {last_line(launch.log(run))}"
            say(line)

        status = train_all(waiting, launch, on_tick=on_tick, on_end=on_end)
    if status:
        say("Interrupted; the same command goes on.")
    elif failed:
        say(f"{len(failed)} of {len(waiting)} runs failed; the same command tries them again.")
    return status or int(bool(failed))


def _evaluate(runs: Sequence[SweepRun], sets: Sequence[str], protocol: str, out: Path) -> int:
    """The networks through `srkd benchmark`, `report` and `compare`; one arm alone is compared with bicubic."""
    from srkd.evaluation.result import BICUBIC

    result = out / "benchmark.json"
    seeds: dict[str, list[str]] = {}
    for run in runs:
        seeds.setdefault(run.arm, []).append(f"{result}:{run.name}")
    arms = [f"{arm}={','.join(names)}" for arm, names in seeds.items()]
    if len(arms) == 1:
        arms.insert(0, f"{result}:{BICUBIC}")
    networks = [str(run.network) for run in runs]
    steps = [
        ("Measure", ["benchmark", *networks, "--sets", *sets, "--protocol", protocol, "-o", str(result)]),
        ("Report", ["report", str(result), "-o", str(out / "report.html")]),
        ("Compare", ["compare", *arms, "-o", str(out / "comparison.md")]),
    ]
    return run_steps(steps)
