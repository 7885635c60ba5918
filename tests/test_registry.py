from __future__ import annotations

import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from srkd import registry
from srkd.registry import Registry
from srkd.signature import Width
from srkd.types import InputError


class Thing: ...


class TestRegistry:
    def test_components_are_found_by_scanning_a_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        package = tmp_path / "things_to_scan"
        package.mkdir()
        (package / "__init__.py").write_text("from srkd.registry import Registry\nR = Registry('thing', __name__)\n")
        (package / "one.py").write_text("from things_to_scan import R\n@R.register\nclass One: ...\n")
        monkeypatch.syspath_prepend(tmp_path)
        registry: Registry[Any] = __import__("things_to_scan").R
        assert registry.names() == ["One"]
        assert registry.get("One").__name__ == "One"
        with pytest.raises(InputError, match=r"unknown thing 'one'. Did you mean 'One'\? Available: One."):
            registry.get("one")
        for name in ("things_to_scan", "things_to_scan.one"):
            sys.modules.pop(name)

    def test_two_components_of_one_name_are_refused(self) -> None:
        registry: Registry[Any] = Registry("thing", "srkd")
        registry.register(Thing)
        registry.register(Thing)  # the same one again, after a reload, is none

        other = type("Thing", (), {"__module__": "elsewhere"})
        with pytest.raises(InputError, match=r"thing 'Thing' is registered twice: .* and elsewhere"):
            registry.register(other)


def test_names_of_version_0_1_are_found_with_a_warning() -> None:
    with pytest.warns(FutureWarning, match=r"srkd\.registry\.Width is srkd\.signature\.Width now"):
        assert registry.Width is Width
    with pytest.raises(AttributeError, match="has no attribute 'Widht'"):
        registry.Widht  # noqa: B018


def test_threads_wait_for_the_whole_list(tmp_path, monkeypatch):
    package = tmp_path / "slow_components"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name in ("first", "second"):
        (package / f"{name}.py").write_text(
            f"import time\nfrom test_registry_threads import REGISTRY\ntime.sleep(0.2)\n"
            f"@REGISTRY.register\ndef {name}(): pass\nassert '{name}' in REGISTRY.names()  # it may ask, too\n"
        )
    (tmp_path / "test_registry_threads.py").write_text(
        "from srkd.registry import Registry\nREGISTRY = Registry('thing', 'slow_components')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = importlib.import_module("test_registry_threads").REGISTRY
    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(lambda _: registry.names(), range(4))] == [["first", "second"]] * 4
