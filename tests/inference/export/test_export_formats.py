import importlib
import json
import math

import cv2
import numpy as np
import pytest
import torch

from srkd import __version__
from srkd.evaluation.models import through
from srkd.evaluation.protocols import protocol_of
from srkd.inference.export import Form, Source, export, graph, open_source
from srkd.inference.export.parity import Parity
from srkd.networks.edsr import EDSR
from srkd.networks.fsrcnn import FSRCNN
from srkd.networks.weights import load_network, read_weights, save_network
from srkd.types import InputError, WorkError

# the package names its function as the file is named
export_module = importlib.import_module("srkd.inference.export.export")


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = EDSR(num_feat=8, num_block=2, upscale=3).eval()
    network.trained_widths = (1.0, 0.5, 0.25)
    return network


@pytest.fixture
def onnxruntime():
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    return pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("width", [1.0, 0.5, 0.125])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_are_exact(suffix, width, network, tmp_path):
    path = tmp_path / f"small{suffix}"
    written = export(network, path, width=width)
    assert written.parity == {"PyTorch": Parity(0.0, math.inf)} and written.path == path
    small = load_network(path)
    x = torch.rand(1, 3, 11, 6)
    assert torch.equal(small(x), network(x, width)) and small.num_feat == written.network.num_feat == 8 * width
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_checkpoint_keeps_its_history(suffix, network, tmp_path):
    save_network(tmp_path / "net.pth", network, iter=9, method="CSD", training_set="DIV2K")
    small = tmp_path / f"small{suffix}"
    export(tmp_path / "net.pth", small, width=0.5)
    meta = read_weights(small).meta
    assert (meta["iter"], meta["method"], meta["widths"]) == (9, "CSD", [1.0, 0.5])
    assert (meta["training_set"], meta["data_licence"], meta["network_g"]["num_feat"]) == ("DIV2K", None, 4)
    given = open_source(tmp_path / "net.pth", training_set="Flickr2K", data_licence="mixed")
    export(given, small)
    meta = read_weights(small).meta
    assert (meta["training_set"], meta["data_licence"]) == ("Flickr2K", "mixed")


def test_pth_runs_in_basicsr(network, tmp_path, basicsr):
    from basicsr.archs.edsr_arch import EDSR as Reference

    export(network, tmp_path / "small.pth", width=0.5)
    reference = Reference(3, 3, num_feat=4, num_block=2, upscale=3)
    reference.load_state_dict(torch.load(tmp_path / "small.pth", weights_only=True)["params"], strict=True)
    x = torch.rand(1, 3, 9, 7)
    with torch.inference_mode():
        assert torch.allclose(reference(x), network(x, 0.5), atol=1e-5)


@pytest.mark.parametrize("width", [1.0, 0.5])
def test_onnx_at_sizes_not_seen_at_export(width, network, tmp_path, capfd, onnxruntime):
    import onnx

    path = tmp_path / "small.onnx"
    written = export(Source(network, training_set="DIV2K"), path, width=width)
    assert all(parity.max_difference < 1e-5 and parity.psnr > 100 for parity in written.parity.values())
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
    expected = {"scale": "3", "range": "0..1", "colour_order": "RGB", "width": f"{width:g}", "training_set": "DIV2K"}
    assert properties.items() >= {**expected, "form": "as trained", "srkd_version": __version__}.items()
    assert model.opset_import[0].version == graph.OPSET
    assert b".py" not in path.read_bytes()  # no source paths of the machine that exported


def test_pt2_at_sizes_not_seen_at_export(network, tmp_path, capfd):
    path = tmp_path / "small.pt2"
    assert export(network, path, width=0.5).parity["PyTorch"].max_difference < 1e-6
    assert capfd.readouterr() == ("", "")
    extra = {"srkd.json": ""}
    run = torch.export.load(path, extra_files=extra).module()
    about = json.loads(extra["srkd.json"])
    assert (about["scale"], about["width"], about["training_set"]) == ("3", "0.5", "not recorded")
    assert about["torch_version"] == torch.__version__
    assert b".py" not in path.read_bytes()  # no source paths of the machine that exported
    for size in ((2, 2), (7, 50), (33, 20)):
        x = torch.rand(1, 3, *size)
        with torch.inference_mode():
            assert (run(x) - network(x, 0.5)).abs().max() < 1e-5


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
@pytest.mark.parametrize("form", [Form(mobile=True), Form(mobile=True, conv_transpose=True, size=(21, 34))])
def test_the_mobile_form_in_a_file(form, suffix, network, tmp_path, onnxruntime):
    written = export(network, tmp_path / f"small{suffix}", width=0.5, form=form)
    assert all(0 < parity.max_difference < 1e-5 for parity in written.parity.values())
    if suffix == ".onnx":
        import onnx

        model = onnx.load(written.path)
        operations = [node.op_type for node in model.graph.node]
        assert {"Mul", "Div"}.isdisjoint(operations) and operations.count("Sub") == 1
        assert ("DepthToSpace" in operations) is not form.conv_transpose
        assert ("ConvTranspose" in operations) is form.conv_transpose
        sides = [side.dim_value or side.dim_param for side in model.graph.input[0].type.tensor_type.shape.dim]
        assert sides == ([1, 3, 21, 34] if form.size else ["batch", 3, "height", "width"])


