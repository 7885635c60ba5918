"""The trainer, through the command line: what it writes, exact continuation, interruptions, non-finite losses."""

import copy
import json
import multiprocessing
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from srkd.engine.settings import Settings
from srkd.engine.trainer import Trainer
from srkd.networks.weights import load_network

CSD = {"type": "CSD", "widths": [0.5, 0.25], "num_negatives": 2, "perceptual": {"type": "network"}}


@pytest.fixture(autouse=True)
def _hangups():
    """Tests may run under `nohup`, which trainings rightly take for theirs."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def deep_equal(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(deep_equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(deep_equal(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def test_what_a_run_writes(recipe, train, tmp_path, monkeypatch):
    recipe["val"]["save_img"] = True
    recipe["logger"]["use_tb_logger"] = True
    monkeypatch.chdir(tmp_path)  # tb_logger/ is beside experiments/, as in BasicSR
    assert train(recipe) == 0
    folder = tmp_path / "experiments" / "tiny"
    assert {p.name for p in folder.iterdir()} == {
        "models", "options.yml", "metrics.jsonl", "train.log", "training_states", "visualization",
    }  # fmt: skip
    assert {p.name for p in (folder / "models").iterdir()} == {
        "net_g_5.pth", "net_g_10.pth", "net_g_latest.pth", "net_g_best.pth",
    }  # fmt: skip
    assert (folder / "visualization" / "p0" / "p0_10.png").exists()
    (events,) = (tmp_path / "tb_logger" / "tiny").glob("events*")
    assert events.read_bytes().count(b"held/p0_w1") == 2  # bicubic, SR and ground truth, at both validations
    rows = lines(folder)
    assert [row["iter"] for row in rows if row["kind"] == "train"] == list(range(1, 11))
    validation = [row for row in rows if row["kind"] == "val"]
    assert [(row["iter"], row["set"], row["width"]) for row in validation] == [(5, "held", 1.0), (10, "held", 1.0)]
    assert next(row for row in rows if row["kind"] == "gradients")["l_pix"] > 0
    text = (folder / "train.log").read_text()
    assert "[tiny..][epoch:" in text and "l_pix: " in text and "Validation held" in text
    network = load_network(folder / "models" / "net_g_latest.pth")
    assert network.trained_widths == (1.0,)
    assert torch.load(folder / "models" / "net_g_best.pth", weights_only=True)["training_set"] == "photos"
    # the resolved options train again, and the old experiment is kept
    assert train(yaml.safe_load((folder / "options.yml").read_text()), "train.total_iter=1") == 0
    assert len([p for p in folder.parent.iterdir() if p.name.startswith("tiny_archived_")]) == 1


def test_data_without_a_name_are_not_given_one(recipe, train, tmp_path):
    del recipe["datasets"]["train"]["name"]
    assert train(recipe, "train.total_iter=1") == 0
    content = torch.load(tmp_path / "experiments/tiny/models/net_g_latest.pth", weights_only=True)
    assert content["training_set"] is None


def test_training_lowers_the_loss(recipe, train, tmp_path):
    recipe["train"]["total_iter"] = 60
    recipe["train"]["scheduler"]["T_max"] = 60
    assert train(recipe) == 0
    losses = [row["l_pix"] for row in lines(tmp_path / "experiments" / "tiny") if row["kind"] == "train"]
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])


@pytest.mark.parametrize("method", [{"type": "Supervised"}, CSD], ids=["Supervised", "CSD"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_five_and_five_equal_ten_bit_for_bit(recipe, train, tmp_path, method, accumulate):
    recipe["method"] = method
    recipe["train"]["accumulate"] = accumulate
    recipe["train"]["grad_clip"] = 1.0
    assert train(recipe) == 0
    whole = tmp_path / "experiments" / "tiny"
    reference = tmp_path / "reference"
    shutil.copytree(whole, reference)
    # as if the run had stopped after iteration 5: nothing later is left
    for path in [whole / "models" / "net_g_10.pth", whole / "training_states" / "10.state"]:
        path.unlink()
    torch.manual_seed(999)  # whatever happened in between
    assert train(recipe, "--auto_resume") == 0
    for name in ("models/net_g_10.pth", "training_states/10.state"):
        ours, theirs = (torch.load(folder / name, weights_only=True) for folder in (whole, reference))
        assert deep_equal(ours, theirs), name

    def trace(folder):
        return [{k: v for k, v in row.items() if "seconds" not in k} for row in lines(folder)]

    assert trace(whole) == trace(reference)


def test_same_seed_same_run_other_seed_other_run(recipe, train, tmp_path):
    losses = []
    for seed in (3, 3, 4):
        assert train(recipe, f"manual_seed={seed}") == 0
        losses.append([row["l_pix"] for row in lines(tmp_path / "experiments" / "tiny") if row["kind"] == "train"])
    assert losses[0] == losses[1] != losses[2]


def test_accumulation_equals_a_larger_batch(recipe, train, tmp_path):
    """Two batches of 4 make the step of one batch of 8 (the same images in the same order)."""
    recipe["train"]["optim_g"] = {"type": "SGD", "lr": 0.1}
    recipe["train"]["total_iter"] = 3
    states = []
    for accumulate, batch in ((2, 4), (1, 8)):
        recipe["train"]["accumulate"] = accumulate
        recipe["datasets"]["train"]["batch_size_per_gpu"] = batch
        assert train(recipe) == 0
        states.append(load_network(tmp_path / "experiments/tiny/models/net_g_3.pth", key="params").state_dict())
    for name in states[0]:
        torch.testing.assert_close(states[0][name], states[1][name], rtol=1e-4, atol=1e-6)


def test_non_finite_loss_stops_names_the_term_and_keeps_the_checkpoint(recipe, train, tmp_path, capsys):
    recipe["train"]["optim_g"]["lr"] = 1e30
    recipe["train"].pop("scheduler")
    recipe["train"]["warmup_iter"] = -1
    recipe["logger"] = {"print_freq": 5, "save_checkpoint_freq": 1}
    assert train(recipe) == 1
    message = capsys.readouterr().err
    assert "l_pix" in message and "iteration 2" in message and "1.state" in message
    assert [p.name for p in (tmp_path / "experiments/tiny/training_states").iterdir()] == ["1.state"]


def test_check_writes_nothing(recipe, train, tmp_path, capsys):
    recipe["method"] = CSD
    assert train(recipe, "--check") == 0
    out = capsys.readouterr().out
    assert "l_contrast@0.25" in out and "time per iteration" in out and "[4, 3, 12, 12]" in out
    assert out.count("Gradient norm") == 1
    assert not (tmp_path / "experiments").exists()


def test_check_of_a_run_shorter_than_the_rehearsal(recipe, train, capsys):
    assert train(recipe, "train.total_iter=2", "--check") == 0
    assert "time per iteration" in capsys.readouterr().out


def test_debug(recipe, train, tmp_path):
    assert train(recipe, "--debug") == 0
    assert (tmp_path / "experiments/debug_tiny/models/net_g_8.pth").exists()


def test_warm_start_from_another_scale(recipe, train, tmp_path, caplog):
    assert train(recipe, "train.total_iter=2") == 0
    other = copy.deepcopy(recipe)
    other |= {"name": "x4", "scale": 4}
    other["network_g"]["upscale"] = 4
    other["path"]["pretrain_network_g"] = str(tmp_path / "experiments/tiny/models/net_g_latest.pth")
    other["train"]["total_iter"] = 1
    assert train(other) == 2  # strict by default
    other["path"]["strict_load_g"] = False
    assert train(other) == 0
    log = (tmp_path / "experiments/x4/train.log").read_text() if (tmp_path / "experiments/x4").exists() else ""
    assert "Skipped 2 tensors" in caplog.text or "upsample.2.weight" in log or log


def test_fine_tuning_continues_from_a_checkpoint(recipe, train, tmp_path):
    assert train(recipe) == 0
    start = tmp_path / "experiments/tiny/models/net_g_latest.pth"
    still = ["train.optim_g.lr=0", "train.total_iter=1"]
    assert train(recipe, "name=fine", f"path.pretrain_network_g={start}", *still) == 0
    a, b = load_network(start), load_network(tmp_path / "experiments/fine/models/net_g_latest.pth")
    assert deep_equal(a.state_dict(), b.state_dict())


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_interruption_saves_and_resumes(recipe, train, tmp_path, started, number, status):
    recipe["train"]["total_iter"] = 100_000
    recipe["logger"]["save_checkpoint_freq"] = 100_000
    recipe["val"]["val_freq"] = 100_000
    path = tmp_path / "options.yml"
    path.write_text(yaml.safe_dump(recipe))
    command = [sys.executable, "-m", "srkd", "train", "-opt", str(path)]
    process = started(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    folder = tmp_path / "experiments" / "tiny"
    deadline = time.time() + 120
    while not (folder / "metrics.jsonl").exists() or len(lines(folder)) < 5:
        assert process.poll() is None and time.time() < deadline
        time.sleep(0.1)
    process.send_signal(number)
    if number != signal.SIGINT:  # shells and schedulers send these twice; only a second Ctrl-C stops at once
        process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert process.returncode in (status, -number), output  # the second one may come when all is saved
    assert "Interrupted: saving after this iteration" in output
    assert "Interrupted: saving iteration" in (folder / "train.log").read_text()
    assert "Traceback" not in output
    (state,) = (folder / "training_states").iterdir()
    done = int(state.stem)
    assert train(recipe, "--auto_resume", f"train.total_iter={done + 1}") == 0
    assert (folder / "models" / f"net_g_{done + 1}.pth").exists()


def test_a_worker_that_is_killed_costs_nothing(recipe, train, tmp_path, monkeypatch, capsys):
    """As the system does where memory runs out: what was learnt is saved, between two iterations."""
    recipe["datasets"]["train"]["io_backend"] = {"type": "disk"}
    recipe["train"]["total_iter"] = 40  # many more than workers make ahead
    assert train(recipe, "name=whole") == 0
    step = Trainer._step

    def killing(trainer, *arguments):
        step(trainer, *arguments)
        if trainer.iteration == 3:
            multiprocessing.active_children()[0].kill()

    with monkeypatch.context() as patched:
        patched.setattr("srkd.engine.build.Settings", lambda **known: Settings(**known | {"num_workers": 2}))
        patched.setattr(Trainer, "_step", killing)
        assert train(recipe) == 1
    assert "of 2 processes that make batches 1 ended (SIGKILL)" in capsys.readouterr().err
    assert 3 <= max(int(state.stem) for state in (tmp_path / "experiments/tiny/training_states").iterdir()) < 40
    assert train(recipe, "--auto_resume") == 0
    resumed, whole = (load_network(tmp_path / f"experiments/{n}/models/net_g_latest.pth") for n in ("tiny", "whole"))
    assert deep_equal(resumed.state_dict(), whole.state_dict())


def test_a_terminal_that_goes_away_costs_nothing(recipe, train, tmp_path):
    """A lost connection: SIGHUP, and every write to the terminal is an error from then on."""
    recipe["train"]["total_iter"] = 100_000
    recipe["logger"]["print_freq"] = 1
    path = tmp_path / "options.yml"
    path.write_text(yaml.safe_dump(recipe))
    process, terminal = pty.fork()
    if process == 0:
        os.execv(sys.executable, [sys.executable, "-m", "srkd", "train", "-opt", str(path)])
    folder = tmp_path / "experiments" / "tiny"
    deadline = time.time() + 120
    said = b""
    while not (folder / "metrics.jsonl").exists() or len(lines(folder)) < 5:
        assert os.waitpid(process, os.WNOHANG) == (0, 0) and time.time() < deadline, said.decode()
        said += os.read(terminal, 65536)  # a full terminal would block it
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 129
    state = max(int(state.stem) for state in (folder / "training_states").iterdir())
    assert "Interrupted: saving" in (folder / "train.log").read_text()
    assert train(recipe, "--auto_resume", f"train.total_iter={state + 1}") == 0


INTERRUPTED = """
import io, logging, logging.handlers, signal, sys
from srkd.cli import main

