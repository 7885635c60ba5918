"""BasicSR's own networks as `basicsr.NAME`."""

import copy
import sys

import pytest
import torch

from srkd.cli import main
from srkd.networks.slim import narrow
from srkd.networks.weights import build_network, load_network, save_network
from srkd.registry import NETWORKS
from srkd.signature import check_options
from srkd.types import InputError

SMALL = {
    "EDSR": {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 6, "num_block": 2, "upscale": 2, "res_scale": 0.1},
    "RCAN": {
        "num_in_ch": 3,
        "num_out_ch": 3,
        "num_feat": 8,
        "num_group": 2,
        "num_block": 2,
        "squeeze_factor": 4,
        "upscale": 3,
    },
    "SwinIR": {
        "upscale": 2,
        "embed_dim": 12,
        "depths": [2],
        "num_heads": [2],
        "window_size": 4,
        "img_size": 8,
        "upsampler": "pixelshuffledirect",
    },
    "RRDBNet": {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 6, "num_block": 1, "num_grow_ch": 4, "scale": 2},
    "MSRResNet": {"num_feat": 6, "num_block": 1, "upscale": 4},
    "SRVGGNetCompact": {"num_feat": 6, "num_conv": 1, "upscale": 2},
    "ECBSR": {
        "num_in_ch": 1,
        "num_out_ch": 1,
        "num_block": 1,
        "num_channel": 4,
        "with_idt": False,
        "act_type": "prelu",
        "scale": 2,
    },
}


def build(name):
    torch.manual_seed(0)
    return build_network(f"basicsr.{name}", SMALL[name])


@pytest.fixture(params=SMALL)
def name(request, basicsr):
    return request.param


def plain(name, **options):
    from basicsr.utils.registry import ARCH_REGISTRY

    torch.manual_seed(0)
    return ARCH_REGISTRY.get(name)(**{**SMALL[name], **options})


def test_the_output_is_basicsrs(name):
    network, reference = build(name).eval(), plain(name).eval()
    assert network.state_dict().keys() == reference.state_dict().keys()
    network.load_state_dict(reference.state_dict())
    x = torch.rand(2, network.num_in_ch, 8, 16)
    with torch.no_grad():
        assert torch.equal(network(x), reference(x))


@pytest.mark.parametrize("size", [(1, 1), (5, 7)])
def test_small_and_odd_sizes(name, size):
    network = build(name).eval()
    x = torch.rand(1, network.num_in_ch, *size)
    expected = (1, network.num_out_ch, network.scale * size[0], network.scale * size[1])
    assert network(x).shape == expected
    assert narrow(network, 1.0)(x).shape == expected


def test_file_round_trip(name, tmp_path):
    network = build(name).eval()
    for path in (tmp_path / "n.pth", tmp_path / "n.safetensors"):
        save_network(path, network)
        again = load_network(path)
        x = torch.rand(1, network.num_in_ch, 8, 8)
        assert torch.equal(again(x), network(x)) and again.scale == network.scale
        assert type(again).__name__ == f"basicsr.{name}" and again.config == network.config
    described = torch.load(tmp_path / "n.pth", weights_only=True)["network_g"]
    assert described["type"] == f"basicsr.{name}" and SMALL[name].items() <= described.items()


def test_channels_last_weights_compute_the_same(name):
    network = build(name).eval()
    other = copy.deepcopy(network).to(memory_format=torch.channels_last)
    x = torch.rand(1, network.num_in_ch, 9, 10)
    torch.testing.assert_close(other(x), network(x))


def test_range_of_the_features_is_found(basicsr):
    assert build("RCAN").img_range == 255 and build("SwinIR").img_range == 1 and build("MSRResNet").img_range == 1


def test_options_are_the_constructors(basicsr):
    build = NETWORKS.get("basicsr.RCAN")
    accepted, problems = check_options(build, {**SMALL["RCAN"], "res_scale": 0.5, "rgb_mean": [0.1, 0.2, 0.3]})
    assert not problems and accepted["res_scale"] == 0.5 and accepted["rgb_mean"] == (0.1, 0.2, 0.3)
    assert type(accepted["num_feat"]) is int
    _, problems = check_options(build, {"num_in_ch": 3, "num_feet": 64, "num_block": "two"})
    messages = {".".join(map(str, problem.path)): problem.message for problem in problems}
    assert "Did you mean 'num_feat'" in messages["num_feet"] and "'two'" in messages["num_block"]
    assert "required" in messages["num_out_ch"]
    _, problems = check_options(NETWORKS.get("basicsr.SwinIR"), {"upscales": 2})  # BasicSR itself would swallow it
    assert "Did you mean 'upscale'" in problems[0].message


@pytest.mark.parametrize("wrong", ["EDVR", "DUF", "RIDNet", "VGGStyleDiscriminator"])
def test_video_faces_and_losses_are_refused(basicsr, wrong):
    with pytest.raises(InputError, match=rf"'basicsr\.{wrong}' is not for single-image.*basicsr\.RCAN"):
        NETWORKS.get(f"basicsr.{wrong}")


def test_unknown_names_are_answered_with_those_that_exist(basicsr):
    with pytest.raises(InputError, match=r"'basicsr\.RCANN' does not exist\. Did you mean 'RCAN'\?.*basicsr\.EDSR"):
        NETWORKS.get("basicsr.RCANN")
    with pytest.raises(InputError, match="Did you mean 'basicsr'"):
        NETWORKS.get("basicrs")


def test_options_that_do_not_go_together_are_one_sentence(basicsr):
    with pytest.raises(InputError, match=r"network_g: basicsr\.RRDBNet makes .* not a ×3 network"):
        build_network("basicsr.RRDBNet", {**SMALL["RRDBNet"], "scale": 3})
    with pytest.raises(InputError, match=r"network_g: basicsr\.EDSR cannot be built with these options \(ValueError"):
        build_network("basicsr.EDSR", {**SMALL["EDSR"], "upscale": 5})


def test_without_basicsr_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "basicsr", None)
    with pytest.raises(InputError, match=r"pip install basicsr"):
        build_network("basicsr.RCAN", {})


def test_listing_shows_the_doors_and_what_is_behind(basicsr, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["list", "networks"]) == 0
    shown = capsys.readouterr().out
    assert "basicsr.NAME" in shown and "spandrel" in shown
    assert main(["list", "networks", "basicsr.RCAN"]) == 0
    shown = capsys.readouterr().out
    assert "squeeze_factor" in shown and "Number of ResidualGroup" in shown
