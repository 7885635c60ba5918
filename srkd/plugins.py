"""Plugins: modules of the user's own whose import adds networks, methods and other components to the registries.

Importing one runs its code, so it is always a person who names it: an option file's `plugins`, `--plugin`, or the
environment variable SRKD_PLUGINS. Network files say which plugin they need, and are never a reason to import it.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from srkd.types import InputError

VARIABLE = "SRKD_PLUGINS"


def import_plugin(name: str) -> None:
    """Import a module by its name, looked for in the current folder too, or by its file (`mine.py`).

    Raises:
        InputError: it is not there, or fails; whatever it does wrong is the user's to read.
    """
    folder, module = str(Path.cwd()), name
    if name.endswith(".py"):
        path = Path(name).absolute()
        if not path.is_file():
            raise InputError(f"plugin {name} does not exist.")
        folder, module = str(path.parent), path.stem
        known = getattr(sys.modules.get(module), "__file__", None)
        if known is not None and Path(known).resolve() != path.resolve():
            raise InputError(f"plugin {name}: another module called {module!r} is loaded ({known}); rename the file.")
    if folder not in sys.path:
        sys.path.insert(0, folder)  # plugins lie beside the user's option files, not in site-packages
    try:
        importlib.import_module(module)
    except Exception as error:
        raise InputError(f"cannot import the plugin {name!r}: {type(error).__name__}: {error}.") from None


def import_plugins(names: Sequence[str]) -> None:
    """Import `names`, and what the environment names."""
    for name in [*plugins_of_environment(), *names]:
        import_plugin(name)


def plugins_of_environment() -> list[str]:
    """The names in SRKD_PLUGINS, between commas or spaces."""
    return os.environ.get(VARIABLE, "").replace(",", " ").split()


def plugin_of(component: Callable[..., Any]) -> str | None:
    """The module that a component from outside the package comes from; None for ours, and where no import finds it."""
    module = str(component.__module__)
    return None if module.partition(".")[0] in ("srkd", "__main__") else module
