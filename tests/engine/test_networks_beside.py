"""Networks that are trained beside the student: averaged, validated and saved as it is, and opened as any."""

import json

import pytest
import torch

from srkd.cli import main
from srkd.evaluation.report.curves import read_run
from srkd.networks.weights import load_network

METHODS = {"peer": {"type": "MutualLearning"}, "exit1": {"type": "BYOT", "exits": [1], "widths": [1.0, 0.5]}}


@pytest.fixture(params=METHODS)
def name(request):
    return request.param


def rows(root, kind):
    lines = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


def test_averaged_validated_and_saved(recipe, train, tmp_path, photographs, name, capsys):
    recipe["method"] = METHODS[name]
    recipe["val"]["save_img"] = True
    assert train(recipe) == 0
    root = tmp_path / "experiments/tiny"
    assert {file.name for file in (root / "models").iterdir()} == {
        f"net_{network}_{tag}.pth" for network in ("g", name) for tag in ("5", "10", "latest", "best")
    }
    saved = torch.load(root / "models" / f"net_{name}_10.pth", weights_only=True)
    assert any(not torch.equal(value, saved["params_ema"][key]) for key, value in saved["params"].items())
    assert saved["method"] == METHODS[name]["type"] and "companions" not in saved
    own, beside = rows(root, "val"), rows(root, f"val_{name}")
    assert [(row["iter"], row["width"]) for row in own] == [(row["iter"], row["width"]) for row in beside]
    assert all(a["psnr"] != b["psnr"] for a, b in zip(own, beside, strict=True))
    assert f"Validation held, {name}" in (root / "train.log").read_text()
    assert [*(root / "visualization").glob(f"*/*_{name}.png")]
    assert {key[2] for key in read_run(root).validation} == {row["width"] for row in own}  # the student's curve alone
    # what validation saw at the end is what a benchmark measures
    result = tmp_path / "found.json"
    file = root / "models" / f"net_{name}_latest.pth"
    assert main(["benchmark", str(file), "--sets", str(photographs), "-o", str(result), "--widths", "1", "-q"]) == 0
    measured = [row["psnr"] for row in json.loads(result.read_text())["rows"] if row["model"] != "bicubic"]
    assert len(measured) == 4
    assert sum(measured) / 4 == pytest.approx(next(row["psnr"] for row in beside[::-1] if row["width"] == 1), abs=1e-6)
    assert len(load_network(file).body) == (1 if name == "exit1" else 2)
    out = tmp_path / "out"
    assert main(["upscale", str(photographs), "-m", str(file), "-o", str(out)]) == 0
    assert len(list(out.iterdir())) == 4


def test_best_is_the_students(recipe, train, tmp_path):
    recipe["method"] = {"type": "BYOT", "exits": [1], "alpha": 0.0}
    assert train(recipe) == 0
    root = tmp_path / "experiments/tiny"
    state = torch.load(root / "training_states/10.state", weights_only=True)
    values = [row["psnr"] for row in rows(root, "val")]
    assert state["best"]["value"] == pytest.approx(max(values))
    assert set(state["best"]["records"]) == {"held/psnr@1", "held/psnr@1_exit1"}


def test_check_writes_and_opens_them_too(recipe, train, tmp_path, capsys):
    recipe["method"] = METHODS["exit1"]
    assert train(recipe, "--check") == 0
    assert "l_exit_feat.exit1@0.5" in capsys.readouterr().out and not (tmp_path / "experiments").exists()


def test_a_file_that_is_missing_on_resuming_is_named(recipe, train, tmp_path, capsys):
    recipe["method"] = METHODS["peer"]
    assert train(recipe) == 0
    (tmp_path / "experiments/tiny/models/net_peer_10.pth").unlink()
    assert train(recipe, "--auto_resume", "train.total_iter=12") == 2
    assert "net_peer_10.pth" in capsys.readouterr().err
