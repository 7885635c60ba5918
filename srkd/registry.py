"""Registries: a component is one file in its folder, found by scanning, with its options read off its signature.

A component is a class or a function. Its *options* are its keyword-only parameters: their annotations and defaults
are the schema, pydantic checks and coerces. Positional parameters (student, tensors, …) are wired by Python.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Generic, NotRequired, TypeVar, Union

import pydantic
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from typing_extensions import TypedDict  # the one pydantic needs before Python 3.12

from srkd.types import InputError, did_you_mean

T = TypeVar("T", bound=Callable[..., Any])


class Registry(Generic[T]):
    """Components of one kind by name.

    Args:
        kind: the word used in messages, for example "network".
        package: the package (or module) scanned for components at the first look-up.
        doors: modules by the word that names begin with which lead to components from elsewhere: `word` or `word.NAME`
            is what the module's `component(NAME)` returns. They are imported when they are asked for.
    """

    def __init__(self, kind: str, package: str, *, doors: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self.package = package
        self.doors = dict(doors or {})
        self._components: dict[str, T] = {}
        self._scanned = False

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
            raise InputError(
                f"unknown {self.kind} {name!r}.{did_you_mean(name, [*self._components, *self.doors])} "
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


def with_defaults(component: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """`options` with the defaults of those that are absent, in the order of the signature."""
    empty = inspect.Parameter.empty
    defaults = {name: option.default for name, option in option_names(component).items()}
    return {name: value for name, value in {**defaults, **options}.items() if value is not empty}


def check_options(
    component: Callable[..., Any],
    given: Mapping[str, Any],
    *,
    wired: Collection[str] = (),
    beside: Collection[str] = (),
) -> tuple[dict[str, Any], list[Problem]]:
    """Validate and coerce `given` against the signature of `component`; returns the options and all problems found.

    Options that are absent keep the signature's default and are not in the returned mapping; those named in `wired`
    are supplied by Python later, so they may be absent without a default. `beside` are keys that stand next to the
    options in a file; they are suggested too when a key is unknown.
    """
    parameters = option_names(component)
    hints = {
        name: without_bool(hint)
        if parameters[name].default is inspect.Parameter.empty and name not in wired
        else NotRequired[without_bool(hint)]
        for name, hint in _hints(component, parameters).items()
    }
    schema = TypedDict(component.__name__, hints)  # pyright: ignore[reportGeneralTypeIssues, reportArgumentType]
    schema.__pydantic_config__ = STRICT  # pyright: ignore[reportAttributeAccessIssue]
    adapter: pydantic.TypeAdapter[dict[str, Any]] = pydantic.TypeAdapter(schema)  # pyright: ignore[reportAssignmentType, reportArgumentType]
    try:
        return adapter.validate_python(dict(given)), []
    except pydantic.ValidationError as error:
        return {}, problems_of(error, given, [*parameters, *beside])


def checked_options(component: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, validated and coerced, for calling `component`.

    Raises:
        InputError: all that is wrong with them.
    """
    accepted, problems = check_options(component, given)
    if problems:
        raise InputError(" ".join(f"{'.'.join(map(str, problem.path))}: {problem.message}" for problem in problems))
    return accepted


