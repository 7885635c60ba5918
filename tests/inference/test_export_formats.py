import math

import numpy as np
import pytest
import torch

from srkd.inference import export as module
from srkd.inference.export import Parity, compare, export
from srkd.networks.edsr import EDSR
from srkd.networks.weights import load_network, save_network
from srkd.types import InputError, WorkError


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = EDSR(num_feat=8, num_block=2, upscale=3).eval()
    network.trained_widths = (1.0, 0.5, 0.25)
    return network


@pytest.mark.parametrize("width", [1.0, 0.5, 0.125])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_are_exact(suffix, width, network, tmp_path):
    path = tmp_path / f"small{suffix}"
    assert export(network, path, width=width) == Parity(0.0, math.inf)
    small = load_network(path)
    x = torch.rand(1, 3, 11, 6)
    assert torch.equal(small(x), network(x, width)) and small.num_feat == 8 * width
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_keeps_its_history(network, tmp_path):
    save_network(tmp_path / "net.pth", network, iter=9, method="CSD")
    export(tmp_path / "net.pth", tmp_path / "small.pth", width=0.5)
    content = torch.load(tmp_path / "small.pth", weights_only=True)
    assert (content["iter"], content["method"], content["widths"]) == (9, "CSD", [1.0, 0.5])
    assert content["network_g"]["num_feat"] == 4


def test_pth_runs_in_basicsr(network, tmp_path, basicsr):
    from basicsr.archs.edsr_arch import EDSR as Reference

    export(network, tmp_path / "small.pth", width=0.5)
    reference = Reference(3, 3, num_feat=4, num_block=2, upscale=3)
    reference.load_state_dict(torch.load(tmp_path / "small.pth", weights_only=True)["params"], strict=True)
    x = torch.rand(1, 3, 9, 7)
    with torch.inference_mode():
        assert torch.allclose(reference(x), network(x, 0.5), atol=1e-5)


@pytest.mark.parametrize("width", [1.0, 0.5])
def test_onnx_at_sizes_not_seen_at_export(width, network, tmp_path, capfd):
    onnx = pytest.importorskip("onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    path = tmp_path / "small.onnx"
    parity = export(network, path, width=width)
    assert parity.max_difference <= 1e-3 and parity.psnr >= 80
    assert capfd.readouterr() == ("", "")  # the exporter is silenced
    assert list(tmp_path.iterdir()) == [path]  # one file, no external data

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for size in ((1, 1), (7, 50), (33, 20)):
        x = torch.rand(1, 3, *size)
        (sr,) = session.run(None, {"lq": x.numpy()})
        with torch.inference_mode():
            assert sr.shape == (1, 3, 3 * size[0], 3 * size[1])
            assert np.abs(sr - network(x, width).numpy()).max() < 1e-4

    model = onnx.load(path)
    properties = {item.key: item.value for item in model.metadata_props}
    assert properties.items() >= {"scale": "3", "range": "0..1", "colour_order": "RGB", "width": f"{width:g}"}.items()
    assert model.opset_import[0].version == module.OPSET
    assert b".py" not in path.read_bytes()  # no source paths of the machine that exported


def test_a_file_that_differs_is_not_kept(network, tmp_path, monkeypatch):
    path = tmp_path / "small.pth"
    path.write_bytes(b"the old one")
    monkeypatch.setattr(module, "load_network", lambda path: lambda x: load_network(path)(x) + 2e-5)
    with pytest.raises(WorkError, match="is not written: its output differs"):
        export(network, path, width=0.5)
    assert path.read_bytes() == b"the old one" and list(tmp_path.iterdir()) == [path]


def test_a_nan_is_a_difference(network, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "load_network", lambda path: lambda x: load_network(path)(x) * math.nan)
    with pytest.raises(WorkError):
        export(network, tmp_path / "small.pth")


def test_compare_measures_the_largest_difference():
    def plus(x):
        return x + 0.25 * (x == x.max())

    parity = compare(lambda x: x, plus)
    assert parity.max_difference == pytest.approx(0.25) and 10 < parity.psnr < 60
    assert compare(plus, plus) == Parity(0.0, math.inf)


def test_wrong_input(network, tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"allowed: \.pth, \.safetensors, \.onnx"):
        export(network, tmp_path / "x.pt2")
    with pytest.raises(InputError, match="is not valid for `num_feat`"):
        export(network, tmp_path / "x.pth", width=0.3)
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(InputError, match=r'needs onnxscript: pip install "srkd\[export\]"'):
        export(network, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
