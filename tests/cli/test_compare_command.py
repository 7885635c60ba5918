import json
from pathlib import Path

import numpy as np
import pytest

from srkd.cli import main
from srkd.evaluation.protocols import protocol_of
from srkd.evaluation.result import Result, Row
from srkd.evaluation.tables import write_result

MACHINE = {"srkd_version": "1", "torch": "2", "hardware": "abacus", "device": "cpu", "threads": 1}


def write(path, model, *, shift=0.0, seed=0, n=100, protocol="y"):
    base, noise = np.random.default_rng(0).normal(28, 3, n), np.random.default_rng(seed).gamma(4, size=n) - 4
    values = base + shift + 0.05 * noise
    rows = [
        Row("Urban100", f"i{k:03}", model, 1.0, {"psnr": value, "ssim": 0.9}, 0.1) for k, value in enumerate(values)
    ]
    write_result(path, Result(protocol_of(protocol, 4).record(), [{"name": model}], MACHINE, rows))


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("scratch.json", "scratch")
    write("same.json", "same")
    write("csd.json", "csd", shift=0.05, seed=1)
    write("noise.json", "noise", seed=2)
    for number in range(3):
        write(f"a{number}.json", "a", shift=0.01 * number, seed=10 + number)
        write(f"b{number}.json", "b", shift=0.1 + 0.01 * number, seed=20 + number)


def test_a_shift_is_found_and_noise_is_not(files, capsys):
    assert main(["compare", "scratch.json", "csd.json", "-o", "x.json"]) == 0
    assert "csd is better than scratch by 0.0" in capsys.readouterr().out
    assert main(["compare", "csd.json", "scratch.json"]) == 0
    assert "scratch is worse than csd by 0.0" in capsys.readouterr().out
    assert main(["compare", "scratch.json", "noise.json"]) == 0
    assert "no difference shown between noise and scratch" in capsys.readouterr().out
    (found,) = json.loads(Path("x.json").read_text())["comparisons"]
    assert found["verdict"] == "better" and found["difference"]["low"] > 0 and found["n"] == 100


@pytest.mark.parametrize("second", ["scratch.json", "same.json"])
def test_identical_files_are_said_to_be(second, files, capsys):
    assert main(["compare", "scratch.json", second]) == 0
    out = capsys.readouterr().out
    assert "are identical in psnr on all 100 images" in out and "better than" not in out


def test_seeds_and_a_markdown_file(files, capsys, tmp_path):
    assert main(["compare", "a=a*.json", "b=b*.json", "-o", str(tmp_path / "new" / "x.md")]) == 0
    out, text = capsys.readouterr().out, (tmp_path / "new" / "x.md").read_text()
    for shown in (out, text):
        assert "b is better than a by 0." in shown and "3 and 3 runs" in shown and "not paired" in shown
        assert "Protocol y: ×4" in shown
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 3 and len({line.count("|") for line in lines}) == 1
    assert "few" not in text and "one run" not in text


def test_folders_of_seeds_paired_by_their_names(files, capsys, tmp_path):
    for number in range(3):
        write(f"scratch/scratch_seed{number}.json", "net", shift=0.1 * number, seed=number)
        write(f"kd/kd_seed{number}.json", "net", shift=0.1 * number + 0.06 + 0.002 * number, seed=10 + number)
    for scratch, kd in (("scratch", "kd"), ("scratch/", "kd/"), ("scratch/*.json", "kd/*_seed?.json")):
        assert main(["compare", f"scratch={scratch}", f"kd={kd}", "--power", "-o", "x.json"]) == 0
        out = capsys.readouterr().out
        assert "kd is better than scratch by 0.0" in out and "paired by the names" in out and "3 paired seeds" in out
        assert "a true difference of 0.05 dB would be shown" in out
    (item,) = json.loads((tmp_path / "x.json").read_text())["comparisons"]
    assert item["seeds"]["numbers"] == [0, 1, 2] and 0 < item["power"]["value"] <= 1


def test_a_comma_in_a_name_parts_nothing(files, capsys):
    write("odd.json", "a,b")
    assert main(["compare", "scratch.json", "x,y=odd.json:a,b"]) == 0
    assert "x,y" in capsys.readouterr().out
    assert main(["compare", "s=scratch.json", "c,d=b0.json,b1.json,b2.json"]) == 0
    assert "c,d is better than s" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arms", "fail_if", "status"),
    [
        (("scratch.json", "csd.json"), "worse", 0),
        (("csd.json", "scratch.json"), "worse", 1),
        (("scratch.json", "noise.json"), "worse", 0),
        (("scratch.json", "noise.json"), "not-better", 1),
        (("scratch.json", "csd.json"), "not-better", 0),
        (("scratch.json", "same.json"), "not-better", 1),
    ],
)
def test_the_exit_status_can_stop_a_pipeline(arms, fail_if, status, files):
    assert main(["compare", *arms, "--fail-if", fail_if]) == status


def test_mistakes_of_the_user_exit_with_2_and_a_sentence(files, capsys, tmp_path):
    write("rgb.json", "rgb", protocol="rgb")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.json").write_text((tmp_path / "csd.json").read_text()[:500])
    for arguments, said in (
        (["scratch.json", "rgb.json"], "different protocols"),
        (["scratch.json", "broken.json"], "broken.json is not JSON"),
        (["scratch.json"], "nothing to compare"),
        (["scratch.json", "csd.json", "-o", "x.csv"], ".json, .md or .tex"),
        (["scratch.json", "csd.json", "--metric", "lpips"], "has no 'lpips'"),
        (["scratch.json", "csd.json", "--sets", "Set5"], "no set 'Set5'"),
        (["scratch.json", "csd.json", "--power", "0"], "--power is a difference above 0"),
        (["x=nowhere"], "is not [NAME=]FILE"),
        (["x=empty"], "the folder empty has no result file"),
    ):
        assert main(["compare", *arguments]) == 2
        captured = capsys.readouterr()
        assert said in captured.err and captured.out == ""
