"""Logged losses: means over everything since the last print, however a step is split; loss names that come and go."""

import json
import subprocess
import sys

import pytest
import torch
import yaml

from srkd.engine.distributed import World
from srkd.engine.finite import NonFiniteLossError
from srkd.engine.meter import LossMeter
from srkd.types import InputError

ALONE = World(0, 1, torch.device("cpu"))


def printed(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in row.items() if key in ("iter", "total") or key.startswith("l_")}
        for row in rows
        if row["kind"] == "train"
    ]


def numbers(**values):
    return {name: torch.tensor(value) for name, value in values.items()}


def test_means_are_over_the_batches_that_had_the_loss():
    meter = LossMeter()
    meter.see(numbers(a=1.0, b=2.0), torch.tensor(3.0), 1)
    meter.see(numbers(b=4.0, a=2.0), torch.tensor(6.0), 2)
    meter.see(numbers(a=3.0, late=7.0), torch.tensor(9.0), 3)
    meter.check(ALONE, None)
    assert meter.read(ALONE) == {"a": 2.0, "b": 3.0, "late": 7.0, "total": 6.0}
    assert meter.read(ALONE) == {}
    meter.see(numbers(a=5.0), torch.tensor(5.0), 4)
    assert list(meter.read(ALONE)) == ["a", "total"]


def test_what_was_added_survives_a_restart_exactly():
    whole, first, second = LossMeter(), LossMeter(), LossMeter()
    values = torch.rand(10, generator=torch.Generator().manual_seed(0))
    for number, value in enumerate(values):
        if number == 5:
            second.load(first.state(), torch.device("cpu"))
        for meter in (whole, first if number < 5 else second):
            meter.see({"a" if number % 3 else "b": value}, value / 3, number)
    assert second.read(ALONE) == whole.read(ALONE)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_the_first_loss_that_is_not_finite_is_named_with_its_step(bad):
    meter = LossMeter()
    meter.see(numbers(a=1.0), torch.tensor(1.0), 1)
    meter.see(numbers(a=1.0, b=bad), torch.tensor(bad), 2)
    meter.see(numbers(a=bad, b=bad), torch.tensor(bad), 3)
    with pytest.raises(NonFiniteLossError, match=r"loss b became infinite or not a number at iteration 2\. .* none: "):
        meter.check(ALONE, None)


def test_a_sum_that_overflows_is_named_too():
    meter = LossMeter()
    meter.see(numbers(a=3e38, b=3e38), torch.tensor(3e38) + torch.tensor(3e38), 1)
    with pytest.raises(NonFiniteLossError, match="loss total became"):
        meter.check(ALONE, None)


def test_a_loss_is_one_number():
    meter = LossMeter()
    meter.see({"a": torch.ones(1)}, torch.ones(1), 1)
    assert meter.read(ALONE) == {"a": 1.0, "total": 1.0}
    with pytest.raises(InputError, match=r"the loss 'a' has the shape \[2, 3\]; it must be one number"):
        meter.see({"a": torch.ones(2, 3)}, torch.tensor(1.0), 1)


def test_prints_are_means_since_the_last_one(recipe, train, tmp_path):
    folder = tmp_path / "experiments/tiny"
    assert train(recipe) == 0
    each = printed(folder)
    assert train(recipe, "logger.print_freq=4") == 0
    for row, among in zip(printed(folder), (each[:4], each[4:8], each[8:]), strict=True):
        assert row["iter"] == among[-1]["iter"]
        assert row["l_pix"] == pytest.approx(sum(one["l_pix"] for one in among) / len(among), rel=1e-6)
        assert row["total"] == pytest.approx(row["l_pix"])


def test_the_total_is_weighted(recipe, train, tmp_path):
    assert train(recipe, "train.pixel_opt.loss_weight=3", "train.total_iter=2") == 0
    for row in printed(tmp_path / "experiments/tiny"):
        assert row["total"] == pytest.approx(3 * row["l_pix"])


def test_a_run_that_stopped_between_two_prints_prints_the_same(recipe, train, tmp_path):
    folder = tmp_path / "experiments/tiny"
    recipe["logger"]["print_freq"] = 4
    assert train(recipe) == 0
    whole = printed(folder)
    for path in (folder / "models/net_g_10.pth", folder / "training_states/10.state"):
        path.unlink()
    assert train(recipe, "--auto_resume") == 0
    assert printed(folder) == whole


def test_the_log_does_not_depend_on_how_a_step_is_split(recipe, train, tmp_path):
    """One batch of 8; two of 4, accumulated; two processes of 4."""
    recipe["train"] |= {"optim_g": {"type": "SGD", "lr": 0.1}, "total_iter": 4}
    recipe["logger"]["print_freq"] = 2
    folder, found = tmp_path / "experiments/tiny", []
    for batch, accumulate in ((8, 1), (4, 2)):
        recipe["datasets"]["train"]["batch_size_per_gpu"] = batch
        assert train(recipe, f"train.accumulate={accumulate}") == 0
        found.append(printed(folder))
    (tmp_path / "options.yml").write_text(yaml.safe_dump(recipe))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*torchrun, "-m", "srkd", "train", "-opt", str(tmp_path / "options.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found.append(printed(folder))
    for rows in found[1:]:
        assert rows == [{key: pytest.approx(value, rel=1e-5) for key, value in row.items()} for row in found[0]]


PLUGIN = """
from srkd.methods.base import Method
from srkd.registry import METHODS

@METHODS.register
class NamesComeAndGo(Method):
    \"\"\"Alternates its losses, and has one more from the fourth step on.\"\"\"

    def __init__(self, student, teacher, pixel):
        super().__init__(student, teacher, pixel)
        self.weights |= {"l_odd": 0.5, "l_late": 0.1}
        self.calls = 0

    def forward(self, batch):
        self.calls += 1
        loss = self.pixel(self.student(batch.lq), batch.gt)
        losses = {"l_pix": loss} if self.calls % 2 else {"l_odd": loss, "l_pix": loss}
        return losses | ({"l_late": loss} if self.calls > 4 else {})
"""


def test_a_method_whose_losses_come_and_go(recipe, train, tmp_path, monkeypatch):
    (tmp_path / "come_and_go.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    recipe |= {"plugins": ["come_and_go"], "method": {"type": "NamesComeAndGo"}}
    assert train(recipe, "logger.print_freq=5") == 0
    first, second = printed(tmp_path / "experiments/tiny")
    assert {"l_pix", "l_odd", "l_late", "total"} < {*first} and list(second)[-1] == "total"
    assert train(recipe, "--check") == 0
