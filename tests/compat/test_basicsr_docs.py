"""docs/basicsr.md: every block is run, with small networks on a few crops."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from srkd.cli import main
from srkd.imaging.files import write_image
from srkd.imaging.resize import imresize
from srkd.networks.edsr import EDSR
from srkd.networks.weights import network_of, read_weights, save_network

ROOT = Path(__file__).parents[2]
BASICSR_FILE = ROOT / "tests" / "options" / "basicsr_train_EDSR_Mx4.yml"
TEACHER = "experiments/pretrained_models/EDSR_Lx4_f256b32_DIV2K_official.pth"


def blocks(kind: str) -> list[str]:
    text = (ROOT / "docs" / "basicsr.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def smaller(text: str) -> str:
    """The same with networks, patches and lengths that a test can afford."""
    for pattern, value in [
        (r"num_feat([:=] ?)(64|256)", r"num_feat\g<1>8"),
        (r"num_block([:=] ?)(16|32)", r"num_block\g<1>2"),
        (r"num_gpu: \w+", "num_gpu: 0"),
        (r"gt_size: \d+", "gt_size: 48"),
        (r"batch_size_per_gpu: \d+", "batch_size_per_gpu: 2"),
        (r"num_worker_per_gpu: \d+", "num_worker_per_gpu: 0"),
        (r"total_iter: \d+", "total_iter: 2"),
    ]:
        text = re.sub(pattern, value, text)
    return text


@pytest.fixture
def workspace(tmp_path, monkeypatch, _astronaut):
    monkeypatch.chdir(tmp_path)
    for gt, lq, name, suffix in [
        ("datasets/DIV2K/DIV2K_train_HR_sub", "datasets/DIV2K/DIV2K_train_LR_bicubic/X4_sub", "0001_s001", ""),
        ("datasets/DIV2K/DIV2K_valid_HR", "datasets/DIV2K/DIV2K_valid_LR_bicubic/X4", "0801", "x4"),
        ("datasets/Set5/GTmod12", "datasets/Set5/LRbicx4", "face", ""),
        ("datasets/Set14/GTmod12", "datasets/Set14/LRbicx4", "face", ""),
    ]:
        image = _astronaut[60:120, 160:220].copy()
        write_image(Path(gt, f"{name}.png"), image)
        write_image(Path(lq, f"{name}{suffix}.png"), imresize(image, scale=1 / 4))
    teacher = EDSR(num_feat=8, num_block=2, res_scale=0.1)
    Path(TEACHER).parent.mkdir(parents=True)
    torch.save({"params": teacher.state_dict()}, TEACHER)
    return tmp_path


def run(*arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_method_inside_basicsr_and_checkpoints_both_ways(basicsr, workspace, capsys):
    (options,), (command, _), (script, checkpoints) = blocks("yaml"), blocks("sh"), blocks("python")
    for block in (options, script):
        name = re.match(r"# (\S+)\n", block)
        assert name
        Path(name[1]).write_text(smaller(block))
    python, *arguments = command.split()
    assert python == "python"
    run(*arguments)
    run("train.py", *arguments[2:])
    folder = workspace / "experiments" / yaml.safe_load(options)["name"]
    weights = read_weights(folder / "models" / "net_g_latest.pth")
    assert weights.meta["method"] == "FAKD" and network_of(weights).config["num_feat"] == 8

    exec(smaller(checkpoints), {})  # reads what the script has trained
    assert float(re.findall(r"[\d.e-]+", capsys.readouterr().out)[-1]) < 1e-6


def test_an_option_file_of_basicsrs_in_srkd(workspace):
    Path("train_EDSR_Mx4.yml").write_text(smaller(BASICSR_FILE.read_text(encoding="utf-8")))
    start = yaml.safe_load(BASICSR_FILE.read_text(encoding="utf-8"))["path"]["pretrain_model_g"]
    save_network(start, EDSR(num_feat=8, num_block=2, upscale=2))
    for command in smaller(blocks("sh")[1]).replace("\\\n", " ").splitlines():
        srkd, *arguments = command.split()
        assert srkd == "srkd"
        assert main(arguments) == 0
    log = Path("experiments/FAKD_EDSR_x4/train.log").read_text()
    assert "l_sa" in log and TEACHER in log
