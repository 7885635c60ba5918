"""The script that trains the networks of the package."""

import importlib
import sys
from pathlib import Path

import pytest


def test_photographs_that_are_not_there_are_missed_before_the_first_step(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts/reproduce"))
    switchable = importlib.import_module("switchable")
    monkeypatch.setattr(switchable, "ROOT", Path(__file__).resolve().parents[2])
    monkeypatch.setattr(switchable, "train_step", lambda *_, **__: pytest.fail("a training began"))
    for folder in ("bsds399", "t90"):
        (tmp_path / "datasets/train" / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["switchable.py", "--networks", "switchable-x4"])
    with pytest.raises(SystemExit) as ended:
        switchable.main()
    told = capsys.readouterr().err
    assert ended.value.code == 2 and "needs datasets/train/bsds369_x0.8, " in told and "reduced.py makes" in told
    for name in ("switchable", "steps"):
        sys.modules.pop(name, None)
