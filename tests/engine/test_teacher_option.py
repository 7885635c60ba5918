"""`srkd train --teacher FILE`: the network recognised, OutputKD unless the file has a method, one paragraph else."""

import pytest
import torch
import yaml

from srkd.networks.edsr import EDSR
from srkd.networks.weights import save_network


@pytest.fixture
def teacher(tmp_path):
    torch.manual_seed(0)
    save_network(tmp_path / "t.pth", EDSR(num_feat=12, num_block=3, upscale=2, img_range=1.0, res_scale=0.1))
    return str(tmp_path / "t.pth")


def options(tmp_path):
    return yaml.safe_load((tmp_path / "experiments/tiny/options.yml").read_text())


def test_output_kd_with_the_widths_of_the_file(recipe, train, teacher, tmp_path):
    recipe["method"] = {"type": "Supervised", "widths": [1.0, 0.5]}
    assert train(recipe, "--teacher", teacher) == 0
    written = options(tmp_path)
    assert written["method"]["type"] == "OutputKD" and written["method"]["widths"] == [1.0, 0.5]
    assert written["network_g_teacher"]["res_scale"] == 0.1 and written["network_g_teacher"]["num_feat"] == 12
    assert written["path"]["pretrain_network_g_teacher"] == teacher
    (tmp_path / "again.yml").write_text(yaml.safe_dump(written))  # the record needs no --teacher


@pytest.mark.parametrize("arguments", [(), ("method.teacher_cache=outputs",)])
def test_a_method_of_the_file_stays(recipe, train, teacher, tmp_path, arguments, monkeypatch):
    monkeypatch.setenv("SRKD_HOME", str(tmp_path / "home"))
    recipe["method"] = {"type": "FAKD", "pool": 2}
    assert train(recipe, *arguments, "--teacher", teacher) == 0
    assert options(tmp_path)["method"]["type"] == "FAKD" and options(tmp_path)["method"]["pool"] == 2


def test_without_any_method(recipe, train, teacher, tmp_path):
    recipe.pop("method", None)
    assert train(recipe, "--teacher", teacher, "train.total_iter=1") == 0
    assert options(tmp_path)["method"]["type"] == "OutputKD"


@pytest.mark.parametrize("method", [None, {"type": "Supervised", "widths": [1.0, 0.5]}])
def test_options_of_the_method_to_be_may_be_given_beside_it(recipe, train, teacher, tmp_path, monkeypatch, method):
    monkeypatch.setenv("SRKD_HOME", str(tmp_path / "home"))
    recipe["method"] = method
    if method is None:
        del recipe["method"]
    more = ["method.teacher_cache=outputs", "method:alpha=0.25"]
    assert train(recipe, *more, "--teacher", teacher, "train.total_iter=1") == 0
    written = options(tmp_path)["method"]
    assert (written["type"], written["alpha"], written["teacher_cache"]) == ("OutputKD", 0.25, "outputs")
    assert written["widths"] == (method or {"widths": [1.0]})["widths"]
    of_fitnet = ["method.type=FitNet", "method.taps=[body.0]", "method.teacher_taps=[body.0]"]
    assert train(recipe, *of_fitnet, "--teacher", teacher, "--check") == 0
    assert train(recipe, "method.alhpa=0.25", "--teacher", teacher) == 2


def test_a_real_one_through_spandrel(recipe, train, shared_data, capsys):
    pytest.importorskip("spandrel")
    recipe["scale"] = recipe["network_g"]["upscale"] = 4
    craft = str(shared_data / "weights" / "craft_x4.pth")
    assert train(recipe, "--teacher", craft, "--check") == 0
    assert "l_ts" in capsys.readouterr().out


def test_what_is_wrong_is_one_paragraph(recipe, train, teacher, tmp_path, capsys):
    assert train(recipe, "--teacher", str(tmp_path / "none.pth")) == 2
    assert "none.pth does not exist" in " ".join(capsys.readouterr().err.split())
    recipe["method"] = {"type": "PISRTeacher"}
    assert train(recipe, "--teacher", teacher) == 2
    assert "method PISRTeacher uses no teacher" in " ".join(capsys.readouterr().err.split())
    recipe["scale"] = recipe["network_g"]["upscale"] = 4
    del recipe["method"]
    assert train(recipe, "--teacher", teacher) == 2
    assert "scale" in capsys.readouterr().err
