"""Y-channel networks learn and are validated on Y, from the same RGB data sets."""

import json

import numpy as np
import pytest
import torch

from srkd.data.paired_image import PairedImageDataset
from srkd.imaging.color import rgb_to_y, rgb_to_y_tensor
from srkd.inference.forward import upscale_image, upscale_plane
from srkd.metrics.psnr import calculate_psnr
from srkd.networks.weights import load_network

SNSR = {"type": "SNSR", "num_feat": 8, "upscale": 2}
FSRCNN = {"type": "FSRCNN", "num_feat": 16, "num_shrink": 4, "upscale": 2}


@pytest.fixture
def rows(tmp_path):
    def read():
        lines = (tmp_path / "experiments" / "tiny" / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    return read


@pytest.mark.parametrize("network", [SNSR, FSRCNN], ids=["SNSR", "FSRCNN"])
def test_a_y_network_is_trained_and_validated(recipe, train, rows, photographs, tmp_path, network):
    recipe["network_g"] = network
    recipe["method"] = {"type": "Supervised", "widths": [1, 0.5]}
    recipe["train"] |= {"total_iter": 150, "optim_g": {"type": "Adam", "lr": 5e-3}, "scheduler": None, "ema_decay": 0}
    recipe["val"]["val_freq"] = 150
    assert train(recipe) == 0
    losses = [row["l_pix@1"] for row in rows() if row["kind"] == "train"]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    # the value in the log is that of the pictures `srkd upscale` makes, and near that of the plane itself
    network = load_network(tmp_path / "experiments" / "tiny" / "models" / "net_g_latest.pth").eval()
    dataset = PairedImageDataset(dataroot_gt=str(photographs), scale=2)
    pictures, planes = [], []
    for lq, gt in map(dataset.pair, range(len(dataset))):
        sr = upscale_image(network, lq)
        pictures.append(calculate_psnr(sr, gt, crop_border=2, test_y_channel=True))
        error = upscale_plane(network, rgb_to_y(lq) / 255) - rgb_to_y(gt) / 255
        planes.append(-10 * np.log10(np.square(error[2:-2, 2:-2]).mean()))
    last = next(row for row in rows() if row["kind"] == "val" and row["width"] == 1)
    assert last["psnr"] == pytest.approx(np.mean(pictures), abs=1e-9)
    assert last["psnr"] == pytest.approx(np.mean(planes), abs=1.0)  # clipping to RGB cuts large errors


def test_batches_are_the_luma_of_the_rgb_batches(recipe, train, monkeypatch):
    from srkd.methods.supervised import Supervised

    seen = []
    forward = Supervised.forward
    monkeypatch.setattr(Supervised, "forward", lambda self, batch: (seen.append(batch), forward(self, batch))[1])
    assert train(recipe, "train.total_iter=1") == 0
    recipe["network_g"] = SNSR
    assert train(recipe, "train.total_iter=1") == 0
    rgb, luma = seen[0], seen[len(seen) // 2]  # the first of each run
    for colour, y in zip(rgb, luma, strict=True):
        assert y.shape[1] == 1 and torch.equal(y, rgb_to_y_tensor(colour))


def test_check_shows_y_batches(recipe, train, capsys):
    recipe["network_g"] = FSRCNN
    assert train(recipe, "--check") == 0
    assert "[4, 1, 12, 12], [4, 1, 24, 24]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("network", "method", "named"),
    [
        (
            {"type": "EDSR", "num_feat": 8, "num_block": 1, "upscale": 2, "num_in_ch": 1, "rgb_mean": [0.5]},
            {},
            "1 and 3",
        ),
        (FSRCNN, {"method": {"type": "Supervised", "widths": [1, 0.125]}}, "Nearest valid"),
        (FSRCNN, {"val": {"widths": [0.125]}}, "val.widths"),
        (SNSR, {"method": {"type": "CSD", "widths": [0.5], "num_negatives": 2}}, "use `{type: network}`"),
    ],
    ids=["grey in, colour out", "method's widths", "validation's widths", "VGG on Y"],
)
def test_mistakes_are_explained(recipe, train, capsys, network, method, named):
    recipe["network_g"] = network
    for key, value in method.items():
        recipe[key] = {**recipe.get(key, {}), **value}
    assert train(recipe) == 2
    message = capsys.readouterr().err
    assert named in " ".join(message.split()) and "Traceback" not in message


def test_csd_in_the_network_s_own_space(recipe, train):
    recipe["network_g"] = SNSR
    recipe["method"] = {"type": "CSD", "widths": [0.5], "num_negatives": 2, "perceptual": {"type": "network"}}
    assert train(recipe) == 0
