"""The step that CUDA records: run on the CPU from the same tensors, it is the ordinary one to the bit."""

import copy
import json
import logging
from types import SimpleNamespace

import pytest
import torch
import yaml

from srkd.engine import graphed, trainer
from srkd.engine.build import Start, build_trainer
from srkd.engine.graphed import StaticStep, changes_between_steps, why_no_graph
from srkd.engine.meter import LossMeter
from srkd.engine.optim import Adam, Ema, load_optimizer, optimizer_state, set_rate
from srkd.engine.runtime import Clock
from srkd.engine.settings import Settings
from srkd.engine.step import Step
from srkd.losses.pixel import L1Loss
from srkd.methods.supervised import Supervised
from srkd.networks.edsr import EDSR
from srkd.networks.weights import load_network, save_network
from srkd.options import load_train_options

CSD = {"type": "CSD", "widths": [0.5, 0.25], "num_negatives": 2, "perceptual": {"type": "network"}}
SUM = {"type": "Sum", "terms": [CSD, {"type": "Supervised", "schedule": "decay"}]}
CASES = {
    "supervised": {},
    "bf16": {"train": {"precision": "bf16"}},
    "widths": {"method": {"type": "Supervised", "widths": [1.0, 0.5, 0.25]}},
    "CSD draws negatives": {"method": CSD},
    "a sum with a schedule": {"method": SUM},
    "a teacher": {"method": {"type": "OutputKD"}},
    "clipped": {"train": {"grad_clip": 0.01}},
    "a Y network": {"network_g": {"type": "SNSR", "num_feat": 8, "upscale": 2}},
    "accumulated": {"train": {"accumulate": 2}},
}


def changed(recipe, case, tmp_path):
    recipe = copy.deepcopy(recipe)
    recipe["train"]["total_iter"] = 20
    for block, options in CASES[case].items():
        replaced = block in ("method", "network_g")
        recipe[block] = options if replaced else {**recipe.get(block, {}), **options}
    if case == "a teacher":
        teacher = EDSR(num_feat=8, num_block=1, upscale=2, img_range=1.0)
        save_network(tmp_path / "teacher.pth", teacher)
        recipe["network_g_teacher"] = {"type": "EDSR", "num_feat": 8, "num_block": 1, "upscale": 2, "img_range": 1.0}
        recipe["path"]["pretrain_network_g_teacher"] = str(tmp_path / "teacher.pth")
    return recipe


@pytest.mark.parametrize("case", CASES)
def test_twenty_iterations_are_the_same_to_the_bit(recipe, tmp_path, case):
    file = tmp_path / "options.yml"
    file.write_text(yaml.safe_dump(changed(recipe, case, tmp_path)))

    def trained(kind):
        run = build_trainer(load_train_options(file), Start(dry=True))
        step = run.step
        parts = {name: getattr(step, name) for name in ("optimizer", "settings", "world", "meter", "ema")}
        run.step = kind(step.method, **parts)
        loader, clock, means = run._batches(), Clock(), []
        run.method.train()
        for _ in range(20):
            run._step(loader, clock)
            means.append(run.meter.read(run.world))
        return run, means

    (one, losses), (other, same) = trained(Step), trained(StaticStep)
    assert losses == same and len(losses) == 20
    for a, b in zip(one.method.state_dict().values(), other.method.state_dict().values(), strict=True):
        assert torch.equal(torch.as_tensor(a), torch.as_tensor(b)) if isinstance(a, torch.Tensor) else True
    assert all(torch.equal(one.ema.params[name], other.ema.params[name]) for name in one.ema.params)
    moments = [optimizer_state(run.optimizer)["state"] for run in (one, other)]
    assert all(torch.equal(moments[0][i]["exp_avg_sq"], moments[1][i]["exp_avg_sq"]) for i in moments[0])


def test_it_goes_on_where_it_was(recipe, train, tmp_path, monkeypatch):
    recipe["method"] = CSD
    models = tmp_path / "experiments" / "tiny" / "models"
    assert train(recipe) == 0
    whole = load_network(models / "net_g_10.pth").state_dict()
    monkeypatch.setattr(trainer, "best_step", lambda method, **parts: StaticStep(method, **parts))
    assert train(recipe, "train.total_iter=5", "train.scheduler.T_max=10") == 0
    assert train(recipe, "--auto_resume") == 0
    parts = load_network(models / "net_g_10.pth").state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    rows = [json.loads(line) for line in (models.parent / "metrics.jsonl").read_text().splitlines()]
    assert [row["iter"] for row in rows if row["kind"] == "train"] == list(range(1, 11))


# --- where it is not recorded, the log says why


class Scheduled(Supervised):
    def weight(self, name, progress):
        return super().weight(name, progress) * (1 - progress / 2)


class Informed(Supervised):
    def forward(self, batch):
        return {name: value * (1 + self.progress) for name, value in super().forward(batch).items()}


class Declared(Scheduled):
    cuda_graph = True


