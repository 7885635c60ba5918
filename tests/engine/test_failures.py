"""What goes wrong in the middle of a training costs nothing that was learnt, and says what it was."""

import copy
import errno
import json
import os
import time
from pathlib import Path

import pytest
import torch

from srkd.data.batches import train_loader
from srkd.engine import saving
from srkd.engine import trainer as trainer_module
from srkd.engine.checkpoint import Folder, load_state
from srkd.engine.finite import NonFiniteLossError, check_weights
from srkd.engine.logging import RunLog
from srkd.engine.sinks import MetricsFile, TensorBoard
from srkd.engine.validation import Validator
from srkd.evaluation.report.curves import read_run
from srkd.methods.supervised import Supervised
from srkd.networks.edsr import EDSR
from srkd.networks.weights import load_network
from srkd.types import InputError

CSD = {"type": "CSD", "widths": [0.5, 0.25], "num_negatives": 2, "perceptual": {"type": "network"}}


def full_disk(*_arguments, **_options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def states(folder):
    return sorted(int(path.stem) for path in (folder / "training_states").glob("*.state"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "experiments" / "tiny"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), 1),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.\nframes"), 1),
        (MemoryError("Unable to allocate 8 GiB"), 1),
        (RuntimeError("a metric"), None),
    ],
)
def test_a_validation_that_fails(recipe, train, folder, monkeypatch, capsys, error, status):
    def fails(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Validator, "__call__", fails)
        if status is None:
            with pytest.raises(RuntimeError, match="a metric"):
                train(recipe)
        else:
            assert train(recipe) == status
            said = capsys.readouterr().err
            assert (
                f"{str(error).splitlines()[0].rstrip('.')}. If this was in training:" in said and "frames" not in said
            )
    assert states(folder) == [5]
    assert train(recipe, "--auto_resume") == 0
    assert states(folder) == [5, 10]


def test_a_checkpoint_that_cannot_be_written_is_tried_again(recipe, train, folder, monkeypatch, caplog):
    tried = []

    def save_state(path, state):
        tried.append(path.stem)
        (full_disk if len(tried) == 1 else save)(path, state)

    save = saving.save_state
    monkeypatch.setattr(saving, "save_state", save_state)
    assert train(recipe) == 0
    assert tried == ["5", "10"] and states(folder) == [10]
    assert "iteration 5 cannot be saved" in caplog.text and "No space left on device" in caplog.text
    assert "iteration 5 cannot be saved" in (folder / "train.log").read_text()


def test_a_full_disk_at_a_new_best_does_not_end_a_run(recipe, train, folder, monkeypatch, caplog):
    tried, save = [], saving.save_learnt

    def save_learnt(trainer, folder, tag):
        if tag == "best":
            tried.append(trainer.iteration)
            if len(tried) == 1:
                full_disk()
        save(trainer, folder, tag)

    monkeypatch.setattr(saving, "save_learnt", save_learnt)
    assert train(recipe, "train.optim_g.lr=1e-5") == 0
    assert tried == [5, 10]  # the second try is of the next one that is better than what is in the file
    assert "Training goes on; net_g_best.pth stays that of before" in caplog.text
    assert torch.load(folder / "models/net_g_best.pth", weights_only=True)["iter"] == 10


def test_a_picture_that_cannot_be_written_does_not_end_a_run(recipe, train, monkeypatch, caplog):
    recipe["val"]["save_img"] = True
    monkeypatch.setattr("srkd.engine.validation.write_image", full_disk)
    assert train(recipe) == 0
    assert "p0_5.png cannot be written (No space left on device). Training goes on." in caplog.text


def test_the_last_checkpoint_has_to_be_written(recipe, train, folder, monkeypatch, capsys):
    monkeypatch.setattr(saving, "save_state", full_disk)
    assert train(recipe) == 1
    assert f"srkd: iteration 10 cannot be saved in {folder}: [Errno 28] No space left" in capsys.readouterr().err


@pytest.fixture
def run_log(tmp_path):
    with RunLog("tiny", 100, [MetricsFile(tmp_path / "metrics.jsonl", 0), TensorBoard(tmp_path / "tb", 0)]) as run_log:
        yield run_log


