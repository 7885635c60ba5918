"""What a method may ask of the engine: steps before and after, groups of parameters, heads that join later, banks."""

import json
import subprocess
import sys

import pytest
import torch
import yaml

from srkd.engine.trainer import Trainer

PLUGIN = '''
import torch
from torch import nn

from srkd.methods.base import Method, everyone
from srkd.registry import METHODS


@METHODS.register
class Joining(Method):
    """A head that joins at half time, a bank of what all processes saw, a rate of its own, and a count of steps."""

    def __init__(self, student, teacher, pixel):
        super().__init__(student, teacher, pixel)
        self.head = nn.Conv2d(3, 3, 1)
        self.weights["l_head"] = 0.1
        self.register_buffer("bank", torch.zeros(8, 3))
        self.register_buffer("average", torch.zeros(3, 3, 1, 1))
        self.asked = []

    def param_groups(self):
        return [
            {"params": list(self.student.parameters())},
            {"params": list(self.head.parameters()), "lr_factor": 10.0, "weight_decay": 0.5},
        ]

    def before_step(self, progress):
        super().before_step(progress)
        self.asked.append(progress)

    def after_step(self, progress):
        self.average.lerp_(self.head.weight.detach(), 0.5)
        self.asked.append(progress)

    def forward(self, batch):
        sr = self.student(batch.lq)
        rows = everyone(batch.gt.mean((2, 3)))
        self.bank = torch.cat([self.bank[len(rows) :], rows])
        losses = {"l_pix": self.pixel(sr, batch.gt)}
        if self.progress >= 0.5:
            losses["l_head"] = (self.head(sr) - batch.gt).square().mean()
        return losses
'''


@pytest.fixture
def joining(recipe, tmp_path, monkeypatch):
    (tmp_path / "joining.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return {**recipe, "plugins": ["joining"], "method": {"type": "Joining"}}


def test_hooks_are_called_around_each_step(joining, train, monkeypatch):
    made, run = [], Trainer.run
    monkeypatch.setattr(Trainer, "run", lambda trainer: made.append(trainer) or run(trainer))
    assert train(joining) == 0
    method, optimizer = made[0].method, made[0].optimizer
    expected = [step / 10 for number in range(10) for step in (number, number + 1)]
    assert method.asked == pytest.approx(expected)
    first, second = optimizer.param_groups
    assert second["lr"] == pytest.approx(10 * first["lr"]) and second["weight_decay"] == 0.5
    assert "lr_factor" not in second and made[0].base_rates == pytest.approx([1e-3, 1e-2])


def test_a_loss_that_joins_is_logged_from_then_on(joining, train, tmp_path):
    assert train(joining) == 0
    lines = [json.loads(line) for line in (tmp_path / "experiments/tiny/metrics.jsonl").read_text().splitlines()]
    named = {row["iter"]: "l_head" in row for row in lines if row["kind"] == "train"}
    assert named == {step: step > 5 for step in range(1, 11)}


def test_resumed_exactly_with_bank_average_and_head(joining, train, tmp_path):
    root = tmp_path / "experiments"
    assert train({**joining, "name": "whole"}) == 0
    assert train({**joining, "name": "parts"}) == 0
    for path in (root / "parts").glob("*/*10.*"):
        path.unlink()
    assert train({**joining, "name": "parts"}, "--auto_resume") == 0
    whole, parts = (
        torch.load(root / run / "training_states/10.state", weights_only=True) for run in ("whole", "parts")
    )
    assert {"head.weight", "bank", "average"} <= set(whole["heads"])
    assert all(torch.equal(value, parts["heads"][name]) for name, value in whole["heads"].items())


def test_two_processes_with_a_head_that_joins_and_a_bank_of_both(joining, train, tmp_path):
    """The steps of two processes are those of one with twice the batch, the bank too."""
    joining["datasets"]["train"]["batch_size_per_gpu"] = 4
    assert train({**joining, "name": "one"}) == 0
    joining["datasets"]["train"]["batch_size_per_gpu"] = 2
    joining["name"] = "two"
    (tmp_path / "options.yml").write_text(yaml.safe_dump(joining))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "srkd"]
    done = subprocess.run(
        [*command, "train", "-opt", str(tmp_path / "options.yml")], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    root = tmp_path / "experiments"
    one, two = (torch.load(root / run / "training_states/10.state", weights_only=True) for run in ("one", "two"))
    torch.testing.assert_close(two["heads"], one["heads"], rtol=1e-3, atol=1e-4)
    assert one["heads"]["bank"].abs().sum() > 0
