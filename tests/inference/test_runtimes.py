"""`Upscaler(runtime=…)`: other runtimes give the same picture, and the fastest that is exact is chosen."""

import numpy as np
import pytest
import torch

from srkd.compat.onnx_file import onnx_network
from srkd.inference.export.export import Form, export
from srkd.inference.precision import precisions
from srkd.inference.runtimes import ways
from srkd.inference.upscaler import Upscaler
from srkd.networks.edsr import EDSR
from srkd.networks.slim import Network
from srkd.types import InputError, WorkError

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")

CPU = torch.device("cpu")
IMAGE = np.random.default_rng(0).integers(0, 256, (40, 52, 3), np.uint8)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SRKD_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return EDSR(num_feat=8, num_block=2, upscale=2, upsampler="direct").eval()


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "x.onnx"
    export(network, path)
    return path


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("width", [1.0, 0.5])
def test_the_same_picture(network, home, runtime, width):
    exact = Upscaler(network, width=width, precision="fp32", device="cpu").upscale(IMAGE)
    up = Upscaler(network, width=width, precision="fp32", runtime=runtime, device="cpu")
    assert np.abs(up.upscale(IMAGE).astype(int) - exact).max() <= 1
    assert (up.way, up.precision) == (f"{runtime} fp32", "fp32")
    in_windows = Upscaler(network, width=width, precision="fp32", runtime=runtime, tile=24, device="cpu")
    assert np.abs(in_windows.upscale(IMAGE).astype(int) - exact).max() <= 1
    several = up.batch([IMAGE, IMAGE[::-1], IMAGE[:20]])
    assert np.abs(several[0].astype(int) - exact).max() <= 1
    assert len(list((home / "graphs").glob("*.onnx"))) == 1  # written once


def test_what_is_tried(network, file):
    with_bf16 = ["openvino bf16"] if "bf16" in precisions(CPU) else []
    torch_ways = precisions(CPU)
    assert ways(network, "torch", "auto", CPU) == torch_ways
    assert ways(network, "onnxruntime", "auto", CPU) == ["onnxruntime fp32"]
    assert ways(network, "openvino", "auto", CPU) == ["openvino fp32", *with_bf16]
    assert ways(network, "auto", "auto", CPU) == [*torch_ways, "onnxruntime fp32", "openvino fp32", *with_bf16]
    assert ways(network, "auto", "fp32", CPU) == ["fp32", "onnxruntime fp32", "openvino fp32"]
    assert ways(network, "auto", "auto", torch.device("mps")) == precisions(torch.device("mps"))
    loaded = onnx_network(file)
    assert ways(loaded, "torch", "auto", CPU) == ["onnxruntime fp32"]
    assert ways(loaded, "openvino", "bf16", CPU) == ["openvino fp32"]  # a file keeps its precision
    assert ways(loaded, "auto", "auto", CPU) == ["onnxruntime fp32", "openvino fp32"]


@pytest.mark.parametrize(
    ("runtime", "precision", "device", "words"),
    [
        ("tensorrt", "auto", CPU, "one of auto, torch"),
        ("openvino", "auto", torch.device("mps"), "on the CPU"),
        ("onnxruntime", "bf16", CPU, "does not compute in bf16"),
    ],
)
def test_what_cannot_be(network, runtime, precision, device, words):
    with pytest.raises(InputError, match=words):
        ways(network, runtime, precision, device)


@pytest.mark.parametrize("fastest", ["fp32", "bf16", "onnxruntime fp32", "openvino fp32"])
def test_auto_takes_the_fastest(network, monkeypatch, fastest):
    from srkd.inference import precision

    real = precision._run

    def run(module, tiles):
        outputs, _ = real(module, tiles)
        kind = next(module.parameters()).dtype
        way = (
            f"{module.config['runtime']} fp32"
            if "runtime" in module.config
            else "bf16"
            if kind == torch.bfloat16
            else "fp32"
        )
        return outputs, 0.5 if way == fastest else 1.0

    monkeypatch.setattr(precision, "_run", run)
    up = Upscaler(network, runtime="auto", device="cpu")
    if fastest == "bf16" and "bf16" not in precisions(CPU):
        pytest.skip("this processor has no bf16")
    assert up.way == "auto"
    made = up.upscale(IMAGE)
    assert up.way == fastest
    assert np.abs(made.astype(int) - Upscaler(network, precision="fp32", device="cpu").upscale(IMAGE)).max() <= 1


def test_what_cannot_be_a_graph_is_told(monkeypatch):
    class Odd(Network):
        scale, num_feat = 2, 4

        def __init__(self, *, num_feat: int = 4) -> None:
            super().__init__()
            self.num_feat = num_feat
            self.weight = torch.nn.Parameter(torch.ones(()))

        def forward(self, x, width=1.0):
            if x.mean().item() > 2:  # a graph cannot ask for values
                return x
            return (x * self.weight).repeat_interleave(2, 2).repeat_interleave(2, 3)

    with pytest.raises(WorkError, match="Odd cannot be written as ONNX"):
        Upscaler(Odd(), runtime="onnxruntime", device="cpu").upscale(IMAGE)
    up = Upscaler(Odd(), runtime="auto", device="cpu")
    assert up.upscale(IMAGE).shape == (80, 104, 3)
    assert up.way in ("fp32", "bf16")


@pytest.mark.parametrize("form", [Form(), Form(mobile=True)])
@pytest.mark.parametrize("number", [1, 2, 5])
def test_files_take_any_number_of_images(network, tmp_path, form, number):
    export(network, tmp_path / "x.onnx", form=form)
    images = torch.rand(number, 3, 9, 14)
    for runtime in ("onnxruntime", "openvino"):
        file = onnx_network(tmp_path / "x.onnx", runtime=runtime)
        assert not file._wrapped._one_by_one
        assert torch.allclose(file(images), network(images), atol=1e-5)
