"""`network_g_teachers` in an option file: built, checked like one, cached, told in benchmarks; own widths."""

import copy
import json

import pytest
import torch

from srkd.cli import main
from srkd.engine.teachers import teachers_of
from srkd.evaluation.models import load_models


@pytest.fixture
def two(recipe, train, tmp_path, monkeypatch):
    """A recipe with two teachers of unlike sizes, trained for one iteration each."""
    monkeypatch.setenv("SRKD_HOME", str(tmp_path / "home"))
    student = dict(recipe["network_g"])
    networks = {"strong": {**student, "num_feat": 12, "res_scale": 0.1}, "slim": {**student, "num_feat": 6}}
    files = {}
    for name, network in networks.items():
        assert train({**recipe, "network_g": network, "name": name}, "train.total_iter=1", "val.val_freq=9") == 0
        files[name] = str(tmp_path / f"experiments/{name}/models/net_g_latest.pth")
    recipe["network_g_teachers"] = networks
    recipe["path"]["pretrain_network_g_teachers"] = files
    return recipe


def losses(tmp_path, name):
    lines = (tmp_path / f"experiments/{name}/metrics.jsonl").read_text().splitlines()
    return {key for line in lines for key in json.loads(line) if key.startswith(("l_", "AdaptiveKD", "FitNet"))}


METHODS = {
    "mean": ({"type": "OutputKD"}, {"l_pix", "l_ts.strong", "l_ts.slim"}),
    "cached": ({"type": "AdaptiveKD", "teacher_cache": "outputs"}, {"l_pix", "l_ts.strong", "l_ts.slim"}),
    "widths": (
        {"type": "AdaptiveKD", "widths": [1.0, 0.5], "teacher_widths": {"strong": [1.0], "slim": [0.5]}},
        {"l_pix@1", "l_pix@0.5", "l_ts.strong@1", "l_ts.slim@0.5"},
    ),
    "fedmmd": (
        {"type": "Sum", "terms": [{"type": "AdaptiveKD"}, {"type": "FitNet", "weight": 0.1}]},
        {
            *("AdaptiveKD.l_pix", "AdaptiveKD.l_ts.strong", "AdaptiveKD.l_ts.slim"),
            *("FitNet.l_pix", "FitNet.l_feat.strong", "FitNet.l_feat.slim"),
        },
    ),
}


@pytest.mark.parametrize("name", METHODS)
def test_several_teachers_train_from_a_file(two, train, tmp_path, name, capsys):
    two["method"], expected = METHODS[name]
    assert train({**two, "name": name}, "train.total_iter=2") == 0
    assert losses(tmp_path, name) == expected
    found, notices = teachers_of(load_models([tmp_path / f"experiments/{name}/models/net_g_latest.pth"]))
    assert [teacher.name for teacher in found] == [f"strong (teacher of {name})", f"slim (teacher of {name})"]
    assert notices == []
    if name == "cached":
        assert len(list((tmp_path / "home/teachers").iterdir())) == 2
        assert main(["data", "render-teacher", "-opt", str(tmp_path / "options.yml")]) == 0
        assert capsys.readouterr().out.count("0 pictures made, 4 there") == 2


def test_a_teacher_of_other_widths_alone_changes_them_alone(two, train, tmp_path):
    """With `teacher_widths` the full width has its whole pixel loss where nobody teaches it."""
    two["method"] = {"type": "OutputKD", "widths": [1.0, 0.5], "teacher_widths": {"strong": [0.5], "slim": [0.5]}}
    assert train({**two, "name": "narrow"}, "train.total_iter=2") == 0
    assert losses(tmp_path, "narrow") == {"l_pix@1", "l_pix@0.5", "l_ts.strong@0.5", "l_ts.slim@0.5"}


WRONG = {
    "one and several": (
        {"network_g_teacher": {"type": "EDSR", "num_feat": 4, "num_block": 1}},
        "network_g_teacher and network_g_teachers are given",
    ),
    "no weights": (
        {"path": {"pretrain_network_g_teachers": {"slim": None}}},
        "network_g_teachers.slim is given without its weights: set path.pretrain_network_g_teachers.slim",
    ),
    "weights of nobody": (
        {"path": {"pretrain_network_g_teachers": {"slin": "x.pth"}}},
        "network_g_teachers has no 'slin'. Did you mean 'slim'?",
    ),
    "scale": ({"network_g_teachers": {"slim": {"upscale": 3}}}, "is 3, but scale is 2"),
    "own": ({"network_g_teachers": {"own": {"type": "EDSR"}}}, "`own` is the student's own full width"),
    "name": ({"network_g_teachers": {"a.b": {"type": "EDSR"}}}, "letters, digits and _ only"),
    "unknown option": ({"network_g_teachers": {"slim": {"num_feats": 3}}}, "Did you mean 'num_feat'?"),
    "a method of one": ({"method": {"type": "Supervised"}}, "uses no teacher"),
    "widths of nobody": (
        {"method": {"type": "OutputKD", "teacher_widths": {"fat": [1.0]}}},
        "`teacher_widths`, fat: [1]: it names a teacher (strong, slim)",
    ),
    "widths that are not trained": (
        {"method": {"type": "OutputKD", "teacher_widths": {"slim": [0.5]}}},
        "some of the `widths` (1)",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_several_teachers_is_said(two, train, case, capsys):
    changes, message = WRONG[case]
    recipe = copy.deepcopy({**two, "method": {"type": "OutputKD"}})
    merge(recipe, changes)
    assert train({**recipe, "name": "wrong"}) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def merge(into, changes):
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict) and key != "method":
            merge(into[key], value)
        elif value is None:
            del into[key]
        else:
            into[key] = value


def test_a_missing_picture_of_one_teacher_is_made(two, train, tmp_path):
    two["method"] = {"type": "OutputKD", "teacher_cache": "outputs"}
    assert train({**two, "name": "a"}, "train.total_iter=1") == 0
    first = next(iter(sorted((tmp_path / "home/teachers").glob("*/*.png"))))
    first.unlink()
    assert train({**two, "name": "b"}, "train.total_iter=1") == 0
    assert first.is_file()
    one, other = (torch.load(tmp_path / f"experiments/{n}/models/net_g_1.pth", weights_only=True) for n in "ab")
    assert all(torch.equal(value, other["params"][key]) for key, value in one["params"].items())
