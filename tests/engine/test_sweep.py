"""Sweeps: which runs there are, what is refused before anything starts, the job script, and a real one end to end."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from srkd.cli import main
from srkd.engine.processes import Launch, share
from srkd.engine.sweep import SweepRun, job_script, parse_axis, parse_seeds, plan
from srkd.types import InputError


@pytest.fixture
def write(recipe, tmp_path):
    """Write the recipe, changed, to a file; returns its path. Three iterations, nothing validated."""
    recipe["train"] |= {"total_iter": 3, "ema_decay": 0.0}
    recipe["path"]["results_root"] = str(tmp_path / "results")
    recipe["datasets"].pop("val")
    recipe.pop("val")

    def write(name="tiny", **changes):
        path = tmp_path / f"{name}.yml"
        path.write_text(yaml.safe_dump({**recipe, "name": name, **changes}, sort_keys=False))
        return str(path)

    return write


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a.b=1e-4,2e-4", ["1e-4", "2e-4"]),
        ("a.b = 1, two words ,-3", ["1", "two words", "-3"]),
        ("a.b={c: D, e: [0.5, 0.25]},{c: F}", ["{c: D, e: [0.5, 0.25]}", "{c: F}"]),
        ("a.b='x,y',\"z\"", ["'x,y'", '"z"']),
        ("a.b=[1, 2]", ["[1, 2]"]),
    ],
)  # fmt: skip
def test_an_axis_is_split_at_commas_outside_of_brackets(text, values):
    assert parse_axis(text) == ("a.b", values)


@pytest.mark.parametrize("text", ["a.b", "a.b=", "=1", "a.b={type: CSD", "name=a,b", "manual_seed=1,2"])
def test_an_axis_that_is_none(text):
    with pytest.raises(InputError, match=re.escape(f"--grid {text}")):
        parse_axis(text)


def test_seeds_are_whole_numbers():
    assert parse_seeds("0, 7") == [0, 7]
    with pytest.raises(InputError, match="--seeds 0,-1"):
        parse_seeds("0,-1")


def test_the_plan_is_every_combination(write):
    methods = "method={type: Supervised, widths: [1, 0.5]},{type: Supervised}"
    axes = [parse_axis("train.optim_g.lr=1e-4,2e-4"), parse_axis(methods)]
    runs = plan([write()], seeds=[0, 5], grid=axes, overrides=["train.total_iter=2"])
    slim = "tiny_lr-1e-4_method-Supervised_widths_1_0.5"
    assert [run.name for run in runs[:3]] == [f"{slim}_seed0", f"{slim}_seed5", "tiny_lr-1e-4_method-Supervised_seed0"]
    assert len(runs) == 8 and len({run.name for run in runs}) == 8
    assert all(re.fullmatch(r"[\w.+-]+", run.name) for run in runs)
    assert runs[1].arm == slim and runs[1].name.startswith(slim)
    options = runs[1].options
    assert (options.manual_seed, options.train.total_iter, options.train.optim_g.args["lr"]) == (5, 2, 1e-4)
    assert options.method.args["widths"] == (1.0, 0.5) != runs[2].options.method.args["widths"]
    assert runs[-1].options.train.optim_g.args["lr"] == 2e-4
    assert runs[0].network == Path(options.path.experiments_root) / f"{slim}_seed0/models/net_g_latest.pth"


def test_without_seeds_each_file_has_its_own(write):
    runs = plan([write("a", manual_seed=3), write("b", manual_seed=4)])
    assert [(run.arm, run.name, run.options.manual_seed) for run in runs] == [("a", "a_seed3", 3), ("b", "b_seed4", 4)]


def test_names_hold_nothing_that_means_something_elsewhere(write):
    (run,) = plan([write()], seeds=[0], overrides=["name='my net: a@b, c=d'"])
    assert run.name == "my_net_a_b_c_d_seed0" == run.options.name


@pytest.mark.parametrize(
    ("grid", "seeds", "said"),
    [
        ("train.optim_g.lrr=1", [0], r"run tiny_lrr-1_seed0: .*lrr.*Did you mean 'lr'"),
        ("train.total_iter=3,many", [0], r"run tiny_total_iter-many_seed0: .*train.total_iter"),
        ("train.optim_g.lr=1e-4,0.0001", [0], "tiny_lr-1e-4_seed0 and tiny_lr-0.0001_seed0 have the same options"),
        ("train.optim_g.lr=1e-4,1e-4", [0], "two runs would be called tiny_lr-1e-4_seed0"),
        ("train.optim_g.lr=1e-4", [2, 2], "two runs would be called tiny_lr-1e-4_seed2"),
        ("scale=2,4", [0], "a sweep has one"),
    ],
)
def test_what_is_wrong_is_said_with_the_name_of_the_run(write, grid, seeds, said):
    with pytest.raises(InputError, match=said):
        file = write(network_g={"type": "EDSR", "num_feat": 8, "num_block": 2})
        plan([file], seeds=seeds, grid=[parse_axis(grid)])


def test_two_files_of_one_name(write):
    file = write()
    with pytest.raises(InputError, match="two runs would be called tiny_seed0"):
        plan([file, file], seeds=[0])


def test_cores_and_gpus_are_shared(tmp_path):
    launch = Launch(3, 1, tmp_path)
    assert share({"A": "b"}, 0, Launch(1, 1, tmp_path), cores=8, gpus=["0", "1"]) == {"A": "b"}
    assert share({"A": "b"}, 2, launch, cores=8, gpus=[]) == {"A": "b", "OMP_NUM_THREADS": "2"}
    assert share({}, 2, launch, cores=2, gpus=["0"]) == {"OMP_NUM_THREADS": "1"}
    assert share({"OMP_NUM_THREADS": "7"}, 2, launch, cores=8, gpus=["4", "6"]) == {
        "OMP_NUM_THREADS": "7", "CUDA_VISIBLE_DEVICES": "4",
    }  # fmt: skip
    two = share({}, 1, Launch(2, 2, tmp_path), cores=8, gpus=["0", "1", "2", "3"])
    assert two == {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "2,3"}


def test_the_job_script_runs_one_run_a_task(write, tmp_path):
    runs = plan(
        [write()], seeds=[0, 1], grid=[parse_axis("method={type: Supervised},{type: Supervised, widths: [1, 0.5]}")]
    )
    text = job_script(runs, name="my sweep", nproc=4, logs=tmp_path / "logs")
    assert "#SBATCH --array=0-3\n" in text and "#SBATCH --job-name='my sweep'\n" in text
    assert f"#SBATCH --output={tmp_path}/logs/slurm_%A_%a.log\n" in text
    script = tmp_path / "jobs.sh"
    # what a task would run, word by word
    script.write_text(text.replace(f"exec {sys.executable}", "printf '%s\\n'"))
    task = {**os.environ, "SLURM_ARRAY_TASK_ID": "3"}
    done = subprocess.run(["bash", str(script)], env=task, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=4",
        "-m", "srkd", "train", "-opt", runs[3].file, "--auto_resume",
        "method={type: Supervised, widths: [1, 0.5]}", "manual_seed=1", f"name={runs[3].name}",
    ]  # fmt: skip
    outside = subprocess.run(["bash", str(script)], env={**task, "SLURM_ARRAY_TASK_ID": "4"}, check=False)
    assert outside.returncode == 2


def test_slurm_writes_the_script_and_runs_nothing(write, tmp_path, photographs, capsys):
    script = tmp_path / "jobs.sh"
    assert main(["sweep", "-opt", write(), "--seeds", "0,1", "--sets", str(photographs), "--slurm", str(script)]) == 0
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    assert "name=tiny_seed1" in script.read_text() and "torch.distributed" not in script.read_text()
    assert f"sbatch --gres=gpu:1 --time=24:00:00 {script}" in capsys.readouterr().out
    assert not (tmp_path / "experiments").exists() and (tmp_path / "results/tiny/logs").is_dir()


def test_a_sweep_end_to_end(write, tmp_path, photographs, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    command = [
        "sweep", "-opt", write(), "--seeds", "0,1", "--grid", "train.optim_g.lr=1e-3,1e-2",
        "--jobs", "2", "--sets", str(photographs), "logger.print_freq=3",
    ]  # fmt: skip
    assert main(command) == 0
    out = tmp_path / "results" / "tiny"
    assert {path.name for path in out.iterdir()} >= {"benchmark.json", "comparison.md", "report.html", "logs"}
    names = [f"tiny_lr-{lr}_seed{seed}" for lr in ("1e-3", "1e-2") for seed in (0, 1)]
    result = json.loads((out / "benchmark.json").read_text())
    assert [model["name"] for model in result["models"]] == ["bicubic", *names]
    assert {path.stem for path in (out / "logs").iterdir()} == set(names)
    comparison = (out / "comparison.md").read_text()
    assert "| tiny_lr-1e-2 | tiny_lr-1e-3 |" in comparison and "seed by seed" in comparison
    assert "tiny_lr-1e-2_seed1" in (out / "report.html").read_text()
    assert "Finished already: 0 of 4 runs." in capsys.readouterr().out

    trained = {name: (tmp_path / f"experiments/{name}/models/net_g_latest.pth").stat().st_mtime_ns for name in names}
    assert main(command) == 0
    assert "Finished already: 4 of 4 runs." in capsys.readouterr().out
    again = {name: (tmp_path / f"experiments/{name}/models/net_g_latest.pth").stat().st_mtime_ns for name in names}
    assert again == trained
    assert not list((tmp_path / "experiments").glob("*_archived_*"))

    # options that are not in the names: the networks that are there are not those of this sweep
    assert main([*command, "train.grad_clip=1.0"]) == 2
    message = capsys.readouterr().err
    assert "run tiny_lr-1e-3_seed0" in message and "grad_clip: 1.0" in message


def test_another_sweep_does_not_replace_the_results(write, tmp_path, photographs, capsys):
    """Runs may be added; where some are missing it is another sweep."""
    first, script = write("first"), str(tmp_path / "jobs.sh")
    second = write("second", network_g={"type": "EDSR", "num_feat": 4, "num_block": 1, "upscale": 2})

    def sweep(*arguments):
        return main(["sweep", "-opt", *arguments, "--sets", str(photographs), "--slurm", script])

    assert sweep(first, "--seeds", "0") == 0
    assert sweep(first, second, "--seeds", "0,1") == 0
    assert sweep(first, "--seeds", "0,1") == 2
    assert (
        f"{tmp_path / 'results/first'} holds the results of another sweep, with second_seed0" in capsys.readouterr().err
    )
    assert sweep(first, "--seeds", "0,1", "--name", "other") == 0


def test_a_run_that_fails_does_not_stop_the_others(write, tmp_path, photographs, capsys, monkeypatch):
    file = write()
    assert main(["train", "-opt", file, "name=made"]) == 0
    failing = "print('srkd: the disk is full\\n'); raise SystemExit(2)"
    copying = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])"

    def command(run, nproc):
        """The first run fails; the second one's network is there in no time."""
        if run.name == "tiny_seed0":
            return [sys.executable, "-c", failing]
        return [sys.executable, "-c", copying, str(tmp_path / "experiments/made/models"), str(run.folder.models)]

    monkeypatch.setattr(SweepRun, "command", command)
    sweep = ["sweep", "-opt", file, "--seeds", "0,1", "--sets", str(photographs), "--name", "mine"]
    assert main(sweep) == 1
    lines = capsys.readouterr().out.splitlines()
    log = tmp_path / "results/mine/logs/tiny_seed0.log"
    assert f"failed  tiny_seed0 (exit status 2; log: {log}): srkd: the disk is full" in lines
    assert "done    tiny_seed1" in lines
    comparison = (tmp_path / "results/mine/comparison.md").read_text()  # one arm is left: against bicubic
    assert "| tiny | bicubic |" in comparison and (tmp_path / "results/mine/report.html").exists()