def _hints(component: Callable[..., Any], parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """The evaluated annotations of `parameters` only: names in others may exist for type checkers alone."""
    function = inspect.unwrap(component.__init__ if inspect.isclass(component) else component)
    written = {
        name: Any if parameter.annotation is inspect.Parameter.empty else parameter.annotation
        for name, parameter in parameters.items()
    }
    holder = type(component.__name__, (), {"__annotations__": written})
    return typing.get_type_hints(holder, globalns=getattr(function, "__globals__", {}), include_extras=True)


def parse_width(value: Any) -> float:
    """Read a width in (0, 1]: a number, or text such as `"1/3"` or `"0.25"`; anything else raises `InputError`."""
    try:
        if isinstance(value, bool):
            raise TypeError
        width = float(Fraction(value.replace(" ", ""))) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        raise InputError(f"a width is a number or a fraction such as 1/3, not {value!r}.") from None
    if not 0 < width <= 1:
        raise InputError(f"a width is greater than 0 and at most 1, not {value}.")
    return width


def _number(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise PydanticCustomError("number_type", "must be a number")
    return value


Int = Annotated[int, pydantic.BeforeValidator(_number)]
"""An integer; `5e3` is one, `true` and `'5'` are not."""

Float = Annotated[float, pydantic.BeforeValidator(_number)]
"""A finite number; `true` and `'0.1'` are not one."""

Width = Annotated[float, pydantic.BeforeValidator(parse_width)]
"""A fraction of a network's features in (0, 1]; option files may write `1/3`."""


def without_bool(hint: Any) -> Any:
    """Keep YAML's types apart at any depth of `hint`: booleans and text are no numbers, and only booleans are booleans.

    Pydantic alone would read `true` as 1 and the text `no` (which YAML 1.2 does not call a boolean) as false.
    """
    plain: dict[Any, Any] = {int: Int, float: Float, bool: pydantic.StrictBool}
    if isinstance(hint, type) and hint in plain:
        return plain[hint]
    origin: Any = typing.get_origin(hint)
    parts = typing.get_args(hint)
    if origin is Annotated:
        return Annotated[without_bool(parts[0]), *parts[1:]]
    if origin in (Union, types.UnionType):
        return Union[tuple(without_bool(part) for part in parts)]  # noqa: UP007
    if origin is dict:
        return dict[parts[0], without_bool(parts[1])]  # keys are text in YAML: leave them to pydantic
    if any(origin is container for container in (list, tuple, set, frozenset, Sequence)):
        return origin[tuple(part if part is Ellipsis else without_bool(part) for part in parts)]
    return hint


STRICT = pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)


def problems_of(error: pydantic.ValidationError, given: Any, allowed: Collection[str]) -> list[Problem]:
    """Translate a pydantic error about `given` into problems, one for each place.

    Args:
        error: what pydantic raised.
        given: the value it refused; tells keys of the user from pydantic's own words in an error's path.
        allowed: the names on the top level of `given`, for the suggestions.
    """
    found: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for item in error.errors(include_url=False):
        ready = item["type"] == "srkd"  # from a validator further in: translated already
        path = item["loc"] if ready else _path_in(given, item["loc"], item["type"] == "missing")
        found.setdefault(path, []).append(item)
    return [Problem(path, _message(items, allowed if len(path) == 1 else ())) for path, items in found.items()]


def raised(problems: list[Problem]) -> pydantic.ValidationError:
    """Problems as an error that a pydantic validator may raise: pydantic puts the path of the validator in front."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError("srkd", "{message}", {"message": problem.message}), loc=problem.path, input=None
        )
        for problem in problems
    ]
    return pydantic.ValidationError.from_exception_data("options", details)


def _path_in(given: Any, path: tuple[str | int, ...], keep_last: bool) -> tuple[str | int, ...]:
    """`path` without the members of unions that pydantic names in it, which are no keys of `given`."""
    found: list[str | int] = []
    here: Any = given
    for part in path[:-1] if keep_last else path:
        is_key = isinstance(here, Mapping) and part in here
        is_index = isinstance(here, list | tuple) and isinstance(part, int) and part < len(here)
        if is_key or is_index:
            here = typing.cast(Any, here)[part]
            found.append(part)
    return (*found, path[-1]) if keep_last else tuple(found)


def _message(items: list[ErrorDetails], allowed: Collection[str]) -> str:
    """One sentence on one place; several items are the members of a union, none of which fits."""
    kind, value = items[0]["type"], items[0]["input"]
    if kind == "missing":
        return "is required but missing."
    if kind == "extra_forbidden":
        name = str(items[0]["loc"][-1])
        listed = f" Allowed: {', '.join(allowed)}." if allowed else ""
        return f"unknown key {name!r}.{did_you_mean(name, allowed)}{listed}"
    text = " or ".join(dict.fromkeys(_clause(item) for item in items))
    if all(item["type"] in ("srkd", "value_error") for item in items):
        return text  # written by a validator of ours or of a component, which names the value itself
    literals = [item.get("ctx", {})["expected"] for item in items if item["type"] == "literal_error"]
    suggestion = did_you_mean(str(value), re.findall(r"'([^']*)'", " ".join(literals)))
    return f"{text}; the value is {value!r}.{suggestion}"


def _clause(item: ErrorDetails) -> str:
    if item["type"] in ("model_type", "dict_type", "dataclass_type"):
        return "must be a mapping of keys to values"
    return re.sub(r"^\w+ should ", "must ", item["msg"].removeprefix("Value error, "))


NETWORKS: Registry[Any] = Registry(
    "network", "srkd.networks", doors={"basicsr": "srkd.compat.basicsr", "spandrel": "srkd.compat.spandrel"}
)
METHODS: Registry[Any] = Registry("method", "srkd.methods")
DATASETS: Registry[Any] = Registry("dataset", "srkd.data")
METRICS: Registry[Any] = Registry("metric", "srkd.metrics")
LOSSES: Registry[Any] = Registry("pixel loss", "srkd.losses.pixel")
OPTIMIZERS: Registry[Any] = Registry("optimizer", "srkd.engine.optim")
SCHEDULERS: Registry[Any] = Registry("scheduler", "srkd.engine.schedule")
