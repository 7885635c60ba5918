"""Plugins: modules of the user's own whose import adds networks, methods and other components to the registries.

Importing one runs its code, so it is always a person who names it: an option file's `plugins`, `--plugin`, or the
environment variable SRKD_PLUGINS. Network files say which plugin they need, and are never a reason to import it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from srkd.missing import not_there
from srkd.types import InputError

VARIABLE = "SRKD_PLUGINS"


def import_plugin(name: str) -> None:
    """Import a module by its name, looked for in the current folder too, or by its file (`mine.py`).

    Raises:
        InputError: it is not there, or fails; whatever it does wrong is the user's to read.
    """
    folder, module = Path.cwd(), name
    if not name.endswith(".py") and Path(name).is_file():
        raise InputError(f"plugin {name} is no module: one is named by its file, FILE.py, or by what `import` takes.")
    if name.endswith(".py"):
        path = Path(name).absolute()
        if not path.is_file():
            raise InputError(not_there(name, "plugin", wanted=lambda file: file.suffix == ".py"))
        folder, module = path.parent, path.stem
        known = getattr(sys.modules.get(module), "__file__", None)
        if known is not None and Path(known).resolve() != path.resolve():
            raise InputError(f"plugin {name}: another module called {module!r} is loaded ({known}); rename the file.")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))  # plugins lie beside the user's option files, not in site-packages
    try:
        importlib.import_module(module)
    except (Exception, SystemExit) as error:
        looked = " It is looked for in the current folder and where Python finds its packages; FILE.py names a file."
        absent = isinstance(error, ModuleNotFoundError) and error.name == module.partition(".")[0]
        advice = looked if absent else ""
        raise InputError(f"cannot import {name!r}: {type(error).__name__}: {error}.{advice}") from None


def is_imported(name: str) -> bool:
    """Whether a plugin, named as for `import_plugin`, has been imported."""
    return (Path(name).stem if name.endswith(".py") else name) in sys.modules


def import_plugins_of_environment() -> None:
    """Import what SRKD_PLUGINS names; done whenever components are looked for."""
    for name in plugins_of_environment():
        import_plugin(name)


def plugins_of_environment() -> list[str]:
    """The names in SRKD_PLUGINS, between commas."""
    return [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]


@contextmanager
def plugins_named(names: Sequence[str]) -> Generator[None]:
    """Import `names` (of `--plugin`), and have SRKD_PLUGINS name them for processes that are started meanwhile."""
    before = os.environ.get(VARIABLE)
    for name in names:
        import_plugin(name)
    if names:
        full = [str(Path(name).absolute()) if name.endswith(".py") else name for name in names]
        os.environ[VARIABLE] = ",".join(dict.fromkeys([*plugins_of_environment(), *full]))
    try:
        yield
    finally:
        if names:
            os.environ.pop(VARIABLE)
            if before is not None:
                os.environ[VARIABLE] = before


def plugin_of(component: Callable[..., Any]) -> str | None:
    """The module that a component from outside the package comes from; None for ours, and where no import finds it."""
    module = str(component.__module__)
    return None if module.partition(".")[0] in ("srkd", "__main__") else module
