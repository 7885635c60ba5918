"""The family's table: every registered method is in it, and every arm's option file is read."""

import importlib
import sys
from pathlib import Path

import pytest

from srkd.options import load_train_options
from srkd.registry import METHODS


@pytest.fixture
def family(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts/reproduce"))
    yield importlib.import_module("family")
    for name in ("family", "steps"):
        sys.modules.pop(name, None)


def test_every_method_is_an_arm(family):
    named = {arm.method["type"] for arm in family.EVERY.values()}
    assert {name for name in METHODS.names() if name not in named} <= {"Sum"}  # which is made of others
    for name, arm in family.EVERY.items():
        needed = {arm.control, arm.acting[0] if arm.acting else "scratch"}
        assert needed <= {*family.EVERY}, name
        assert arm.start in (None, *family.FIRST)


@pytest.mark.parametrize("craft", [None, Path("craft_x4.pth")])
def test_every_option_file_is_read(family, tmp_path, monkeypatch, craft):
    monkeypatch.setattr(family.Table, "acting_weight", lambda *_: 2.0)
    table = family.Table("t", family.BUDGETS["cpu-evening"], craft)
    table.root = tmp_path
    for name in family.EVERY:
        options = load_train_options(table.option_file(name, f"{name}_seed1", 1))
        assert options.manual_seed == 1 and options.train.total_iter == table.iterations(f"{name}_seed1")
        if family.EVERY[name].acting:
            assert 2.0 in options.method.args.values()