def test_metrics_that_cannot_be_written(run_log, monkeypatch, caplog):
    full = Path("/dev/full").open("w")  # noqa: SIM115 (closing it would be the error once more)
    monkeypatch.setattr(run_log.sinks[0], "_file", full)
    for iteration in range(3):
        run_log.scalars("train", iteration, {"l_pix": 0.1})
    assert caplog.text.count("metrics.jsonl cannot be written (No space left on device)") == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_tensorboard_that_cannot_be_written(run_log, tmp_path, monkeypatch, caplog):
    """Its thread ends with the error, and its queue, which holds ten events, is never emptied again."""
    events = run_log.sinks[1]._writer.file_writer.event_writer
    monkeypatch.setattr(events._ev_writer, "write_event", full_disk)
    run_log.scalars("train", 0, {"l_pix": 0.1})
    events._worker.join(timeout=60)
    for iteration in range(1, 20):
        run_log.scalars("train", iteration, {"l_pix": 0.1})
    run_log.image("held/p0", 20, torch.zeros(4, 4, 3, dtype=torch.uint8).numpy())
    assert caplog.text.count("TensorBoard's file cannot be written") == 1
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["iter"] for row in rows] == list(range(20))


def test_two_processes_do_not_train_one_experiment(recipe, train, folder, capsys):
    assert train(recipe) == 0
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with Folder(folder).claimed():
        assert train(recipe) == 2
        assert train(recipe, "--auto_resume", "train.total_iter=20") == 2
    said = capsys.readouterr().err
    assert said.count(f"srkd: {folder} is being trained by another process") == 2 and "Traceback" not in said
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert train(recipe, "--auto_resume", "train.total_iter=11") == 0


def test_ruined_weights_are_not_saved(recipe, train, folder, capsys):
    """The loss of the last iteration is finite: it is from before the step that ruins them."""
    recipe["train"] |= {"total_iter": 1, "optim_g": {"type": "SGD", "lr": 1e38, "weight_decay": 1e9}}
    assert train(recipe) == 1
    said = capsys.readouterr().err
    assert "has become infinite or not a number by iteration 1. The last checkpoint is none" in said
    assert not (folder / "models").exists()


def test_finite_weights_pass():
    network = EDSR(num_feat=4, num_block=1)
    check_weights(network, 1, None)
    with torch.no_grad():
        network.conv_last.bias[1] = float("nan")
    with pytest.raises(NonFiniteLossError, match=r"conv_last\.bias"):
        check_weights(network, 1, None)


def test_options_of_the_optimiser_may_change_between_parts(recipe, train, folder):
    assert train(recipe, "train.total_iter=5") == 0
    assert train(recipe, "--auto_resume", "train.optim_g={type: Adam, lr: 1e-3, betas: [0.5, 0.6]}") == 0
    (group,) = load_state(folder / "training_states/10.state")["optimizer"]["param_groups"]
    assert tuple(group["betas"]) == (0.5, 0.6)


def test_a_resumed_run_needs_nothing_of_its_start(recipe, train, tmp_path, folder):
    """Neither the network it began as, nor that file's contents, which CSD's space was made from."""
    assert train({**recipe, "name": "start"}) == 0
    start = tmp_path / "start.pth"
    latest = tmp_path / "experiments/start/models/net_g_latest.pth"
    start.write_bytes(latest.read_bytes())
    csd = copy.deepcopy(recipe) | {"method": CSD}
    csd["path"]["pretrain_network_g"] = str(start)
    assert train(csd) == 0
    whole = load_network(folder / "models/net_g_10.pth").state_dict()
    assert train(csd, "train.total_iter=5", "train.scheduler.T_max=10") == 0  # `folder` is moved aside
    start.unlink()
    assert train(csd, "--auto_resume") == 0
    parts = load_network(folder / "models/net_g_10.pth").state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_tensorboard_follows_the_experiment(recipe, train, tmp_path, monkeypatch):
    recipe["logger"]["use_tb_logger"] = True
    monkeypatch.chdir(tmp_path)
    assert train(recipe, "train.total_iter=2") == 0
    assert train(recipe, "train.total_iter=2") == 0
    time.sleep(1.1)  # files of events are named by the second
    assert train(recipe, "--auto_resume", "train.total_iter=4") == 0
    moved, now = sorted((tmp_path / "tb_logger").iterdir(), key=lambda path: path.name == "tiny")
    assert moved.name.startswith("tiny_archived_") and len([*moved.iterdir()]) == 1 and len([*now.iterdir()]) == 2


