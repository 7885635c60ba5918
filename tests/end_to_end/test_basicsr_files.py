"""BasicSR's own EDSR option files, unchanged, on folders laid out as BasicSR's documentation says."""

import json
from pathlib import Path

import pytest

from srkd.cli import main
from srkd.imaging.files import write_image
from srkd.imaging.resize import imresize
from srkd.networks.edsr import EDSR
from srkd.networks.weights import load_network, save_network

OPTIONS = Path(__file__).parents[1] / "options"
START = "experiments/201_EDSR_Mx2_f64b16_DIV2K_300k_B16G1_wandb/models/net_g_300000.pth"
NAME = "203_EDSR_Mx4_f64b16_DIV2K_300k_B16G1_201pretrain_wandb"


def pair(image, gt, lq, name, suffix=""):
    write_image(Path(gt) / f"{name}.png", image)
    write_image(Path(lq) / f"{name}{suffix}.png", imresize(image, scale=1 / 4))


@pytest.fixture
def workspace(tmp_path, monkeypatch, _astronaut):
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        image = _astronaut[100 * number : 100 * number + 196, 100:296].copy()
        sub = "datasets/DIV2K/DIV2K_train_HR_sub", "datasets/DIV2K/DIV2K_train_LR_bicubic/X4_sub"
        pair(image, *sub, f"000{number}_s001")
    small = _astronaut[60:108, 160:220].copy()
    pair(small, "datasets/Set5/GTmod12", "datasets/Set5/LRbicx4", "face")
    pair(small, "datasets/Set14/GTmod12", "datasets/Set14/LRbicx4", "face")
    pair(small, "datasets/DIV2K/DIV2K_valid_HR", "datasets/DIV2K/DIV2K_valid_LR_bicubic/X4", "0801", "x4")
    return tmp_path


def test_train(workspace):
    save_network(START, EDSR(num_feat=64, num_block=16, upscale=2))
    short = ["train.total_iter=1", "datasets.train.batch_size_per_gpu=1", "val.val_freq=1"]
    assert main(["train", "-opt", str(OPTIONS / "basicsr_train_EDSR_Mx4.yml"), *short]) == 0
    folder = workspace / "experiments" / NAME
    assert load_network(folder / "models" / "net_g_latest.pth").config["img_range"] == 255
    log = (folder / "train.log").read_text()
    assert "upsample.2.weight" in log  # the ×2 start has no second upsampler: named, not silent
    assert "Validation Set5" in log and "use_shuffle" in log
    assert list((workspace / "tb_logger" / NAME).glob("events*"))


def test_benchmark(workspace):
    save_network(f"experiments/{NAME}/models/net_g_300000.pth", EDSR(num_feat=64, num_block=16, upscale=4))
    assert main(["benchmark", "-opt", str(OPTIONS / "basicsr_test_EDSR_Mx4.yml")]) == 0
    results = json.loads((workspace / "results" / NAME / "results.json").read_text())
    assert {row["set"] for row in results["summary"]} == {"Set5", "Set14", "DIV2K100"}
    assert len(list((workspace / "results" / NAME / "visualization").rglob("*.png"))) == 3
