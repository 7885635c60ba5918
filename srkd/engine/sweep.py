"""Sweeps: option files × grid values × seeds, each a training of its own; a job script of them for a cluster.

Runs that differ in the seed only are an arm, as `srkd compare` means it. `srkd.engine.processes` runs them here.
"""

from __future__ import annotations

import itertools
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import SequenceNode

from srkd.atomic import atomic_write_text
from srkd.engine.checkpoint import Folder
from srkd.networks.weights import read_weights
from srkd.options import TrainOptions, dump_options, load_train_options
from srkd.options.overrides import override
from srkd.options.reader import compose, read_file
from srkd.options.tree import Problems
from srkd.types import InputError

Axis = tuple[str, list[str]]
"""An option's path and the texts of its values."""


@dataclass(frozen=True)
class SweepRun:
    """One training of a sweep.

    Attributes:
        arm: what it shares with the runs that differ in the seed only; the run's name begins with it.
        file: its option file.
        overrides: what is put over the file, name and seed included.
        options: the file with all that, checked.
    """

    arm: str
    file: str
    overrides: tuple[str, ...]
    options: TrainOptions

    @property
    def name(self) -> str:
        """Name of the run, its folder and its model in tables."""
        return self.options.name

    @property
    def folder(self) -> Folder:
        """The experiment's folder."""
        return Folder(Path(self.options.path.experiments_root or "experiments") / self.name)

    @property
    def network(self) -> Path:
        """The network file that the benchmark takes."""
        return self.folder.network("latest")

    def command(self, nproc: int = 1) -> list[str]:
        """The command that trains it, or goes on; with several processes through torchrun."""
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={nproc}"] if nproc > 1 else []
        return [sys.executable, *torchrun, "-m", "srkd", "train", "-opt", self.file, "--auto_resume", *self.overrides]

    def is_finished(self) -> bool:
        """Whether its last iteration is saved.

        Raises:
            InputError: its folder holds a training with other options, which would pass for this one.
        """
        if not self.network.exists():
            return False
        options = self.folder.options_files()
        if options and (earlier := load_train_options(options[-1])) != self.options:
            before = dump_options(earlier).splitlines()
            new = [line.strip() for line in dump_options(self.options).splitlines() if line not in before]
            raise InputError(
                f"run {self.name}: {self.folder.root} holds a training with other options (now: "
                f"{'; '.join(new[:3]) or 'fewer'}); move it away, or sweep under another `name`."
            )
        return (read_weights(self.network).meta.get("iter") or 0) >= self.options.train.total_iter


def parse_axis(text: str) -> Axis:
    """`train.optim_g.lr=1e-4,2e-4` -> the key and its values; commas inside brackets and quotes separate nothing.

    Raises:
        InputError: it is not of this form, or the key is one that the sweep sets.
    """
    key, _, values = text.partition("=")
    if key.strip() in ("", "name", "manual_seed") or not values.strip():
        raise InputError(f"--grid {text}: is not key.path=value,value,… (name and manual_seed are set for each run).")
    listed = f"[{values}]"
    try:
        found = compose(listed)
    except YAMLError as error:
        raise InputError(f"--grid {text}: is no list of YAML values ({str(error).splitlines()[0]}).") from None
    assert isinstance(found, SequenceNode)
    return key.strip(), [listed[item.start_mark.index : item.end_mark.index].strip() for item in found.value]


