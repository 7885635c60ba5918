import hashlib
import json
import math
from pathlib import Path

import pytest
import torch

from srkd.evaluation.card import results_of
from srkd.evaluation.result import read_result
from srkd.inference.export.card import entry, index, model_card
from srkd.inference.export.export import Form, Source, Written
from srkd.inference.export.parity import Parity
from srkd.networks.edsr import EDSR
from srkd.networks.fsrcnn import FSRCNN
from srkd.networks.slim import narrow
from srkd.types import InputError


@pytest.fixture
def source(tmp_path) -> Source:
    torch.manual_seed(0)
    network = EDSR(num_feat=8, num_block=1, upscale=2)
    network.trained_widths = (1.0, 0.5)
    return Source(network, tmp_path / "net.pth", "CSD", 5000, "DIV2K", "research only")


@pytest.fixture
def written(source, tmp_path) -> Written:
    (tmp_path / "small.onnx").write_bytes(b"a network")
    parity = {"onnxruntime": Parity(1.25e-7, 150.04), "OpenVINO": Parity(0.0, math.inf)}
    return Written(tmp_path / "small.onnx", 0.5, narrow(source.network, 0.5), parity, 1.5)


def results(source: Source, **changes) -> dict:
    """A result file as `srkd benchmark` writes it, with a row only."""
    described = {"type": "EDSR", **source.network.config}
    row = {"set": "Set5", "width": 1.0, "n": 5, "n_expected": 5, "params": 1, "multi_adds": 1, "seconds": 0.1}
    one = {"set": "Set5", "image": "baby", "model": "mine", "width": 1.0, "psnr": 35.0, "ssim": 0.9, "seconds": None}
    return {
        "schema": 2,
        "environment": {},
        "rows": [one],
        "failures": [],
        "models": [{"name": "bicubic"}, {"name": "mine", "path": str(source.path), "network": described}],
        "protocol": {"name": "y", "scale": 2, "description": "y: ×2, crop border 2"},
        "summary": [
            {**row, "model": "bicubic", "psnr": 33.6821, "ssim": 0.93052},
            {**row, "model": "mine", "psnr": None, "ssim": 1.0, "identical": True},
            {**row, "model": "mine", "width": 0.5, "n": 4, "psnr": 35.1, "ssim": 0.95},
        ],
        **changes,
    }


def card_results(content: dict, folder: Path, source: Source) -> str:
    (folder / "r.json").write_text(json.dumps(content), encoding="utf-8")
    return results_of(read_result(folder / "r.json"), source.network, source.path)


def test_an_entry_is_of_the_file_and_of_the_small_network(written):
    found = entry(written, 12_345)
    assert found.sha256 == hashlib.sha256(b"a network").hexdigest() and found.bytes == 9
    assert (found.file, found.num_feat, found.multi_adds) == ("small.onnx", 4, 12_345)
    assert found.parameters == 3 * 4 * 9 + 4 + 3 * (4 * 4 * 9 + 4) + (4 * 16 * 9 + 16) + (4 * 3 * 9 + 3)


def test_a_card_says_what_is_known(source, written, tmp_path):
    found = card_results(results(source), tmp_path, source)
    text = model_card(source, Form(mobile=True, size=(180, 320)), [entry(written, 2_500_000_000)], results=found)
    for line in (
        "# EDSR ×2",
        "- Widths trained: 1, 0.5",
        "- Training: 5,000 iterations of CSD",
        "- Training data: DIV2K",
        "- Licence of the data: research only",
        "- Form: mobile",
        "| small.onnx | 0.5 | 4 | 1,259 | 2.5 G | 0.00 MB | onnxruntime: 1.2e-07, 150.0 dB; OpenVINO: equal |",
        "| Set5 | bicubic | 1 | 33.682 | 0.9305 |",
        "| Set5 | network | 1 | identical | 1.0000 |",
        "| Set5 (4 of 5 images) | network | 0.5 | 35.100 | 0.9500 |",
        "Protocol y: ×2, crop border 2 (r.json).",
    ):
        assert line in text.splitlines(), text
    assert "180 × 320 pixels" in text and hashlib.sha256(b"a network").hexdigest() in text


def test_a_card_says_what_is_not_known():
    text = model_card(Source(FSRCNN(upscale=3)), Form(), [], results=None)
    assert "Y of BT.601" in text and "Not evaluated." in text
    for name in ("Widths trained", "Training", "Training data", "Licence of the data"):
        assert f"- {name}: not recorded" in text


def test_the_index_is_strict_json(source, written):
    content = json.loads(index(source, Form(), [entry(written, None)]), parse_constant=pytest.fail)
    assert (content["schema"], content["training_set"], content["trained_widths"]) == (1, "DIV2K", [1.0, 0.5])
    (file,) = content["files"]
    assert file["width"] == 0.5 and file["multi_adds"] is None
    assert file["parity"]["OpenVINO"] == {"max_difference": 0.0, "psnr": None}


def test_results_of_several_networks_are_told_apart_by_the_path(source, tmp_path):
    content = results(source)
    content["models"].append({**content["models"][1], "name": "another", "path": "another.pth"})
    content["summary"].append({**content["summary"][1], "model": "another", "psnr": 1.0})
    text = card_results(content, tmp_path, source)
    assert "35.100" in text and "33.682" in text and "1.000 |" not in text
    content["models"][1]["path"] = "moved.pth"
    with pytest.raises(InputError, match=r"which of its networks is .*net\.pth\? It holds moved\.pth, another\.pth"):
        card_results(content, tmp_path, source)


def test_wrong_results(source, tmp_path):
    content = results(source)
    content["models"][1]["network"]["num_feat"] = 64
    with pytest.raises(InputError, match=r"another network: num_feat 64\.$"):
        card_results(content, tmp_path, source)
    for wrong in ({}, {**results(source), "models": 3}, {**results(source), "models": [{"name": "bicubic"}]}):
        with pytest.raises(InputError, match=r"r\.json"):
            card_results(wrong, tmp_path, source)
