"""Exported graphs in 8-bit integers: calibrated, measured, refused where they lose too much."""

import numpy as np
import pytest
import torch

import srkd
from srkd.cli import main
from srkd.compat.onnx_file import session
from srkd.imaging.files import write_image
from srkd.inference.export import int8 as module
from srkd.inference.export.export import Form, export
from srkd.inference.export.int8 import Int8, read_samples
from srkd.networks.fsrcnn import FSRCNN
from srkd.networks.rcan import RCAN
from srkd.types import InputError, WorkError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


@pytest.fixture(autouse=True)
def small_pictures(monkeypatch):
    monkeypatch.setattr(module, "LARGEST", 32)
    monkeypatch.setattr(module, "PHOTOGRAPHS", module.PHOTOGRAPHS[:6])


@pytest.fixture(scope="module")
def network():
    return srkd.load_network(srkd.pretrained(2))


def operations(path):
    return [node.op_type for node in onnx.load(path).graph.node]


@pytest.mark.parametrize("activations", [8, 16])
def test_the_shipped_network_loses_little(network, tmp_path, activations):
    written = export(network, tmp_path / "q.onnx", width=0.25, form=Form(int8=Int8(activations, 0.6)))
    found = written.quantised
    assert found is not None and found.share >= 0.8 and found.images == 2
    assert -0.05 < found.loss < 0.6  # of two small pieces: whole photographs lose a tenth of that
    assert "QuantizeLinear" in operations(written.path) and list(tmp_path.iterdir()) == [written.path]
    properties = {each.key: each.value for each in onnx.load(written.path).metadata_props}
    assert properties["int8"] == str(found) and properties["scale"] == "2" and properties["width"] == "0.25"
    x = torch.rand(1, 3, 19, 23)  # any size, as in floating point
    assert session(written.path, "onnxruntime")(x).shape == (1, 3, 38, 46)
    plain = export(network, tmp_path / "plain.onnx", width=0.25).path
    assert written.path.stat().st_size < 0.75 * plain.stat().st_size


def test_only_convolutions_read_eight_bits(network, tmp_path):
    """Residuals are summed in floating point, and a ReLU is the range of the convolution before it."""
    written = export(network, tmp_path / "q.onnx", width=0.25, form=Form(int8=Int8(max_loss=0.6)))
    assert written.quantised is not None
    onnx.checker.check_model(onnx.load(written.path), full_check=True)
    nodes = onnx.load(written.path).graph.node
    makers = {name: node for node in nodes for name in node.output}
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    assert len(convolutions) == written.quantised.convolutions == 21
    kept = [convolutions[number - 1] for number in written.quantised.kept]
    assert kept and all(0 < number <= 1 or number > 17 for number in written.quantised.kept)
    for node in nodes:
        rounded = [makers[name] for name in node.input if name in makers]
        rounded = [maker for maker in rounded if maker.op_type == "DequantizeLinear"]
        if node.op_type == "Conv" and node not in kept:
            assert len(rounded) == 3, node.name  # image, weight and bias
        elif node.op_type not in ("QuantizeLinear", "DequantizeLinear"):  # of others what an integer one has written
            sources = [makers[makers[maker.input[0]].input[0]] for maker in rounded]
            assert all(source.op_type == "Conv" and source not in kept for source in sources), node.name
    assert "Relu" not in {node.op_type for node in nodes}


def test_too_large_a_loss_is_refused_and_the_older_file_stays(network, tmp_path):
    path = tmp_path / "q.onnx"
    path.write_bytes(b"older")
    with pytest.raises(WorkError, match=r"int8 loses 0\.\d+ dB .* allowed is 0 \(--max-loss\).*--activations 16"):
        export(network, path, width=0.25, form=Form(int8=Int8(max_loss=0.0)))
    assert path.read_bytes() == b"older" and list(tmp_path.iterdir()) == [path]


def test_a_fixed_size(network, tmp_path):
    written = export(network, tmp_path / "q.onnx", width=0.25, form=Form(size=(24, 32), int8=Int8(max_loss=1.0)))
    shape = onnx.load(written.path).graph.input[0].type.tensor_type.shape
    assert [each.dim_value for each in shape.dim] == [1, 3, 24, 32]


@pytest.mark.parametrize(
    "other",
    [lambda: FSRCNN(upscale=2), lambda: RCAN(num_feat=8, num_group=1, num_block=1, squeeze_factor=4, upscale=2)],
)
def test_networks_of_other_kinds(other, tmp_path):
    torch.manual_seed(0)
    written = export(other().eval(), tmp_path / "q.onnx", form=Form(int8=Int8(max_loss=3.0)))
    assert written.quantised is not None and "QuantizeLinear" in operations(written.path)
    assert written.quantised.share >= 0.8


def test_photographs_of_ones_own(network, tmp_path, photo):
    for number in range(7):
        write_image(tmp_path / "photos" / f"{number}.png", np.roll(photo, 5 * number, axis=1)[: 50 + number])
    samples = read_samples(tmp_path / "photos", scale=2, channels=3)
    assert len(samples) == 7 and len({sample.lq.shape for sample in samples}) == 1
    assert samples[0].gt.shape == (2 * samples[0].lq.shape[2], 2 * samples[0].lq.shape[3], 3)
    how = Int8(max_loss=2.0, photographs=tmp_path / "photos")
    assert export(network, tmp_path / "q.onnx", width=0.25, form=Form(int8=how)).quantised is not None


def test_too_few_photographs(tmp_path, photo):
    write_image(tmp_path / "one.png", photo)
    with pytest.raises(InputError, match="has 1 image; at least 6 are needed"):
        read_samples(tmp_path, scale=2, channels=3)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["-o", "x.pth", "--int8"], "--int8 writes .onnx files"),
        (["-o", "x.onnx", "--calibrate", "photos"], "belong to --int8: add it"),
        (["-o", "x.onnx", "--max-loss", "0.2"], "belong to --int8: add it"),
        (["-o", "x.onnx", "--int8", "--max-loss", "-1"], "--max-loss is in dB and at least 0, not -1"),
        (["-o", "x.onnx", "--int8", "--calibrate", "absent"], "absent does not exist"),
    ],
)
def test_mistakes_are_one_paragraph(arguments, answer, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["export", "switchable-x2", *arguments]) == 2
    assert answer in " ".join(capsys.readouterr().err.split())
    assert list(tmp_path.iterdir()) == []
