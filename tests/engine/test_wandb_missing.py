"""A missing wandb is said before anything is built or looked for."""

import pytest

from srkd.cli import main


@pytest.mark.parametrize("more", [[], ["--check"]])
def test_it_comes_first(monkeypatch, capsys, more):
    monkeypatch.setattr("srkd.engine.sinks.find_spec", lambda name: None)
    assert main(["train", "-opt", "options/demo/train.yml", "logger.wandb.project=mine", *more]) == 2
    said = capsys.readouterr()
    assert "logger.wandb.project is 'mine'; it needs wandb: pip install wandb." in said.err
    assert "network_g:" not in said.out


def test_nobody_asks_for_it_without_a_project(monkeypatch, capsys):
    monkeypatch.setattr("srkd.engine.sinks.find_spec", lambda name: None)
    assert main(["train", "-opt", "options/demo/train.yml", "datasets.train.dataroot_gt=nowhere"]) == 2
    assert "wandb" not in capsys.readouterr().err
