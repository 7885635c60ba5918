"""The files that show a method within a minute: each trains after the one its comment names, and can be measured."""

import json
import re
from pathlib import Path

import pytest

from srkd.cli import main
from srkd.imaging.files import write_image
from srkd.networks.weights import load_network
from srkd.options import load_train_options

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "options" / "train").rglob("*_tiny.yml"))
SHORT = ["train.total_iter=2", "logger.print_freq=1", "datasets.train.batch_size_per_gpu=3", "device=cpu"]


def first(path):
    """The option file that has to be trained before, by the comment; None where there is only the data to make."""
    (command,) = re.findall(r"^# First: srkd (.*)$", path.read_text(), flags=re.MULTILINE)
    return None if command == "demo --photos" else ROOT / command.removeprefix("train -opt ")


def network_file(path):
    return Path("experiments") / path.stem / "models" / "net_g_latest.pth"


@pytest.fixture
def workspace(tmp_path, monkeypatch, _astronaut):
    """Small photographs where `srkd demo --photos` puts the large ones."""
    monkeypatch.chdir(tmp_path)
    for folder, count in (("train", 3), ("test", 1)):
        for number in range(count):
            crop = _astronaut[60 * number : 60 * number + 50, 100:160].copy()
            write_image(Path("srkd_demo/photos") / folder / f"p{number}.png", crop)
    return tmp_path


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_comment_names_the_file_that_is_needed(path):
    opt = load_train_options(path)
    assert opt.name == path.stem
    files = {opt.path.pretrain_network_g, opt.path.pretrain_network_g_teacher, opt.method.args.get("stage1")} - {None}
    before = first(path)
    assert before is None or before.is_file()
    assert files == ({str(network_file(before))} if before else set())


def test_all_of_them_train_in_that_order_and_one_is_measured(workspace):
    done = set()
    for path in sorted(FILES, key=lambda path: first(path) is not None):
        assert first(path) in done | {None}
        assert main(["train", "-opt", str(path), *SHORT]) == 0
        assert load_network(network_file(path)).scale == 2
        done.add(path)
    model = network_file(ROOT / "options/train/CSD/csd_edsr_x2_tiny.yml")
    assert main(["benchmark", str(model), "--sets", "srkd_demo/photos/test", "-o", "results/tiny.json"]) == 0
    summary = json.loads(Path("results/tiny.json").read_text())["summary"]
    assert {row["width"] for row in summary if row["model"] != "bicubic"} == {1.0, 0.5}


def test_what_is_missing_is_named(workspace, capsys):
    path = ROOT / "options/train/FAKD/fakd_edsr_x2_tiny.yml"
    assert main(["train", "-opt", str(path)]) == 2
    assert f"checkpoint {network_file(first(path))} does not exist" in capsys.readouterr().err
    (workspace / "srkd_demo").rename(workspace / "elsewhere")
    assert main(["train", "-opt", str(first(path))]) == 2
    assert "srkd_demo/photos/train" in capsys.readouterr().err
