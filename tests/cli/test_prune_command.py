"""`srkd prune`: the same network in another order, and what it refuses."""

import pytest
import torch

from srkd.cli import main
from srkd.imaging.files import write_image
from srkd.networks.edsr import EDSR
from srkd.networks.weights import load_network, read_weights, save_network


@pytest.fixture
def trained(tmp_path):
    torch.manual_seed(0)
    save_network(tmp_path / "net.pth", EDSR(num_feat=8, num_block=1, upscale=2), iter=7, method="Supervised")
    return tmp_path / "net.pth"


@pytest.mark.parametrize("by", ["norm", "scale", "search"])
def test_the_file_computes_the_same_in_another_order(trained, tmp_path, by, capsys):
    out = tmp_path / "ordered.safetensors"
    assert main(["prune", str(trained), "-o", str(out), "--by", by, "--steps", "2"]) == 0
    before, after = load_network(trained), load_network(out)
    x = torch.rand(1, 3, 9, 9)
    with torch.no_grad():
        torch.testing.assert_close(after(x), before(x), rtol=1e-4, atol=1e-4)
    assert not torch.equal(after.conv_first.weight, before.conv_first.weight)
    assert read_weights(out).meta["iter"] == 7
    of, *said = capsys.readouterr().out.splitlines()
    assert of.startswith("Untrained, on 48 × 48 pixels of each of ")
    assert [line.split(":")[0] for line in said[:4]] == [f"width {w}" for w in ("1", "0.75", "0.5", "0.25")]
    first = said[0].split()
    assert first[2] == first[5]  # the same at full width


def test_mistakes_are_one_sentence(trained, tmp_path, photo, capsys):
    save_network(tmp_path / "wide.pth", EDSR(num_feat=8, num_block=1, upscale=2), widths=(1.0, 0.5))
    (tmp_path / "empty").mkdir()
    for number in range(6):
        write_image(tmp_path / "tiny" / f"{number}.png", photo[:20, :20])
    write_image(tmp_path / "one" / "one.png", photo)
    cases = {
        ("prune", str(tmp_path / "wide.pth"), "-o", "x.pth"): "was trained at widths below 1 (0.5)",
        ("prune", str(trained), "-o", str(trained)): "--overwrite replaces it",
        ("prune", str(trained), "-o", "x.onnx"): "must end in .pth or .safetensors",
        ("prune", str(trained), "-o", "x.pth", "--images", str(tmp_path / "empty")): "holds no image directly",
        ("prune", str(trained), "-o", "x.pth", "--images", str(tmp_path / "one")): "one has 1 image; at least 6",
        ("prune", str(trained), "-o", "x.pth", "--images", str(tmp_path / "tiny")): "tiny is smaller than 16 pixels",
        ("prune", str(trained), "-o", "x.pth", "--steps", "0"): "--steps is at least 1",
        ("prune", str(tmp_path / "none.pth"), "-o", "x.pth"): "none.pth",
        ("prune", str(trained), "-o", "x.pth", "--by", "luck"): "'luck'",
    }
    for command, message in cases.items():
        assert main(list(command)) == 2
        said = " ".join(capsys.readouterr().err.split())
        assert message in said and "--calibrate" not in said, command
