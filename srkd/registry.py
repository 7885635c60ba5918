"""Registries: a component is one file in its folder, found by scanning; `srkd.signature` reads its options."""

from __future__ import annotations

import importlib
import pkgutil
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from srkd.plugins import import_plugins_of_environment
from srkd.types import InputError, did_you_mean

T = TypeVar("T", bound=Callable[..., Any])
_SCANNING = threading.RLock()  # a second thread waits for the whole list; a component may ask while it is imported


class Registry(Generic[T]):
    """Components of one kind by name.

    Args:
        kind: the word used in messages, for example "network".
        package: the package (or module) scanned for components at the first look-up.
        doors: modules by the word that names begin with which lead to components from elsewhere: `word` or `word.NAME`
            is what the module's `component(NAME)` returns, and `offer(NAME)` says whether it has one of that name, and
            how to come by it. They are imported when they are asked for.
    """

    def __init__(self, kind: str, package: str, *, doors: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self.package = package
        self.doors = dict(doors or {})
        self._components: dict[str, T] = {}
        self._begun = self._scanned = False

    def register(self, component: T) -> T:
        """Class or function decorator: make `component` available under its own name."""
        name = component.__name__
        known = self._components.get(name)
        if known is not None and known.__module__ != component.__module__:
            raise InputError(
                f"{self.kind} {name!r} is registered twice: {known.__module__} and {component.__module__}."
            )
        self._components[name] = component
        return component

    def names(self) -> list[str]:
        """All registered names, sorted; those behind doors are not among them."""
        self._scan()
        return sorted(self._components)

    def get(self, name: str) -> T:
        """Return the component called `name`; an unknown one raises `InputError` with the list of those that exist."""
        door, _, inner = name.partition(".")
        if door in self.doors:
            return importlib.import_module(self.doors[door]).component(inner)
        self._scan()
        if name not in self._components:
            raise InputError(self._unknown(name))
        return self._components[name]

    def _unknown(self, name: str) -> str:
        """What there is, and every other way to a component: through a door, and from a plugin."""
        offers = [importlib.import_module(module).offer(name) for module in self.doors.values()]
        found = next((how for has_it, how in offers if has_it), "")
        near = f" {found}" if found else did_you_mean(name, [*self._components, *self.doors])
        others = "".join(f" {how}" for _, how in offers if how != found)
        return (
            f"unknown {self.kind} {name!r}.{near} Available: {', '.join(sorted(self._components))}.{others} "
            "Your own: `plugins: [MODULE]` in an option file, or --plugin MODULE."
        )

    def _scan(self) -> None:
        if self._scanned:
            return
        with _SCANNING:
            if self._begun:
                return
            self._begun = True
            for module in pkgutil.iter_modules(getattr(importlib.import_module(self.package), "__path__", [])):
                importlib.import_module(f"{self.package}.{module.name}")
            import_plugins_of_environment()
            self._scanned = True


NETWORKS: Registry[Any] = Registry(
    "network", "srkd.networks", doors={"basicsr": "srkd.compat.basicsr", "spandrel": "srkd.compat.spandrel"}
)
METHODS: Registry[Any] = Registry("method", "srkd.methods")
DATASETS: Registry[Any] = Registry("dataset", "srkd.data")
METRICS: Registry[Any] = Registry("metric", "srkd.metrics")
LOSSES: Registry[Any] = Registry("pixel loss", "srkd.losses.pixel")
OPTIMIZERS: Registry[Any] = Registry("optimizer", "srkd.engine.optim")
SCHEDULERS: Registry[Any] = Registry("scheduler", "srkd.engine.schedule")


def __getattr__(name: str) -> Any:
    """Names that were here in version 0.1 and are in `srkd.signature` now."""
    from srkd import signature

    if name.startswith("_") or not hasattr(signature, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"srkd.registry.{name} is srkd.signature.{name} now.", FutureWarning, stacklevel=2)
    return getattr(signature, name)