def test_a_run_of_a_plugin_is_seeded(recipe, train, monkeypatch):
    import random

    import numpy as np

    drawn = []
    monkeypatch.setattr(Validator, "__call__", lambda *_: drawn.append((random.random(), np.random.rand())) or False)
    assert train(recipe, "train.total_iter=5") == 0
    assert train(recipe, "train.total_iter=5") == 0
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"datasets.val.gt_size": 24}, "datasets.held: remove gt_size"),
        ({"method": {"type": "Supervised", "widths": [1.0, 0.5, 0.5]}}, "`widths` (1, 0.5, 0.5) has one of them twice"),
        ({"train.optim_g": {"type": "SGD", "lr": 0.1, "nesterov": True}}, "train.optim_g (SGD): Nesterov momentum"),
    ],
)
def test_mistakes(recipe, train, capsys, tmp_path, change, said):
    for path, value in change.items():
        *parents, last = path.split(".")
        block = recipe
        for key in parents:
            block = block[key]
        block[last] = value
    assert train(recipe) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "experiments").exists()


def test_accumulated_batches_are_read_before_anything_is_drawn(recipe, train, folder, monkeypatch):
    """CSD draws negatives for each part: an image that breaks in the second must not have moved the generator."""
    recipe["method"] = CSD
    recipe["train"] |= {"accumulate": 2, "total_iter": 4}
    recipe["val"]["val_freq"] = recipe["logger"]["save_checkpoint_freq"] = 100
    assert train(recipe) == 0
    whole = load_network(folder / "models/net_g_4.pth").state_dict()

    def breaks(*arguments, **options):
        loader = train_loader(*arguments, **options)
        whole = loader.parcels

        def broken():
            for number, parcel in enumerate(whole):
                if number == 3:
                    raise InputError("an image cannot be decoded.")
                yield parcel

        loader.parcels = broken()
        return loader

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module, "train_loader", breaks)
        assert train(recipe) == 2
    assert states(folder) == [1]
    assert train(recipe, "--auto_resume") == 0
    parts = load_network(folder / "models/net_g_4.pth").state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.parametrize("part", [1, 2])
def test_half_a_step_is_not_counted(recipe, train, folder, monkeypatch, part):
    """One that fails in its first or second part: log and average of the run that goes on are as if undisturbed."""
    recipe["train"] |= {"accumulate": 2, "scheduler": None}
    recipe["datasets"]["train"]["batch_size_per_gpu"] = 2
    recipe["logger"]["print_freq"] = 4
    recipe["val"] = None
    assert train({**recipe, "name": "whole"}) == 0
    calls, compute = [], Supervised.forward

    def fails(self, batch):
        calls.append(batch)
        if len(calls) == 2 * 6 + part + 1:  # the first is the look at the gradients
            raise RuntimeError("in the middle")
        return compute(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Supervised, "forward", fails)
        with pytest.raises(RuntimeError, match="in the middle"):
            train(recipe)
    assert states(folder) == [5, 6]
    assert load_state(folder / "training_states" / "6.state")["ema_updates"] == 6
    assert train(recipe, "--auto_resume") == 0
    whole, other = (read_run(root) for root in (folder.with_name("whole"), folder))
    assert whole.losses == other.losses and len(whole.losses["total"]) == 3
    for name, value in load_network(folder / "models/net_g_10.pth").state_dict().items():
        assert torch.equal(value, load_network(folder.with_name("whole") / "models/net_g_10.pth").state_dict()[name])
