"""Methods with a teacher, through the command line: they train, resume exactly, and leave the teacher alone."""

import json

import pytest
import torch

METHODS = {
    "OutputKD": {"alpha": 0.3},
    "SRKD": {"power": 1, "taps": ["body.1"], "teacher_taps": ["body.0"]},
    "FAKD": {"affinity_weight": 0.01, "pool": 2},
}


@pytest.fixture
def distil(recipe, train, tmp_path):
    """Train a tiny teacher of another width and depth, and return a recipe that learns from it."""
    student = dict(recipe["network_g"])
    recipe["network_g"] = {**student, "num_feat": 12, "num_block": 3}
    assert train({**recipe, "name": "teacher"}, "train.total_iter=1") == 0
    recipe["network_g_teacher"], recipe["network_g"] = recipe["network_g"], student
    recipe["path"]["pretrain_network_g_teacher"] = str(tmp_path / "experiments/teacher/models/net_g_latest.pth")
    return recipe


@pytest.mark.parametrize("name", METHODS)
def test_five_and_five_iterations_are_ten(distil, train, tmp_path, name):
    root = tmp_path / "experiments"
    teacher = (root / "teacher/models/net_g_latest.pth").read_bytes()
    distil["method"] = {"type": name, **METHODS[name]}
    assert train({**distil, "name": "whole"}) == 0
    assert train({**distil, "name": "parts"}) == 0
    for path in (root / "parts").glob("*/*10.*"):  # as if it had ended after 5 iterations
        path.unlink()
    assert train({**distil, "name": "parts"}, "--auto_resume") == 0
    whole, parts = (torch.load(root / run / "models/net_g_10.pth", weights_only=True) for run in ("whole", "parts"))
    for key in ("params", "params_ema"):
        assert all(torch.equal(value, parts[key][name]) for name, value in whole[key].items())
    assert (root / "teacher/models/net_g_latest.pth").read_bytes() == teacher
    state = torch.load(root / "whole/training_states/10.state", weights_only=True)
    assert not state["heads"]
    records = [json.loads(line) for line in (root / "whole/metrics.jsonl").read_text().splitlines()]
    gradients = next(record for record in records if record["kind"] == "gradients")
    assert all(value > 0 for key, value in gradients.items() if key.startswith("l_"))


def test_missing_teacher_is_one_paragraph(recipe, train, capsys):
    recipe["method"] = {"type": "FAKD"}
    assert train(recipe) == 2
    assert "FAKD needs a teacher: give network_g_teacher" in capsys.readouterr().err


def test_wrong_tap_is_one_paragraph(distil, train, capsys):
    distil["method"] = {"type": "SRKD", "taps": ["body.7"], "teacher_taps": ["body.0"]}
    assert train(distil) == 2
    text = " ".join(capsys.readouterr().err.split())
    assert "method (SRKD): tap 'body.7' does not exist in EDSR" in text and "conv_after_body" in text


def test_pisr_in_two_stages(recipe, train, tmp_path):
    """The first stage's network file is all the second needs; the student starts as its decoder; both resume."""
    root = tmp_path / "experiments"
    assert train({**recipe, "name": "first", "method": {"type": "PISRTeacher"}}) == 0
    path = str(root / "first/models/net_g_latest.pth")
    heads = torch.load(root / "first/training_states/10.state", weights_only=True)["heads"]
    content = torch.load(path, weights_only=True)
    encoder = content["companions"]["encoder"]
    assert encoder and all(torch.equal(value, heads[f"encoder.{name}"]) for name, value in encoder.items())

    recipe |= {"method": {"type": "PISR", "stage1": path}}
    recipe["path"]["pretrain_network_g"] = path
    for name in ("whole", "parts"):
        assert train({**recipe, "name": name}) == 0
    for file in (root / "parts").glob("*/*10.*"):
        file.unlink()
    assert train({**recipe, "name": "parts"}, "--auto_resume") == 0
    whole, parts = (torch.load(root / run / "models/net_g_10.pth", weights_only=True) for run in ("whole", "parts"))
    assert all(torch.equal(value, parts["params"][name]) for name, value in whole["params"].items())
    assert set(whole["params"]) == set(content["params"]) and "companions" not in whole  # no heads, no encoder
    state = torch.load(root / "whole/training_states/10.state", weights_only=True)
    assert {name.split(".")[0] for name in state["heads"]} == {"mean_head", "scale_head"}