def a_step(method=Supervised, size=1, optimizer=None, **settings):
    network = EDSR(num_feat=4, num_block=0, upscale=2)
    made = method(network, None, L1Loss())
    optimizer = optimizer or Adam(made.parameters(), lr=1e-3)
    if optimizer.__class__ is torch.optim.Adam:
        optimizer.param_groups[0]["lr"] = torch.tensor(1e-3)  # as on CUDA
    world = SimpleNamespace(size=size, device=torch.device("cpu"))
    return SimpleNamespace(
        method=made, optimizer=optimizer, settings=Settings(total_iter=9, **settings), world=world
    )  # what is asked of a step


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, None),
        ({"precision": "bf16"}, None),
        ({"compile": "max-autotune-no-cudagraphs"}, None),
        ({"cuda_graph": False}, "train.cuda_graph is false"),
        ({"precision": "fp16"}, "fp16"),
        ({"accumulate": 2}, "train.accumulate"),
        ({"compile": "reduce-overhead"}, "reduce-overhead"),
        ({"size": 2}, "several processes"),
        ({"method": Scheduled}, "Scheduled does not say `cuda_graph = True`"),
        ({"method": Declared}, None),
        ({"optimizer": torch.optim.LBFGS([torch.nn.Parameter(torch.zeros(1))])}, "LBFGS keeps its learning rate"),
    ],
)
def test_why_a_step_is_not_recorded(options, said):
    reason = why_no_graph(a_step(**options))
    assert reason is None if said is None else said in reason


def test_what_changes_between_steps_is_not_recorded():
    from srkd.types import Batch

    batch = Batch(torch.rand(1, 3, 4, 4), torch.rand(1, 3, 8, 8))
    for method, said in ((Supervised, None), (Declared, "weight of l_pix changes"), (Informed, "the progress")):
        made = a_step(method).method
        names = made(batch)
        reason = changes_between_steps(made, names)
        assert reason is None if said is None else said in reason


def test_numbers_drawn_on_the_cpu_are_noticed():
    before = graphed.random_states()
    assert not graphed._moved(before)
    torch.rand(1)
    assert graphed._moved(before)


# --- its parts


def test_a_state_of_one_device_is_loaded_on_another():
    """Step counts lie where the optimiser that is loaded into wants them, whatever the one that was saved did."""
    parameter = torch.nn.Parameter(torch.ones(3))
    saved = torch.optim.Adam([parameter], lr=torch.tensor(0.5), capturable=True, foreach=True)
    parameter.grad = torch.ones(3)
    state = {"state": {0: {"step": torch.tensor(4.0), "exp_avg": torch.ones(3), "exp_avg_sq": torch.ones(3)}}}
    state["param_groups"] = saved.state_dict()["param_groups"]
    fresh = Adam([parameter], lr=0.1)
    load_optimizer(fresh, state)
    assert fresh.param_groups[0]["lr"] == 0.1 and not fresh.param_groups[0]["capturable"]
    assert fresh.state[parameter]["step"] == 4
    saved.load_state_dict(fresh.state_dict())
    assert [group["lr"] for group in optimizer_state(saved)["param_groups"]] == [0.1]
    set_rate(group := {"lr": torch.tensor(0.5)}, 0.25)
    assert isinstance(group["lr"], torch.Tensor) and group["lr"] == 0.25


def test_the_average_from_a_share_on_the_device_is_the_same():
    network = EDSR(num_feat=4, num_block=0, upscale=2)
    one, other = Ema(network, decay=0.9), Ema(network, decay=0.9)
    other._share_on_device = torch.ones(())
    for _ in range(5):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter))
        one.advance()
        one.blend()
        other.advance()
        other.blend()
    for name in one.params:
        torch.testing.assert_close(one.params[name], other.params[name], rtol=1e-6, atol=1e-6)


def test_the_meter_counts_what_is_replayed():
    meter, world = LossMeter(), SimpleNamespace(size=1, device=torch.device("cpu"))
    loss = torch.tensor(2.0)
    meter.see({"l": loss}, loss, 1)
    before = meter.counts()
    meter.see({"l": loss}, loss, 2)  # recording: on a GPU nothing is added
    meter._groups["l", "total"].sums -= 2
    seen = meter.take_back(before)
    for _ in range(3):
        meter._groups["l", "total"].sums += 4  # a replay
        meter.count(seen)
    assert meter.read(world) == {"l": 3.5, "total": 3.5}
    assert meter.read(world) == {} and meter.state() == []
    meter.see({"l": torch.tensor(float("nan"))}, loss, torch.tensor(7))
    with pytest.raises(trainer.NonFiniteLossError, match="iteration 7"):
        meter.check(world, None)


def test_the_log_says_why(recipe, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(graphed, "GraphedStep", StaticStep)
    network = EDSR(num_feat=4, num_block=0, upscale=2)
    method = Supervised(network, None, L1Loss())
    optimizer = torch.optim.SGD(method.parameters(), lr=0.1)
    world = SimpleNamespace(size=1, device=torch.device("cuda"))
    monkeypatch.setattr(graphed, "Step", lambda *_, **__: "plain")
    monkeypatch.setattr(StaticStep, "__init__", lambda self, m, **parts: self.__dict__.update(method=m, **parts))
    with caplog.at_level(logging.INFO):
        parts = {"optimizer": optimizer, "settings": Settings(total_iter=1), "world": world}
        assert graphed.best_step(method, **parts) == "plain"
    assert "kernel by kernel, not as a CUDA graph: SGD keeps its learning rate" in caplog.text
