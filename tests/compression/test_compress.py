"""`srkd compress`: the whole way in small, interrupted at each stage, and what is said of mistakes."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import srkd
from srkd.cli import main
from srkd.compression import run as module
from srkd.engine.run import train
from srkd.imaging.files import write_image
from srkd.networks.edsr import EDSR
from srkd.networks.weights import save_network
from srkd.types import InputError

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SRKD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(module, "_FEWEST_ITERATIONS", 4)
    monkeypatch.setattr(module, "_REHEARSED", 2)
    monkeypatch.setattr("srkd.compression.recipe.GT_SIZE", 32)
    monkeypatch.setattr("srkd.compression.recipe.BATCH_SIZE", 2)


@pytest.fixture
def photos(tmp_path):
    generator = np.random.default_rng(0)
    for at in range(12):
        coarse = generator.integers(0, 256, (9, 10, 3), np.uint8)
        image = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
        write_image(tmp_path / "photos" / f"part_{at % 2}" / f"{at}.png", image)
    return tmp_path / "photos"


@pytest.fixture
def teacher(tmp_path):
    torch.manual_seed(0)
    save_network(tmp_path / "teacher.pth", EDSR(num_feat=16, num_block=2, upscale=2))
    return tmp_path / "teacher.pth"


def arguments(teacher: Path, photos: Path, out: Path, *more: str, formats: str = "pth") -> list[str]:
    command = ["compress", str(teacher), "--data", str(photos), "-o", str(out), "--parameters", "3000"]
    return [*command, "--minutes", "0.02", "--size", "24x32", "--formats", formats, "--max-loss", "50", *more]


def test_the_whole_way(teacher, photos, tmp_path, capsys):
    out = tmp_path / "out"
    command = arguments(teacher, photos, out, "--test", str(photos / "part_0"), formats="pth,onnx,int8")
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "chosen" in shown
    assert "teacher's width 0.25" in shown
    record = json.loads((out / "compress.json").read_text())
    student = srkd.load_network(out / "student_x2.pth")
    assert sum(p.numel() for p in student.parameters()) == record["student"]["params"] <= 3000
    quantised = srkd.load_network(out / "student_x2_int8.onnx")
    assert quantised.config["precision"] == "int8"
    report = (out / "report.md").read_text()
    for word in ("student_x2.pth", "student_x2.onnx", "student_x2_int8.onnx", "(teacher)", "bicubic", "int8: "):
        assert word in report
    assert "Set5" not in report
    assert "part_0" in report
    assert "12 photographs" not in (out / "README.md").read_text()
    held_out = json.loads((out / "results_held_out.json").read_text())
    assert {row["model"] for row in held_out["rows"]} >= {"teacher", "student_x2.pth", "bicubic"}

    # the option file is an ordinary one: what it makes is what was made
    weights = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    again = train(out / "train.yml", f"path.experiments_root={tmp_path / 'again'}", quiet=True)
    found = srkd.load_network(again).state_dict()
    assert all(torch.equal(found[name], weights[name]) for name in weights)

    # the same command finds everything done; another one is refused, and loses nothing
    assert main(command) == 0
    assert "was begun before" in capsys.readouterr().out
    assert main([*command, "--minutes", "1"]) == 2
    assert "minutes 0.02 → 1.0" in capsys.readouterr().err
    assert (out / "report.md").read_text()


@pytest.mark.parametrize("stage", ["attach_targets", "train", "_export", "measure"])
def test_what_is_interrupted_goes_on(teacher, photos, tmp_path, monkeypatch, capsys, stage):
    command = arguments(teacher, photos, tmp_path / "out")
    real = getattr(module, stage)

    def interrupted(*args, **kwargs):
        if stage == "train":  # in the middle of it
            kwargs["on_step"] = stop
        else:
            raise KeyboardInterrupt(2)
        return real(*args, **kwargs)

    def stop(iteration):
        if iteration == 2:
            raise KeyboardInterrupt(2)

    with monkeypatch.context() as patch:
        patch.setattr(module, stage, interrupted)
        assert main(command) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert main(command) == 0
    assert "was begun before" in capsys.readouterr().out
    assert (tmp_path / "out" / "student_x2.pth").is_file()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--parameters", "10"], "no student keeps the budget (10 parameters)"),
        (["--minutes", "0"], "--minutes is above 0"),
        (["--formats", "pth,gguf"], "unknown 'gguf'"),
        (["--size", "24"], "--size is height x width"),
        (["--latency-ms", "-1"], "--latency-ms is above 0"),
        (["--data", "nowhere"], "nowhere does not exist"),
        (["--test", "Set555"], "no test set 'Set555'"),
    ],
)
def test_mistakes(teacher, photos, tmp_path, capsys, change, words):
    assert main([*arguments(teacher, photos, tmp_path / "out"), *change]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert "Training" not in said.out  # known before the work


def test_too_few_photographs_no_budget_and_no_teacher(teacher, photos, tmp_path, capsys):
    with pytest.raises(InputError, match="has 6 images"):
        srkd.compress(teacher, tmp_path / "out", data=photos / "part_0", parameters=3000)
    with pytest.raises(InputError, match="say what the device allows"):
        srkd.compress(teacher, tmp_path / "out", data=photos)
    with pytest.raises(InputError, match="does not exist"):
        srkd.compress(tmp_path / "none.pth", tmp_path / "out", data=photos, parameters=3000)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        srkd.compress(teacher, tmp_path / "file", data=photos, parameters=3000)
    assert (tmp_path / "file").read_text() == "mine"


def test_from_python_and_int8_that_loses_too_much(teacher, photos, tmp_path, monkeypatch):
    from srkd.types import WorkError

    said: list[str] = []

    def refused(*args, **kwargs):
        raise WorkError("int8 loses 3 dB.")

    monkeypatch.setattr(sys.modules["srkd.inference.export.export"], "quantise", refused)
    with pytest.raises(WorkError, match=r"int8 loses 3 dB\. The other files are written"):
        srkd.compress(
            teacher, tmp_path / "out", data=photos, parameters=3000, size=(24, 32), minutes=0.02,
            formats=["pth", "int8"], say=said.append, quiet=True,
        )  # fmt: skip
    assert "int8 was refused" in (tmp_path / "out" / "report.md").read_text()
    assert not (tmp_path / "out" / "student_x2_int8.onnx").exists()
    assert any(line.startswith("Plan: ") for line in said)
