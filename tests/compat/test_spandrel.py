"""Weight files that spandrel recognises; a made-up one of a small architecture, no download."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from srkd import load_network
from srkd.cli import main
from srkd.imaging.files import read_image, write_image
from srkd.inference.upscaler import Upscaler
from srkd.networks.edsr import EDSR
from srkd.networks.slim import narrow
from srkd.networks.weights import build_network, save_network
from srkd.registry import NETWORKS
from srkd.types import InputError


@pytest.fixture(scope="module")
def spandrel():
    return pytest.importorskip("spandrel")


@pytest.fixture
def compact(spandrel, tmp_path):
    """A file of a tiny ×2 Compact (SRVGGNet) network, as Real-ESRGAN writes them, and the module in it."""
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    torch.manual_seed(0)
    module = SRVGGNetCompact(num_in_ch=3, num_out_ch=3, num_feat=8, num_conv=2, upscale=2).eval()
    torch.save({"params": module.state_dict()}, tmp_path / "tiny.pth")
    return tmp_path / "tiny.pth", module


def test_a_recognised_file_computes_what_its_module_does(compact):
    path, module = compact
    network = build_network("spandrel", {"path": str(path)}).eval()
    x = torch.rand(1, 3, 9, 7)
    assert torch.equal(network(x), module(x)) and torch.equal(load_network(path)(x), module(x))
    assert type(network).__name__ == "spandrel.Compact" and network.config == {"path": str(path)}
    assert network.state_dict().keys() == module.state_dict().keys() and network.scale == 2
    path.unlink()  # from here on nothing reads it again
    assert torch.equal(narrow(network, 1.0)(x), module(x))


def test_it_is_not_written_into_a_file_that_could_not_name_it(compact, tmp_path):
    with pytest.raises(InputError, match=r"n\.pth cannot hold a spandrel\.Compact, which would not be found again"):
        save_network(tmp_path / "n.pth", load_network(compact[0]))
    assert not (tmp_path / "n.pth").exists()


def test_our_own_files_stay_ours(tmp_path):
    save_network(tmp_path / "own.pth", EDSR(num_feat=4, num_block=1, upscale=2))
    assert type(load_network(tmp_path / "own.pth")) is EDSR


def test_upscaler_and_command_line_take_the_file(compact, tmp_path, photo):
    path, module = compact
    write_image(tmp_path / "in.png", photo)
    assert main(["upscale", str(tmp_path / "in.png"), "-m", str(path), "-o", str(tmp_path / "out.png")]) == 0
    result = Upscaler(path, device="cpu")(photo)
    with torch.no_grad():
        expected = module(torch.from_numpy(photo).float().permute(2, 0, 1)[None] / 255)[0].permute(1, 2, 0)
    rounded = expected.clamp(0, 1).mul(255).round().numpy().astype(int)
    assert np.abs(result.astype(int) - rounded).max() <= 1
    assert read_image(tmp_path / "out.png").shape == (2 * photo.shape[0], 2 * photo.shape[1], 3)


def test_benchmark_takes_the_file(compact, tmp_path, photo, capsys):
    write_image(tmp_path / "set" / "a.png", photo[:40, :42])
    assert main(["benchmark", str(compact[0]), "--sets", str(tmp_path / "set"), "--device", "cpu"]) == 0
    assert "tiny" in capsys.readouterr().out


def test_another_width_exits_2(compact, tmp_path, photo, capsys):
    write_image(tmp_path / "in.png", photo)
    arguments = [str(tmp_path / "in.png"), "-m", str(compact[0]), "-o", str(tmp_path / "out.png"), "--width", "0.5"]
    assert main(["upscale", *arguments]) == 2
    assert "only width is 1" in capsys.readouterr().err


def test_an_unknown_file_is_answered_with_both_ways_out(spandrel, tmp_path):
    torch.save({"some.weight": torch.zeros(3)}, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"network_g and path\.pretrain_network_g.*spandrel .* does not recognise it"):
        load_network(tmp_path / "x.pth")


def test_without_spandrel_it_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "spandrel", None)
    torch.save({"some.weight": torch.zeros(3)}, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r'network_g and path\.pretrain_network_g.*pip install -e "\.\[spandrel\]"'):
        load_network(tmp_path / "x.pth")
    with pytest.raises(InputError, match=r'pip install -e "\.\[spandrel\]"'):
        build_network("spandrel", {"path": str(tmp_path / "x.pth")})


def test_names_without_their_shapes_are_one_sentence(compact):
    path, module = compact
    broken = {**module.state_dict(), "body.2.weight": torch.zeros(8, 9, 3, 3)}
    torch.save(broken, path)
    with pytest.raises(InputError, match="spandrel cannot load it"):
        load_network(path)


def test_a_denoiser_is_no_super_resolution_network(spandrel, tmp_path):
    from spandrel.architectures.Compact.__arch.SRVGG import SRVGGNetCompact

    module = SRVGGNetCompact(num_in_ch=3, num_out_ch=3, num_feat=8, num_conv=2, upscale=1)
    torch.save(module.state_dict(), tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"is a spandrel\.Compact for \w+ at scale 1, not for super-resolution"):
        load_network(tmp_path / "x.pth")


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [False, True])
def test_nothing_in_a_file_is_executed(spandrel, tmp_path, legacy):
    content = {"params": {"body.0.weight": torch.zeros(8, 3, 3, 3), "x": Payload(tmp_path / "executed")}}
    if legacy:
        (tmp_path / "evil.pth").write_bytes(pickle.dumps(content))
    else:
        torch.save(content, tmp_path / "evil.pth")
    for load in (load_network, lambda path: build_network("spandrel", {"path": str(path)})):
        with pytest.raises(InputError, match="cannot be read"):
            load(tmp_path / "evil.pth")
    assert not (tmp_path / "executed").exists()


def test_the_door_has_no_rooms():
    with pytest.raises(InputError, match=r"'spandrel\.HAT'.*type: spandrel"):
        NETWORKS.get("spandrel.HAT")


def test_a_network_of_others_is_opened_without_its_warnings(spandrel, shared_data):
    code = "import sys; from srkd import load_network; load_network(sys.argv[1])"  # PyTorch says it once a process
    file = shared_data / "weights" / "craft_x4.pth"
    done = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True, check=True, timeout=200)
    assert "meshgrid" not in done.stderr


def test_craft_with_its_windows(spandrel, shared_data):
    network = load_network(shared_data / "weights" / "craft_x4.pth")
    assert type(network).__name__ == "spandrel.CRAFT" and network.scale == 4
    assert sum(p.numel() for p in network.parameters()) == 753_344
    with torch.no_grad():
        assert network(torch.rand(1, 3, 5, 21)).shape == (1, 3, 20, 84)


def test_rcan_which_alters_its_input(spandrel, tmp_path):
    from srkd.inference.export import export

    torch.manual_seed(0)
    network = EDSR(num_feat=8, num_block=2, upscale=2).eval()
    export(network, tmp_path / "n.pth", dialect="spandrel")
    found, x = NETWORKS.get("spandrel")(path=str(tmp_path / "n.pth")), torch.rand(1, 3, 20, 24)
    before = x.clone()
    torch.testing.assert_close(found.eval()(x), network(x).clamp(0, 1), rtol=0, atol=1e-6)
    assert torch.equal(x, before)
