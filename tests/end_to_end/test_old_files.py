"""What version 0.1 wrote goes on working: files made at af2a8ce (tests/data_0_1) open, resume, compare."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from srkd import Upscaler, load_network
from srkd.cli import main
from srkd.imaging.files import read_image

OLD = Path(__file__).resolve().parents[1] / "data_0_1"
NETWORK = "experiments/teacher/models/net_g_10.pth"


@pytest.fixture
def old(tmp_path, monkeypatch) -> Path:
    """A copy to work in, as the current folder: there the plugins are found, and a training can be resumed."""
    folder = tmp_path / "old"
    shutil.copytree(OLD, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.mark.parametrize("file", [NETWORK, "teacher.safetensors"])
def test_a_network_file_gives_the_picture_it_gave(old, file):
    up = Upscaler(file, precision="fp32")
    assert up.scale == 2
    sr = up(read_image("photos/p0.png")).astype(int)
    assert np.abs(sr - read_image("upscaled_p0.png").astype(int)).max() <= 1  # other machines round otherwise


def test_both_file_formats_hold_one_network(old):
    one, other = load_network(NETWORK).state_dict(), load_network("teacher.safetensors").state_dict()
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("options", ["{}.yml", "experiments/{}/options.yml"])
@pytest.mark.parametrize("name", ["teacher", "student"])  # the student: a network and a method from plugins
def test_a_training_goes_on_to_where_it_came(old, name, options):
    end = old / f"experiments/{name}/models/net_g_10.pth"
    expected = torch.load(end, weights_only=True)
    end.unlink()
    shutil.copy(old / options.format(name), old / "go_on.yml")  # the record itself may be written again

    assert main(["train", "-opt", "go_on.yml", "--auto_resume"]) == 0

    found = torch.load(end, weights_only=True)
    for key in ("params", "params_ema"):
        assert found[key].keys() == expected[key].keys()
        for tensor, before in expected[key].items():
            torch.testing.assert_close(found[key][tensor], before, rtol=1e-4, atol=1e-6, msg=f"{key} {tensor}")


def test_an_options_record_is_an_option_file(old):
    record = yaml.safe_load((old / "experiments/student/options.yml").read_text())
    assert record["plugins"] == ["old_method", "old_network"]
    assert main(["train", "-opt", "experiments/student/options.yml", "name=again", "--check"]) == 0


def test_a_result_file_compares(old, capsys):
    arms = ["early=result.json:early_s*", "late=result.json:late_s*"]
    assert main(["compare", *arms, "-o", "verdict.json"]) == 0
    assert "late" in capsys.readouterr().out
    assert Path("verdict.json").exists()


def test_a_result_file_makes_a_report(old):
    assert main(["report", "result.json", "-o", "report.html"]) == 0
    assert "late_s1" in Path("report.html").read_text(encoding="utf-8")
