import pytest
import torch

from srkd.cli import main
from srkd.networks.weights import load_network


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".onnx"])
def test_export(suffix, checkpoint, network, tmp_path, capsys):
    if suffix == ".onnx":
        pytest.importorskip("onnxscript")
        pytest.importorskip("onnxruntime")
    out = tmp_path / "new" / f"small{suffix}"
    assert main(["export", str(checkpoint), "--width", "1/2", "-o", str(out)]) == 0
    captured = capsys.readouterr()
    assert "width 0.5" in captured.out and "Largest difference" in captured.out and captured.err == ""
    assert list(out.parent.iterdir()) == [out]
    if suffix != ".onnx":
        x = torch.rand(1, 3, 7, 9)
        assert torch.equal(load_network(out)(x), network(x, 0.5))


def test_wrong_input_exits_2(checkpoint, tmp_path, capsys):
    for extra, message in (
        (["-o", str(tmp_path / "x.pt")], "allowed: .pth, .safetensors, .onnx"),
        (["-o", str(tmp_path / "x.pth"), "--width", "0.3"], "`width` (=0.3) is not valid"),
        (["-o", str(tmp_path / "x.pth"), "--width", "0"], "greater than 0"),
    ):
        assert main(["export", str(checkpoint), *extra]) == 2
        assert message in capsys.readouterr().err
    assert main(["export", str(tmp_path / "none.pth"), "-o", str(tmp_path / "x.pth")]) == 2
    assert not list(tmp_path.glob("x*"))
