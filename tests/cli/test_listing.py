import re

import pytest

from srkd.cli import main
from srkd.cli.listing import KINDS
from srkd.registry import METHODS, METRICS, NETWORKS
from srkd.signature import argument_docs, option_names


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")


@pytest.mark.parametrize("kind", KINDS)
def test_names(kind, capsys):
    assert main(["list", kind]) == 0
    assert "what it is" in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "registry"), [("networks", NETWORKS), ("methods", METHODS), ("metrics", METRICS)])
def test_every_option_of_every_component_is_shown(kind, registry, capsys):
    for name in registry.names():
        assert main(["list", kind, name]) == 0
        printed = capsys.readouterr().out
        assert printed.startswith(name) and all(option in printed for option in option_names(registry.get(name)))


def test_option_has_type_default_and_meaning(capsys):
    assert main(["list", "networks", "EDSR"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "res_scale" in line]
    cells = re.split(r"\s{3,}", line.strip())
    assert cells[:3] == ["res_scale", "float", "1.0"] and cells[3].startswith("factor on each block's residual")


def test_meanings_are_read_from_the_docstring():
    doc = "What.\n\nArgs:\n    a: first\n        goes on.\n    b (int): second: with colon.\n\nReturns:\n    c: no.\n"
    assert argument_docs(doc) == {"a": "first goes on.", "b": "second: with colon."}


def test_unknown_names_exit_2(capsys):
    assert main(["list", "networks", "edsr"]) == 2
    assert "Did you mean 'EDSR'" in capsys.readouterr().err
    assert main(["list", "network"]) == 2
    assert "Did you mean 'networks'" in capsys.readouterr().err
