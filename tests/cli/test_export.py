import hashlib
import json

import pytest
import torch

from srkd.cli import main
from srkd.imaging.files import write_image
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


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ([], "-o FILE (.pth, .safetensors, .onnx or .pt2), -o FOLDER or --web FOLDER"),
        (["--web", "page", "--width", "0.5", "--card"], "leave --width and --card out"),
        (["--web", "page", "-o", "x.onnx"], "leave -o out"),
        (["--web", "page", "--widths", "0.5", "--size", "90x160"], "--web takes no --size"),
    ],
)
def test_where_it_goes_is_said_once(checkpoint, extra, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(checkpoint), *extra]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


def test_wrong_input_exits_2(checkpoint, tmp_path, capsys):
    for extra, message in (
        (["-o", str(tmp_path / "x.pt")], "allowed: .pth, .safetensors, .onnx, .pt2"),
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


def test_every_trained_width_into_a_folder(checkpoint, network, tmp_path, capsys):
    out = tmp_path / "release"
    more = ["--training-data", "DIV2K", "--data-licence", "research only"]
    assert main(["export", str(checkpoint), "--all-widths", "-o", str(out), "--format", "pth,pt2", *more]) == 0
    names = {f"edsr_x2_w{width}.{kind}" for width in ("1", "0.5") for kind in ("pth", "pt2")}
    assert {path.name for path in out.iterdir()} == {*names, "README.md", "index.json"}
    assert f"Model card: {out / 'README.md'}" in capsys.readouterr().out
    content = json.loads((out / "index.json").read_text(encoding="utf-8"))
    assert content["training_set"] == "DIV2K" and {file["file"] for file in content["files"]} == names
    for file in content["files"]:
        assert file["sha256"] == hashlib.sha256((out / file["file"]).read_bytes()).hexdigest()
        assert file["multi_adds"] > 0 and file["num_feat"] == 8 * file["width"]
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "- Licence of the data: research only" in card and all(name in card for name in names)
    x = torch.rand(1, 3, 7, 9)
    assert torch.equal(load_network(out / "edsr_x2_w0.5.pth")(x), network(x, 0.5))


def test_a_card_with_the_results_of_benchmark(checkpoint, folder, tmp_path):
    results, out = tmp_path / "r.json", tmp_path / "small.pth"
    assert main(["benchmark", str(checkpoint), "--sets", str(folder), "--widths", "1,0.5", "-o", str(results)]) == 0
    command = ["export", str(checkpoint), "--width", "0.5", "-o", str(out), "--card", "--results", str(results)]
    assert main(command) == 0
    card = (tmp_path / "small.pth.md").read_text(encoding="utf-8")
    assert "| mine | bicubic | 1 |" in card and "| mine | network | 0.5 |" in card and "Protocol y:" in card
    assert "| small.pth | 0.5 | 4 |" in card and "7 iterations of CSD" in card


def test_a_form_for_phones(checkpoint, tmp_path, photo, capsys):
    write_image(tmp_path / "check" / "a.png", photo)
    out = tmp_path / "phone.pt2"
    form = ["--mobile", "--conv-transpose", "--size", "12x20", "--check-images", str(tmp_path / "check")]
    assert main(["export", str(checkpoint), "-o", str(out), *form]) == 0
    assert torch.export.load(out).module()(torch.rand(1, 3, 12, 20)).shape == (1, 3, 24, 40)


def test_requests_that_contradict_themselves_exit_2(checkpoint, tmp_path, capsys):
    file, folder = ["-o", str(tmp_path / "x.pth")], ["-o", str(tmp_path / "x")]
    for command, message in (
        ([*folder, "--all-widths", "--widths", "1"], "exclude each other"),
        ([*folder, "--all-widths", "--width", "1"], "--width is for a single file"),
        ([*folder, "--widths", "1", "--dialect", "csd"], "--dialect is for a single file"),
        ([*file, "--all-widths"], "looks like a file"),
        ([*folder, "--all-widths", "--format", "pt"], "unknown 'pt'; allowed: pth, safetensors, onnx, pt2"),
        ([*file, "--format", "pth"], "the suffix of -o chooses"),
        ([*file, "--results", "r.json"], "add --card"),
        ([*file, "--card", "--results", str(tmp_path / "no.json")], "does not exist"),
        ([*file, "--size", "180,320"], "--size is height x width"),
        ([*file, "--size", "8x8"], "are for .onnx and .pt2 files"),
        ([*file, "--conv-transpose"], "add --mobile"),
    ):
        assert main(["export", str(checkpoint), *command]) == 2, command
        assert message in capsys.readouterr().err
    save_network(tmp_path / "unknown.pth", EDSR(num_feat=8, num_block=1, upscale=2))
    assert main(["export", str(tmp_path / "unknown.pth"), *folder, "--all-widths"]) == 2
    assert "name them with --widths" in capsys.readouterr().err
    assert not list(tmp_path.glob("x*"))