def test_an_interruption_saves_and_the_same_command_goes_on(write, tmp_path, photographs, started):
    file = write(logger={"print_freq": 1, "save_checkpoint_freq": 100_000})
    command = [
        sys.executable, "-m", "srkd", "sweep", "-opt", file, "--seeds", "0,1", "--sets", str(photographs),
        "train.total_iter=100000",
    ]  # fmt: skip
    sweep = started(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    metrics = tmp_path / "experiments/tiny_seed0/metrics.jsonl"
    deadline = time.time() + 180
    while not metrics.exists() or metrics.read_text().count("\n") < 3:
        assert sweep.poll() is None and time.time() < deadline
        time.sleep(0.1)
    sweep.send_signal(signal.SIGINT)
    output, _ = sweep.communicate(timeout=60)
    assert sweep.returncode == 130, output
    assert "stopped tiny_seed0 (exit status 130;" in output and "the same command goes on" in output
    (state,) = (tmp_path / "experiments/tiny_seed0/training_states").iterdir()
    assert not (tmp_path / "experiments/tiny_seed1").exists()
    (run, _) = plan([file], seeds=[0, 1], overrides=["train.total_iter=100000"])
    assert not run.is_finished() and int(state.stem) >= 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sets", "Nowhere"], "no test set 'Nowhere'"),
        (["--sets", "PHOTOS", "--protocol", "z"], "unknown protocol 'z'"),
        (["--sets", "PHOTOS", "--jobs", "0"], "--jobs and --nproc are at least 1"),
        (["--sets", "nonsense=1"], "--sets a set"),
        (["--sets", "PHOTOS", "nonsense=1"], "run tiny_seed3: .*nonsense"),
    ],
)
def test_mistakes_are_told_before_anything_starts(write, tmp_path, photographs, capsys, arguments, said):
    arguments = [str(photographs) if word == "PHOTOS" else word for word in arguments]
    assert main(["sweep", "-opt", write(), *arguments]) == 2
    assert re.search(said, capsys.readouterr().err)
    assert not (tmp_path / "experiments").exists() and not (tmp_path / "results").exists()