def parse_seeds(text: str) -> list[int]:
    """`0,1,2` -> the seeds.

    Raises:
        InputError: they are not whole numbers.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"--seeds {text}: seeds are whole numbers from 0, joined by commas, such as 0,1,2.")
    return [int(part) for part in parts]


def plan(
    files: Sequence[str], *, seeds: Sequence[int] = (), grid: Sequence[Axis] = (), overrides: Sequence[str] = ()
) -> list[SweepRun]:
    """Every file with every combination of values and every seed, all of them checked; the runs of an arm together.

    Args:
        files: option files.
        seeds: empty: the one of each file.
        grid: the last axis changes first.
        overrides: for all runs.

    Raises:
        InputError: the options of a run are wrong (it is named), two runs have the same name or the same options, or
            scales differ, so that no benchmark would hold all networks.
    """
    runs: list[SweepRun] = []
    for file in files:
        for values in itertools.product(*(values for _, values in grid)):
            point = list(zip((key for key, _ in grid), values, strict=True))
            for seed in seeds or [None]:
                runs.append(_run(file, [*overrides, *(f"{key}={value}" for key, value in point)], point, seed))
    contents: dict[str, str] = {}  # options but for the name -> name
    for run in runs:
        if run.name in contents.values():
            raise InputError(f"two runs would be called {run.name}: give each option file, seed and value once.")
        content = dump_options(run.options.model_copy(update={"name": ""}))
        if content in contents:
            raise InputError(f"{contents[content]} and {run.name} have the same options: two equal trainings.")
        contents[content] = run.name
        if run.options.scale != runs[0].options.scale:
            raise InputError(
                f"{run.name} has scale {run.options.scale}, {runs[0].name} {runs[0].options.scale}; a sweep has one."
            )
    return runs


def _run(file: str, overrides: Sequence[str], point: Sequence[tuple[str, str]], seed: int | None) -> SweepRun:
    problems = Problems()
    root = read_file(Path(file), problems)
    override(root, overrides, problems)
    problems.raise_if_any()
    own = {key: node.value for key in ("name", "manual_seed") if (node := root.child(key))}
    seed = own.get("manual_seed", 0) if seed is None else seed
    parts = [f"{_slug(key.split(':' if ':' in key else '.')[-1])}-{_slug(value)}" for key, value in point]
    arm = "_".join([_slug(str(own.get("name") or Path(file).stem)), *parts])
    every = (*overrides, f"manual_seed={seed}", f"name={arm}_seed{seed}")
    try:
        return SweepRun(arm, file, every, load_train_options(file, every))
    except InputError as error:
        raise InputError(f"run {arm}_seed{seed}: {error}") from None


def _slug(text: str) -> str:
    """Only what is safe in the name of a folder, and means nothing to `srkd compare`."""
    return re.sub(r"[^\w.+-]+", "_", text.strip()).removeprefix("_type_").strip("_")


def keep_record(folder: Path, runs: Sequence[SweepRun]) -> None:
    """Write the names of the runs into `runs.txt` of the results' folder; a sweep may have more runs than before.

    Raises:
        InputError: the folder holds the results of another sweep.
    """
    record = folder / "runs.txt"
    names = [run.name for run in runs]
    if lost := {*record.read_text(encoding="utf-8").split("\n")[:-1]} - {*names} if record.exists() else ():
        raise InputError(
            f"{folder} holds the results of another sweep, with {min(lost)}, which this one has not: give this one a "
            f"--name, or remove {record}."
        )
    atomic_write_text(record, "".join(f"{name}\n" for name in names))


def job_script(runs: Sequence[SweepRun], *, name: str, nproc: int, logs: Path) -> str:
    """A Slurm job array of one task a run, for the current folder; resources are left to sbatch's command line.

    A task that reaches its time limit gets SIGTERM two minutes before, in time to save its state.
    """
    tasks = "\n".join(f"{number}) exec {shlex.join(run.command(nproc))} ;;" for number, run in enumerate(runs))
    return (
        "#!/bin/bash\n"
        f"#SBATCH --job-name={shlex.quote(name)}\n#SBATCH --array=0-{len(runs) - 1}\n"
        f"#SBATCH --output={shlex.quote(str(logs.absolute() / 'slurm_%A_%a.log'))}\n"
        "#SBATCH --signal=B:TERM@120\n"
        f"cd {shlex.quote(str(Path.cwd()))} || exit 2\n"
        f'case "$SLURM_ARRAY_TASK_ID" in\n{tasks}\n'
        '*) echo "there is no run $SLURM_ARRAY_TASK_ID" >&2; exit 2 ;;\nesac\n'
    )
