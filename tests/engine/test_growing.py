"""`train.frozen_width`: a wider network is trained around a narrower one, which stays as it is."""

import pytest
import torch

from srkd.networks.slim import narrow
from srkd.networks.weights import load_network


@pytest.fixture
def narrow_one(recipe, train, tmp_path):
    """A trained network of 4 channels, and a recipe of 8 that grows around it."""
    whole = recipe["network_g"]
    recipe["network_g"] = {**whole, "num_feat": 4}
    assert train({**recipe, "name": "narrow"}, "train.total_iter=5") == 0
    file = tmp_path / "experiments/narrow/models/net_g_latest.pth"
    recipe["network_g"] = whole
    recipe["path"]["pretrain_network_g"] = str(file)
    recipe["train"]["frozen_width"] = 0.5
    return file


def equal(one, other):
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("method", [{"type": "Supervised"}, {"type": "Supervised", "widths": [1, 0.75]}])
def test_the_narrow_part_stays_bit_for_bit_through_a_resumed_training(narrow_one, recipe, train, tmp_path, method):
    recipe["method"] = method
    assert train({**recipe, "name": "whole"}) == 0
    assert train({**recipe, "name": "parts"}) == 0
    for path in (tmp_path / "experiments/parts").glob("*/*10.*"):  # as if it had ended after 5 iterations
        path.unlink()
    assert train({**recipe, "name": "parts"}, "--auto_resume") == 0
    small = load_network(narrow_one)  # the averaged weights
    for name in ("whole", "parts"):
        grown = load_network(tmp_path / f"experiments/{name}/models/net_g_latest.pth")
        assert equal(narrow(grown, 0.5), small)
        x = torch.rand(1, 3, 8, 8)
        assert not torch.equal(grown(x), grown(x, 0.5))
    assert equal(grown, load_network(tmp_path / "experiments/whole/models/net_g_latest.pth"))


def test_it_goes_on_from_a_whole_network_too(narrow_one, recipe, train, tmp_path):
    assert train({**recipe, "name": "first"}) == 0
    recipe["path"]["pretrain_network_g"] = str(tmp_path / "experiments/first/models/net_g_latest.pth")
    assert train({**recipe, "name": "second"}) == 0
    grown = load_network(tmp_path / "experiments/second/models/net_g_latest.pth")
    assert equal(narrow(grown, 0.5), load_network(narrow_one))


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ("train.frozen_width=0.25", "2 of 8 channels, but path.pretrain_network_g"),
        ("train.frozen_width=0.3", "train.frozen_width: `width` (=0.3) is not valid"),
        ("network_g.num_block=3", "num_block has to be 3"),
        ("train.optim_g.weight_decay=0.1", "Set train.optim_g.weight_decay to 0"),
        ("train.optim_g.type=AdamW", "Set train.optim_g.weight_decay to 0"),
        ("path.pretrain_network_g=null", "it needs path.pretrain_network_g"),
    ],
)
def test_mistakes_are_one_paragraph(narrow_one, recipe, train, capsys, change, answer):
    del narrow_one
    assert train(recipe, change) == 2
    assert answer in " ".join(capsys.readouterr().err.split())