@pytest.mark.parametrize("form", [Form(), Form(mobile=True), Form(mobile=True, conv_transpose=True, size=(24, 40))])
def test_opencv_reads_the_file(form, network, tmp_path, onnxruntime, photo):
    """cv2.dnn, as a program in C++ without PyTorch and onnxruntime would use it."""
    export(network, tmp_path / "small.onnx", width=0.5, form=form)
    net = cv2.dnn.readNetFromONNX(str(tmp_path / "small.onnx"))
    # OpenCV 4 fixes the size when it reads the file; OpenCV 5 takes any. The traced size is right for both.
    sizes = (
        [form.size] if form.size else [(32, 48), (33, 47)] if int(cv2.__version__.split(".")[0]) >= 5 else [(32, 48)]
    )
    for height, columns in sizes:
        image = photo[:height, :columns]
        net.setInput(cv2.dnn.blobFromImage(image, 1 / 255))
        sr = net.forward()
        with torch.inference_mode():
            own = network(torch.from_numpy(image / 255).float()[None].permute(0, 3, 1, 2), 0.5)
        assert sr.shape == own.shape and np.abs(sr - own.numpy()).max() < 1e-4


@pytest.mark.parametrize("width", [1.0, 0.5, 0.25])
def test_onnx_has_the_psnr_of_pytorch(width, network, tmp_path, onnxruntime, shared_data):
    from srkd.evaluation.sets import find_set

    with torch.no_grad():  # as if trained: the output resembles the input, so that PSNR is that of an image
        for parameter in network.parameters():
            parameter *= 0.7
    export(network, tmp_path / "net.onnx", width=width)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])

    class Onnx(torch.nn.Module):
        def forward(self, x, width=1.0):
            return torch.from_numpy(session.run(None, {"lq": x.contiguous().numpy()})[0])

    protocol, test_set = protocol_of("y", 3), find_set(str(shared_data / "Set5"))
    psnr = {"PyTorch": [], "onnxruntime": []}
    for index in range(len(test_set.images)):
        sample = protocol.prepare(*test_set.read(index))
        for name, upscale in (("PyTorch", through(network, width)), ("onnxruntime", through(Onnx()))):
            psnr[name].append(protocol.score(upscale(sample.lq), sample.gt)["psnr"])
    assert len(psnr["PyTorch"]) == 5
    assert np.abs(np.subtract(psnr["PyTorch"], psnr["onnxruntime"])).max() < 1e-3


def test_luma_networks(tmp_path, onnxruntime):
    torch.manual_seed(0)
    network = FSRCNN(num_feat=8, num_shrink=4, num_map=1, upscale=2).eval()
    written = export(network, tmp_path / "y.onnx", width=0.5, form=Form(mobile=True, size=(16, 24)))
    assert all(parity.max_difference < 1e-5 for parity in written.parity.values())
    import onnx

    assert {"colour_order": "Y"}.items() <= {p.key: p.value for p in onnx.load(written.path).metadata_props}.items()


def test_a_file_that_differs_is_not_kept(network, tmp_path, monkeypatch):
    path = tmp_path / "small.pth"
    path.write_bytes(b"the old one")
    monkeypatch.setattr(export_module, "load_network", lambda path: lambda x: load_network(path)(x) + 2e-5)
    with pytest.raises(
        WorkError, match=r"is not written: its output differs .* when PyTorch runs it; allowed is 1e-05"
    ):
        export(network, path, width=0.5)
    assert path.read_bytes() == b"the old one" and list(tmp_path.iterdir()) == [path]


def test_one_runtime_that_differs_is_enough(network, tmp_path, monkeypatch, onnxruntime):
    def two(path):
        right = graph.run_onnx(path)["onnxruntime"]
        return {"onnxruntime": right, "another": lambda x: right(x) + 2e-3}

    monkeypatch.setattr(export_module, "run_onnx", two)
    with pytest.raises(WorkError, match="when another runs it"):
        export(network, tmp_path / "small.onnx", width=0.5)
    assert not list(tmp_path.iterdir())


def test_a_nan_is_a_difference(network, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "load_network", lambda path: lambda x: load_network(path)(x) * math.nan)
    with pytest.raises(WorkError):
        export(network, tmp_path / "small.pth")


def test_wrong_input(network, tmp_path, monkeypatch, caplog):
    with pytest.raises(InputError, match=r"allowed: \.pth, \.safetensors, \.onnx, \.pt2"):
        export(network, tmp_path / "x.pt")
    monkeypatch.setattr(network, "trained_widths", (1.0, 0.5))
    with pytest.raises(InputError, match="is not valid for `num_feat`"):
        export(network, tmp_path / "x.pth", width=0.3)
    assert not caplog.text  # nothing of noise, where there is no such width
    with pytest.raises(InputError, match=r"--mobile and --size are for \.onnx and \.pt2"):
        export(network, tmp_path / "x.pth", form=Form(mobile=True))
    with pytest.raises(InputError, match="add --mobile"):
        Form(conv_transpose=True)
    with pytest.raises(InputError, match="at least 1x1 pixel, not 0x4"):
        Form(size=(0, 4))
    with pytest.raises(InputError, match=r"nothing does not exist"):
        export(network, tmp_path / "x.pth", images=tmp_path / "nothing")
    monkeypatch.setattr(graph.importlib.util, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(InputError, match=r'needs onnxscript: pip install -e "\.\[export\]"'):
        export(network, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
