"""Teachers and students that srkd did not write, through the command line."""

import json

import pytest
import torch
import yaml

from srkd.networks.weights import load_network
from srkd.options import load_train_options

RCAN = {"type": "basicsr.RCAN", "num_in_ch": 3, "num_out_ch": 3, "num_feat": 12, "num_group": 2, "num_block": 1}
RCAN |= {"squeeze_factor": 4}
SWINIR = {"type": "basicsr.SwinIR", "embed_dim": 12, "depths": [1], "num_heads": [2], "window_size": 8, "img_size": 8}
SWINIR |= {"upsampler": "pixelshuffledirect"}

METHODS = {
    "FAKD": {"taps": ["body.0", "features"]},
    "SRKD": {"taps": ["body.0", "features"], "power": 1},
    "OutputKD": {},
}


@pytest.fixture
def short(recipe):
    """Three iterations, on patches that are no multiple of a window."""
    recipe["train"]["total_iter"] = 3
    recipe["val"]["val_freq"] = 3
    return recipe


def of_scale(recipe, scale):
    recipe["scale"] = scale
    recipe["network_g"]["upscale"] = scale
    recipe["datasets"]["train"]["gt_size"] = 12 * scale
    return recipe


def method(name, taps):
    """The method with its teacher taps, where it has taps."""
    return {"type": name, **METHODS[name], **({"teacher_taps": taps} if METHODS[name] else {})}


def terms(root):
    """The losses of the last iteration, and the gradient norms before the first."""
    records = [json.loads(line) for line in (root / "metrics.jsonl").read_text().splitlines()]
    train = [record for record in records if record["kind"] == "train"]
    gradients = next(record for record in records if record["kind"] == "gradients")
    assert len(train) == 3
    return train[-1], {key: value for key, value in gradients.items() if key.startswith("l_")}


@pytest.fixture
def craft(shared_data):
    pytest.importorskip("spandrel")
    return {"type": "spandrel", "path": str(shared_data / "weights" / "craft_x4.pth")}


@pytest.mark.parametrize("name", METHODS)
def test_a_teacher_that_spandrel_recognises(short, train, tmp_path, craft, name):
    of_scale(short, 4)["network_g_teacher"] = craft
    assert train({**short, "method": method(name, ["layers.0", "conv_after_body"])}) == 0
    _, gradients = terms(tmp_path / "experiments/tiny")
    assert gradients and all(0 < value < 1e3 for value in gradients.values())
    # the teacher is in no file, and the copy of the options loads again
    network = torch.load(tmp_path / "experiments/tiny/models/net_g_3.pth", weights_only=True)
    assert network["network_g"]["type"] == "EDSR" and not any("layers" in key for key in network["params"])
    again = load_train_options(tmp_path / "experiments/tiny/options.yml")
    assert again.network_g_teacher.type == "spandrel" and again.network_g_teacher.args == {"path": craft["path"]}


def basicsr_teacher(options, path, scale):
    """A file as BasicSR writes it: `{params: …}` and nothing about the network."""
    from basicsr.utils.registry import ARCH_REGISTRY

    torch.manual_seed(1)
    given = {key: value for key, value in options.items() if key != "type"}
    module = ARCH_REGISTRY.get(options["type"].removeprefix("basicsr."))(**given, upscale=scale)
    torch.save({"params": module.state_dict()}, path)
    return str(path)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    ("teacher", "taps"), [(RCAN, ["body.0", "body.1.conv"]), (SWINIR, ["layers.0.conv", "conv_after_body"])]
)
def test_a_teacher_of_basicsr(basicsr, short, train, tmp_path, name, teacher, taps):
    short["network_g_teacher"] = teacher
    path = basicsr_teacher(teacher, tmp_path / "teacher.pth", 2)
    short["path"]["pretrain_network_g_teacher"] = path
    assert train({**short, "method": method(name, taps)}) == 0
    _, gradients = terms(tmp_path / "experiments/tiny")
    assert gradients and all(value > 0 for value in gradients.values())
    again = load_train_options(tmp_path / "experiments/tiny/options.yml")
    assert again.network_g_teacher.type == teacher["type"] and again.network_g_teacher.args["upscale"] == 2


