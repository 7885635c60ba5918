import pytest
import torch

from srkd.cli import main
from srkd.networks.carn import CARN
from srkd.networks.edsr import EDSR
from srkd.networks.weights import load_network, save_network


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


def test_a_file_of_another_code_base_is_converted_once(tmp_path, capsys):
    """Names of EDSR-PyTorch, as this project writes them; that they are its own is tested in tests/networks."""
    torch.manual_seed(0)
    network = EDSR(num_feat=8, num_block=2, upscale=3, res_scale=0.3).eval()
    save_network(tmp_path / "net.pth", network)
    there, back = tmp_path / "theirs.pt", tmp_path / "back.pth"
    assert main(["export", str(tmp_path / "net.pth"), "--dialect", "edsr-pytorch", "-o", str(there)]) == 0
    assert "head.0.weight" in torch.load(there, weights_only=True)
    assert main(["export", str(there), "-o", str(back)]) == 2
    assert "--network res_scale=VALUE" in capsys.readouterr().err
    assert main(["export", str(there), "-o", str(back), "--network", "res_scale=0.3"]) == 0
    again = load_network(back)
    assert again.config == network.config
    assert all(torch.equal(again.state_dict()[name], value) for name, value in network.state_dict().items())


def test_a_narrow_network_in_another_dialect(checkpoint, network, tmp_path):
    out = tmp_path / "theirs.pth"
    assert main(["export", str(checkpoint), "--width", "0.5", "--dialect", "csd", "-o", str(out)]) == 0
    x = torch.rand(1, 3, 7, 9)
    assert torch.equal(load_network(out, network={"res_scale": 1})(x), network(x, 0.5))


def test_wrong_dialects_exit_2(checkpoint, tmp_path, capsys):
    save_network(tmp_path / "carn.pth", CARN(num_feat=8, upscale=2))
    for model, extra, message in (
        (checkpoint, ["--dialect", "edsr", "-o", "x.pt"], "unknown dialect 'edsr'. Known: edsr-pytorch"),
        (checkpoint, ["--dialect", "csd", "-o", "x.onnx"], "allowed: .pth, .pt"),
        (checkpoint, ["--network", "res_scale=1", "-o", "x.pth"], "res_scale cannot be given"),
        (checkpoint, ["--network", "res_scale", "-o", "x.pth"], "key.path=value"),
        (tmp_path / "carn.pth", ["--dialect", "torchsr", "-o", "x.pt"], "torchSR has no names for CARN"),
    ):
        assert main(["export", str(model), *extra[:-1], str(tmp_path / extra[-1])]) == 2
        assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("x*"))
