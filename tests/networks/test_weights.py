"""Network files: round trips, BasicSR's form, and every way a file can be wrong."""

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from srkd.networks.edsr import EDSR
from srkd.networks.weights import load_network, load_params, network_of, read_weights, save_network
from srkd.types import InputError


@pytest.fixture
def network():
    torch.manual_seed(0)
    return EDSR(num_feat=8, num_block=2, upscale=2, res_scale=0.1)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_round_trip(network, tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    save_network(path, network, iter=5, method="CSD", widths=(1.0, 0.5))
    again = load_network(path)
    assert again.config == network.config
    assert again.trained_widths == (1.0, 0.5)
    state = again.state_dict()
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    meta = read_weights(path).meta
    assert meta["iter"] == 5 and meta["method"] == "CSD" and meta["scale"] == 2 and meta["srkd"]["version"]


def test_pth_is_plain(network, tmp_path):
    save_network(tmp_path / "x.pth", network)
    content = torch.load(tmp_path / "x.pth", weights_only=True)
    history = {"iter", "method", "training_set", "data_licence", "srkd"}
    assert set(content) == {"params", "network_g", "scale", "widths", *history}
    assert content["network_g"]["type"] == "EDSR"


def test_basicsr_reads_ours(basicsr, network, tmp_path):
    from basicsr.archs.edsr_arch import EDSR as BasicEDSR

    save_network(tmp_path / "x.pth", network)
    theirs = BasicEDSR(3, 3, num_feat=8, num_block=2, upscale=2, res_scale=0.1)
    theirs.load_state_dict(torch.load(tmp_path / "x.pth", weights_only=True)["params"], strict=True)
    x = torch.rand(1, 3, 7, 7)
    assert (theirs(x) - network(x)).abs().max() <= 1e-6


def test_safetensors_metadata_is_json(network, tmp_path):
    save_network(tmp_path / "x.safetensors", network)
    with safe_open(tmp_path / "x.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["srkd"])["network_g"]["num_feat"] == 8


def test_ema_is_preferred_and_key_chooses(network, tmp_path):
    averaged = {name: value + 1 for name, value in network.state_dict().items()}
    save_network(tmp_path / "x.pth", network, params_ema=averaged)
    assert read_weights(tmp_path / "x.pth").key == "params_ema"
    assert torch.equal(load_network(tmp_path / "x.pth").conv_first.bias, network.conv_first.bias + 1)
    assert torch.equal(load_network(tmp_path / "x.pth", key="params").conv_first.bias, network.conv_first.bias)


def test_module_prefix_is_stripped(network, tmp_path):
    torch.save({"params": {f"module.{k}": v for k, v in network.state_dict().items()}}, tmp_path / "x.pth")
    assert load_params(network, read_weights(tmp_path / "x.pth")) == []


def bad_files(folder):
    (folder / "text.pth").write_text("hello")
    (folder / "empty.pth").write_bytes(b"")
    (folder / "text.safetensors").write_text("hello")
    torch.save([1, 2], folder / "list.pth")
    torch.save({"a": 1}, folder / "noparams.pth")
    torch.save({"params": {"w": torch.ones(1)}, "numpy": np.float64(1)}, folder / "numpy.pth")
    torch.save({"params": {"w": torch.ones(1)}}, folder / "anonymous.pth")
    torch.save({"params": {"w": torch.ones(1)}, "network_g": {"type": "EDSX"}}, folder / "unknown.pth")
    torch.save({"params": {"w": torch.ones(1)}, "network_g": {"type": "EDSR", "num_feet": 8}}, folder / "typo.pth")
    torch.save({"params": {"w": torch.ones(1)}, "network_g": {"type": "EDSR", "num_block": 1}}, folder / "misfit.pth")
    return [*sorted(folder.iterdir()), folder / "missing.pth"]


def test_bad_files_are_named(tmp_path):
    for path in bad_files(tmp_path):
        with pytest.raises(InputError) as error:
            load_network(path)
        assert str(path) in str(error.value), path
    with pytest.raises(InputError, match="Did you mean 'num_feat'"):
        load_network(tmp_path / "typo.pth")
    with pytest.raises(InputError, match="Did you mean 'EDSR'"):
        load_network(tmp_path / "unknown.pth")


def test_a_folder_is_answered_with_the_file_that_was_probably_meant(tmp_path):
    with pytest.raises(InputError, match=r"is a folder.*net_g_latest\.pth"):
        load_network(tmp_path)


def test_warm_start_skips_only_what_does_not_fit(network, tmp_path):
    save_network(tmp_path / "x2.pth", network)
    for scale, layer in ((4, "upsample.2"), (3, "upsample.0")):
        expected = {f"{layer}.weight", f"{layer}.bias"}
        other = EDSR(num_feat=8, num_block=2, upscale=scale, res_scale=0.1)
        with pytest.raises(InputError, match="does not fit"):
            load_params(other, read_weights(tmp_path / "x2.pth"))
        assert set(load_params(other, read_weights(tmp_path / "x2.pth"), strict=False)) == expected
        assert torch.equal(other.conv_first.weight, network.conv_first.weight)


def test_nothing_fits_is_an_error_even_when_not_strict(network, tmp_path):
    torch.save({"params": {"w": torch.ones(1)}}, tmp_path / "x.pth")
    with pytest.raises(InputError, match="does not fit"):
        load_params(network, read_weights(tmp_path / "x.pth"), strict=False)


def test_old_file_survives_a_failed_write(network, tmp_path, monkeypatch):
    save_network(tmp_path / "x.pth", network)
    before = (tmp_path / "x.pth").read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="disk full"):
        save_network(tmp_path / "x.pth", network)
    assert (tmp_path / "x.pth").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_network_of_needs_a_description():
    from pathlib import Path

    from srkd.networks.weights import Weights

    with pytest.raises(InputError, match="does not say which network"):
        network_of(Weights(Path("x.pth"), {}))


def test_a_safetensors_file_holds_one_kind_of_parameters(network, tmp_path):
    save_network(tmp_path / "x.safetensors", network)
    kind = read_weights(tmp_path / "x.safetensors").key
    assert read_weights(tmp_path / "x.safetensors", kind).key == kind
    with pytest.raises(InputError, match=f"has no 'params_ema'; it has {kind}"):
        read_weights(tmp_path / "x.safetensors", "params_ema")