class Interrupts(io.FileIO):
    def write(self, data):
        if getattr(signal.getsignal(signal.SIGTERM), "__module__", "") == "srkd.engine.runtime":
            signal.raise_signal(signal.SIGTERM)
        return super().write(data)

def handler(path, **_):
    return logging.StreamHandler(io.TextIOWrapper(io.BufferedWriter(Interrupts(path, "wb"))))

logging.FileHandler = handler
sys.exit(main(["train", "-opt", sys.argv[1]]))
"""


def test_a_signal_in_the_middle_of_a_log_line(recipe, tmp_path):
    """Every write of the log file is met by one while the training listens, as rarely happens."""
    path = tmp_path / "options.yml"
    path.write_text(yaml.safe_dump(recipe))
    command = [sys.executable, "-c", INTERRUPTED, str(path)]  # a process of its own: a signal would end the tests
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 143, done.stderr
    assert "Interrupted: saving after this iteration" in done.stderr and "Logging error" not in done.stderr
    assert "Interrupted: saving iteration 1." in (tmp_path / "experiments/tiny/train.log").read_text()


@pytest.mark.parametrize("last_words", [1, 3])
def test_a_reader_that_goes_away_does_not_stop_a_training(recipe, tmp_path, started, last_words):
    """`srkd train … | head -1`."""
    path = tmp_path / "options.yml"
    path.write_text(yaml.safe_dump(recipe))
    process = started([sys.executable, "-m", "srkd", "train", "-opt", str(path)], stdout=subprocess.PIPE)
    for _ in range(last_words):
        process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=120) == 0
    assert "Validation held" in (tmp_path / "experiments/tiny/train.log").read_text()
    assert (tmp_path / "experiments/tiny/training_states/10.state").exists()


def test_a_terminal_that_is_gone_does_not_stop_a_training_without_it(recipe, tmp_path):
    """Started with `nohup` or disowned: no signal, but every write is an error."""
    recipe["train"]["total_iter"] = 60
    path = tmp_path / "options.yml"
    path.write_text(yaml.safe_dump(recipe))
    process, terminal = pty.fork()
    if process == 0:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        os.execv(sys.executable, [sys.executable, "-m", "srkd", "train", "-opt", str(path)])
    metrics = tmp_path / "experiments/tiny/metrics.jsonl"
    deadline = time.time() + 120
    while not metrics.exists():
        assert os.waitpid(process, os.WNOHANG) == (0, 0) and time.time() < deadline
        os.read(terminal, 65536)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    assert (tmp_path / "experiments/tiny/training_states/60.state").exists()


def test_two_processes_equal_one_with_twice_the_batch(recipe, train, tmp_path):
    """DDP on the CPU: the same images, the same step."""
    recipe["train"]["optim_g"] = {"type": "SGD", "lr": 0.1}
    recipe["train"]["total_iter"] = 2
    recipe["datasets"]["train"]["batch_size_per_gpu"] = 8
    assert train(recipe) == 0
    one = load_network(tmp_path / "experiments/tiny/models/net_g_2.pth", key="params").state_dict()
    recipe["datasets"]["train"]["batch_size_per_gpu"] = 4
    path = tmp_path / "options.yml"
    path.write_text(yaml.safe_dump(recipe))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*torchrun, "-m", "srkd", "train", "-opt", str(path)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FutureWarning" not in done.stderr
    two = load_network(tmp_path / "experiments/tiny/models/net_g_2.pth", key="params").state_dict()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-5)


def test_bf16_trains(recipe, train, tmp_path):
    recipe["train"]["precision"] = "bf16"
    recipe["method"] = CSD
    assert train(recipe) == 0


@pytest.mark.parametrize(("possible", "taken"), [(["fp32", "bf16"], "bf16"), (["fp32"], "fp32")])
def test_without_a_precision_the_device_decides_and_the_log_says_so(
    recipe, train, tmp_path, monkeypatch, possible, taken
):
    monkeypatch.setattr("srkd.inference.precision.precisions", lambda device: possible)
    del recipe["train"]["precision"]
    assert train(recipe, "train.total_iter=1") == 0
    assert f"train.precision is auto: {taken}." in (tmp_path / "experiments/tiny/train.log").read_text()


def test_a_plugin_adds_a_method_that_uses_a_teacher(recipe, train, tmp_path, monkeypatch):
    """CONTRIBUTING's worked example, as it stands there."""
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
    code = text.split("```python\n")[1].split("```")[0]
    (tmp_path / "my_distillation.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    assert train(recipe, "train.total_iter=2") == 0
    teacher = tmp_path / "experiments/tiny/models/net_g_latest.pth"
    recipe |= {
        "name": "student",
        "plugins": ["my_distillation"],
        "method": {"type": "Strength", "feature_weight": 0.1, "widths": [1.0, 0.5]},
    }
    recipe["network_g_teacher"] = dict(recipe["network_g"])
    recipe["path"]["pretrain_network_g_teacher"] = str(teacher)
    before = teacher.read_bytes()
    assert train(recipe) == 0
    assert teacher.read_bytes() == before
    content = torch.load(tmp_path / "experiments/student/models/net_g_latest.pth", weights_only=True)
    state = torch.load(tmp_path / "experiments/student/training_states/10.state", weights_only=True)
    assert not [name for name in [*content["params"], *state["heads"]] if "teacher" in name]
    assert all(row["l_feat@0.5"] > 0 for row in lines(tmp_path / "experiments/student") if row["kind"] == "train")
