"""`srkd.train`: a training from Python, with the program's own functions called."""

import logging

import pytest
import torch
import yaml

import srkd
from srkd.types import InputError


@pytest.fixture
def option_file(recipe, tmp_path):
    path = tmp_path / "options.yml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False))
    return path


def test_it_trains_as_the_command_does(option_file, recipe, train, tmp_path, capsys):
    steps, found = [], []
    file = srkd.train(
        option_file,
        "name=python",
        quiet=True,
        on_step=steps.append,
        on_validation=lambda done, values: found.append((done, values)),
    )
    assert file == tmp_path / "experiments/python/models/net_g_latest.pth"
    assert steps == list(range(1, 11)) and [done for done, _ in found] == [5, 10]
    assert found[0][1]["set"] == "held" and found[0][1]["width"] == 1 and found[0][1]["psnr"] > 0
    assert capsys.readouterr().out == ""
    assert train({**recipe, "name": "command"}) == 0
    one, other = (
        torch.load(tmp_path / f"experiments/{name}/models/net_g_latest.pth", weights_only=True)["params"]
        for name in ("python", "command")
    )
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_what_a_function_raises_ends_the_training_with_the_state_saved(option_file, tmp_path):
    def enough(done):
        if done == 7:
            raise StopIteration("enough")

    with pytest.raises(StopIteration, match="enough"):
        srkd.train(option_file, quiet=True, on_step=enough)
    assert (tmp_path / "experiments/tiny/training_states/7.state").exists()
    steps = []
    srkd.train(option_file, quiet=True, auto_resume=True, on_step=steps.append)
    assert steps == [8, 9, 10]


def test_it_shows_the_log_unless_told_not_to(option_file, capsys):
    srkd.train(option_file, "train.total_iter=2", "val.val_freq=2")
    assert "l_pix" in capsys.readouterr().out
    for handler in [*logging.getLogger("srkd").handlers]:
        logging.getLogger("srkd").removeHandler(handler)


def test_wrong_options_are_an_input_error(option_file):
    with pytest.raises(InputError, match="total_itr"):
        srkd.train(option_file, "train.total_itr=2", quiet=True)