@pytest.mark.parametrize("network", [RCAN, SWINIR])
def test_a_student_of_basicsr_trains_resumes_and_loads_again(basicsr, short, train, tmp_path, network):
    short["network_g"], short["train"]["total_iter"], short["val"]["val_freq"] = network, 10, 5
    root = tmp_path / "experiments"
    assert train({**short, "name": "whole"}) == 0
    assert train({**short, "name": "parts"}) == 0
    for path in (root / "parts").glob("*/*10.*"):
        path.unlink()
    assert train({**short, "name": "parts"}, "--auto_resume") == 0
    whole, parts = (torch.load(root / run / "models/net_g_10.pth", weights_only=True) for run in ("whole", "parts"))
    for key in ("params", "params_ema"):
        assert all(torch.equal(value, parts[key][name]) for name, value in whole[key].items())
    assert whole["network_g"]["type"] == network["type"] and whole["network_g"]["upscale"] == 2
    again = load_network(root / "whole/models/net_g_10.pth", key="params")
    assert type(again).__name__ == network["type"] and again.trained_widths == (1.0,)
    assert all(torch.equal(value, whole["params"][name]) for name, value in again.state_dict().items())


def test_a_basicsr_student_has_one_width(basicsr, short, train, capsys):
    short["network_g"] = RCAN
    short["method"] = {"type": "CSD", "widths": [0.5], "num_negatives": 2, "perceptual": {"type": "network"}}
    assert train(short) == 2
    assert "method (CSD): `width` (=0.5) is not valid for basicsr.RCAN, whose only width is 1" in message(capsys)


def message(capsys):
    return " ".join(capsys.readouterr().err.split())


def test_a_wrong_tap_lists_those_that_exist(short, train, capsys, craft):
    of_scale(short, 4)["network_g_teacher"] = craft
    short["method"] = {"type": "FAKD", "taps": ["body.0"], "teacher_taps": ["layers.7"]}
    assert train(short) == 2
    text = message(capsys)
    assert "tap 'layers.7' does not exist in spandrel.CRAFT" in text and "layers.3.conv" in text
    short["method"] = {"type": "FAKD"}
    assert train(short) == 2
    assert "spandrel.CRAFT has no `body` of blocks: name the taps" in message(capsys)


def test_a_tap_of_another_resolution_is_refused(short, train, capsys, craft):
    of_scale(short, 4)["network_g_teacher"] = craft
    short["method"] = {"type": "SRKD", "taps": ["body.0"], "teacher_taps": ["upsample"]}
    assert train(short) == 2
    assert "height and width must be equal" in message(capsys)


def test_a_teacher_of_another_scale_is_refused(basicsr, short, train, capsys, tmp_path, craft):
    short["method"] = {"type": "OutputKD"}
    assert train({**short, "network_g_teacher": craft}) == 2
    assert "network_g_teacher: its scale is 4, but `scale` is 2" in message(capsys)
    short["path"]["pretrain_network_g_teacher"] = basicsr_teacher(RCAN, tmp_path / "t.pth", 4)
    assert train({**short, "network_g_teacher": {**RCAN, "upscale": 4}}) == 2
    assert "network_g_teacher.upscale: is 4, but scale is 2" in message(capsys)


def test_two_files_for_one_teacher_are_refused(short, train, capsys, craft):
    of_scale(short, 4)["network_g_teacher"] = craft
    short["method"] = {"type": "OutputKD"}
    short["path"]["pretrain_network_g_teacher"] = "elsewhere.pth"
    assert train(short) == 2
    text = message(capsys)
    assert "its weights are its `path`" in text and "remove path.pretrain_network_g_teacher" in text


def test_a_teacher_of_basicsr_needs_its_weights(basicsr, short, train, capsys):
    short |= {"network_g_teacher": RCAN, "method": {"type": "OutputKD"}}
    assert train(short) == 2
    assert "set path.pretrain_network_g_teacher" in message(capsys)


def test_spandrel_is_no_network_to_train(short, train, capsys):
    assert train({**short, "network_g": {"type": "spandrel", "path": "x.pth"}}) == 2
    text = message(capsys)
    assert "network_g.type: spandrel's networks come with their weights: as network_g_teacher" in text


def test_the_scale_is_given_to_networks_that_call_it_scale(basicsr, short, tmp_path):
    short["network_g"] = {"type": "basicsr.RRDBNet", "num_in_ch": 3, "num_out_ch": 3, "num_feat": 4, "num_block": 1}
    path = tmp_path / "options.yml"
    path.write_text(yaml.safe_dump(short))
    assert load_train_options(path).network_g.args["scale"] == 2
