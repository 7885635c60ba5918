"""Registries: a component is one file in its folder, found by scanning, with its options read off its signature.

A component is a class or a function. Its *options* are its keyword-only parameters: their annotations and defaults
are the schema, pydantic checks and coerces. Positional parameters (student, tensors, …) are wired by Python.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import pydantic

from srkd.types import InputError, did_you_mean

T = TypeVar("T", bound=Callable[..., Any])


class Registry(Generic[T]):
    """Components of one kind by name.

    Args:
        kind: the word used in messages, for example "network".
        package: the package (or module) scanned for components at the first look-up.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self.package = package
        self._components: dict[str, T] = {}
        self._scanned = False

    def register(self, component: T) -> T:
        """Class or function decorator: make `component` available under its own name."""
        name = component.__name__
        known = self._components.get(name)
        if known is not None and known.__module__ != component.__module__:
            raise InputError(f"{self.kind} {name!r} is registered twice: {known.__module__} and {component.__module__}.")
        self._components[name] = component
        return component

    def names(self) -> list[str]:
        """All registered names, sorted."""
        self._scan()
        return sorted(self._components)

    def get(self, name: str) -> T:
        """Return the component called `name`; an unknown one raises `InputError` with the list of those that exist."""
        self._scan()
        if name not in self._components:
            raise InputError(
                f"unknown {self.kind} {name!r}.{did_you_mean(name, self._components)} "
                f"Available: {', '.join(sorted(self._components))}."
            )
        return self._components[name]

    def _scan(self) -> None:
        if self._scanned:
            return
        self._scanned = True
        package = importlib.import_module(self.package)
        for module in pkgutil.iter_modules(getattr(package, "__path__", [])):
            importlib.import_module(f"{self.package}.{module.name}")


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an option: `path` inside the component's options, what is wrong, and what is allowed."""

    path: tuple[str | int, ...]
    message: str


def option_names(component: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of `component`: the options a YAML file may set."""
    return {
        name: parameter
        for name, parameter in inspect.signature(component).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def check_options(component: Callable[..., Any], given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Validate and coerce `given` against the signature of `component`; returns the options and all problems found.

    Options that are absent keep the signature's default and are not in the returned mapping.
    """
    function = component.__init__ if inspect.isclass(component) else component
    hints = typing.get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for name, parameter in option_names(component).items():
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[name] = (without_bool(hints.get(name, Any)), default)
    model = pydantic.create_model(component.__name__, __config__=STRICT, **fields)
    try:
        validated = model.model_validate(dict(given))
    except pydantic.ValidationError as error:
        return {}, problems_of(error, list(fields))
    return {name: getattr(validated, name) for name in validated.model_fields_set}, []


def _refuse_bool(value: Any) -> Any:
    values = value if isinstance(value, list | tuple) else [value]
    if any(isinstance(item, bool) for item in values):
        raise ValueError("a boolean is not a number here")
    return value


def without_bool(hint: Any) -> Any:
    """Keep pydantic from reading `true` as 1: a hint of plain numbers refuses booleans."""
    parts = [hint, *typing.get_args(hint)]
    plain = {int, float, str, type(None), Ellipsis}
    is_number = any(part in (int, float) for part in parts) and all(
        part in plain or typing.get_origin(part) is not None for part in parts[1:]
    )
    return Annotated[hint, pydantic.BeforeValidator(_refuse_bool)] if is_number else hint


STRICT = pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)


def problems_of(error: pydantic.ValidationError, allowed: list[str]) -> list[Problem]:
    """Translate a pydantic error into problems; `allowed` are the names on its top level, for suggestions."""
    problems: list[Problem] = []
    for item in error.errors(include_url=False):
        path = item["loc"]
        if item["type"] == "extra_forbidden":
            name = str(path[-1])
            names = allowed if len(path) == 1 else []
            listed = f" Allowed: {', '.join(names)}." if names else ""
            problems.append(Problem(path, f"unknown key {name!r}.{did_you_mean(name, names)}{listed}"))
        elif item["type"] == "missing":
            problems.append(Problem(path, "is required but missing."))
        else:
            problems.append(Problem(path, f"{item['msg']}; the value is {item['input']!r}."))
    return problems


NETWORKS: Registry[Any] = Registry("network", "srkd.networks")
METHODS: Registry[Any] = Registry("method", "srkd.methods")
DATASETS: Registry[Any] = Registry("dataset", "srkd.data")
METRICS: Registry[Any] = Registry("metric", "srkd.metrics")
LOSSES: Registry[Any] = Registry("pixel loss", "srkd.losses.pixel")
OPTIMIZERS: Registry[Any] = Registry("optimizer", "srkd.engine.optim")
SCHEDULERS: Registry[Any] = Registry("scheduler", "srkd.engine.schedule")
