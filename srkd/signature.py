"""A component's options, read off its signature, as a strict schema.

A component is a class or a function. Its *options* are its keyword-only parameters: their annotations and defaults
are the schema, pydantic checks and coerces. Positional parameters (student, tensors, …) are wired by Python.
"""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, NotRequired

import pydantic
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, SchemaValidator, core_schema
from typing_extensions import TypedDict  # the one pydantic needs before Python 3.12

from srkd.types import InputError, did_you_mean, shortened

STRICT = pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an option.

    Attributes:
        path: keys inside the component's options.
        message: what is wrong, and what is allowed.
        absent: the last part of `path` is a key that is missing.
    """

    path: tuple[str | int, ...]
    message: str
    absent: bool = False


def option_names(component: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The keyword-only parameters of `component`: the options a YAML file may set.

    Where the constructor of a class takes `**options`, those of the class that it hands them to are options too.
    """
    found: dict[str, inspect.Parameter] = {}
    for function in _constructors(component):
        for name, parameter in inspect.signature(function).parameters.items():
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                found.setdefault(name, parameter)
    return found


def _constructors(component: Callable[..., Any]) -> list[Callable[..., Any]]:
    """`component`, and if it is a class the constructors of its bases, as far as each hands options on."""
    if not inspect.isclass(component):
        return [component]
    chain: list[Callable[..., Any]] = []
    for cls in component.__mro__:
        if "__init__" not in vars(cls):
            continue
        chain.append(cls)
        kinds = [parameter.kind for parameter in inspect.signature(cls.__init__).parameters.values()]
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
    return chain or [component]


def argument_docs(doc: str) -> dict[str, str]:
    """The texts of the section `Args:` of a docstring by the argument's name."""
    section = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)*)", doc, re.MULTILINE)
    if section is None:
        return {}
    found = re.findall(r"^    (\w+)(?: \([^)]*\))?: ((?:.*)(?:\n {5,}.*)*)", section[1], re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


def option_docs(component: Callable[..., Any]) -> dict[str, str]:
    """What the docstrings of `component`, its constructor and its bases say of each argument; the nearest counts."""
    found: dict[str, str] = {}
    for part in component.__mro__ if inspect.isclass(component) else (component,):
        for doc in (part.__doc__, getattr(vars(part).get("__init__"), "__doc__", None)):
            found = argument_docs(inspect.cleandoc(doc or "")) | found
    return found


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
    try:
        return _validator(component, frozenset(wired)).validate_python(dict(given)), []
    except pydantic.ValidationError as error:
        return {}, problems_of(error, given, [*option_names(component), *beside])


def checked_options(component: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, validated and coerced, for calling `component`.

    Raises:
        InputError: all that is wrong with them.
    """
    accepted, problems = check_options(component, given)
    if problems:
        raise InputError(" ".join(f"{'.'.join(map(str, problem.path))}: {problem.message}" for problem in problems))
    return accepted


@functools.lru_cache(maxsize=256)
def _validator(component: Callable[..., Any], wired: frozenset[str]) -> SchemaValidator:
    parameters = option_names(component)
    hints = {
        name: hint if parameters[name].default is inspect.Parameter.empty and name not in wired else NotRequired[hint]
        for name, hint in _hints(component, parameters).items()
    }
    schema: Any = TypedDict(component.__name__, hints)  # pyright: ignore[reportGeneralTypeIssues, reportArgumentType]
    schema.__pydantic_config__ = STRICT  # dataclasses inside inherit it
    return SchemaValidator(_strict(pydantic.TypeAdapter(schema).core_schema))


def _hints(component: Callable[..., Any], parameters: Mapping[str, inspect.Parameter]) -> dict[str, Any]:
    """The evaluated annotations of `parameters` only: names in others may exist for type checkers alone."""
    hints: dict[str, Any] = {}
    for owner in _constructors(component):
        function = inspect.unwrap(owner.__init__ if inspect.isclass(owner) else owner)
        written = {
            name: Any if parameter.annotation is inspect.Parameter.empty else parameter.annotation
            for name, parameter in inspect.signature(owner).parameters.items()
            if name in parameters and name not in hints
        }
        holder = type(component.__name__, (), {"__annotations__": written})
        try:
            hints |= typing.get_type_hints(holder, globalns=getattr(function, "__globals__", {}), include_extras=True)
        except Exception as error:  # an annotation of a plugin, which Python evaluates here for the first time
            raise InputError(
                f"{component.__name__} cannot be used: the type of one of its options cannot be understood ({error}). "
                "Import it where the class is, not for type checkers only."
            ) from None
    return {name: hints[name] for name in parameters}


def option_hints(component: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of the options of `component`."""
    return _hints(component, option_names(component))


def parse_width(value: Any) -> float:
    """Read a width in (0, 1]: a number, or text such as `"1/3"` or `"0.25"`; anything else raises `InputError`."""
    try:
        if isinstance(value, bool):
            raise TypeError
        width = float(Fraction(value.replace(" ", ""))) if isinstance(value, str) else float(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        raise InputError(f"a width is a number or a fraction such as 1/3, not {shortened(value)}.") from None
    if not 0 < width <= 1:
        raise InputError(f"a width is greater than 0 and at most 1, not {value}.")
    return width


def _number(value: Any) -> Any:
    if isinstance(value, bool | str | bytes):
        raise PydanticCustomError("number_type", "must be a number")
    return value


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("number_type", "must not be true or false")
    return value


Int = Annotated[int, pydantic.BeforeValidator(_number)]
"""An integer; `5e3` is one, `true` and `'5'` are not."""

Float = Annotated[float, pydantic.BeforeValidator(_number)]
"""A finite number; `true` and `'0.1'` are not one."""

Width = Annotated[float, pydantic.BeforeValidator(parse_width, json_schema_input_type=float | str)]
"""A fraction of a network's features in (0, 1]; option files may write `1/3`."""

_NO_SCHEMA = {"keys_schema", "default", "expected", "metadata", "config", "function", "cls", "ref", "serialization"}
"""Keys of pydantic's schemas that hold no schema of a value; a mapping's keys are text in YAML, numbers or not."""


def _strict(schema: Any) -> Any:
    """Pydantic's `schema` with YAML's types kept apart at any depth, inside dataclasses and unions too.

    Pydantic alone would read `true` as 1 and the text `no` (which YAML 1.2 does not call a boolean) as false. What is
    wrong inside a dataclass is answered there, with the names of its fields.
    """
    if isinstance(schema, list | tuple):
        parts = [_strict(part) for part in typing.cast("list[Any]", schema)]
        return parts if isinstance(schema, list) else tuple(parts)
    if not isinstance(schema, dict):
        return schema
    node = typing.cast("dict[str, Any]", schema)
    kind = node.get("type")
    if not isinstance(kind, str):  # fields or choices by their names
        return {name: _strict(part) for name, part in node.items()}
    node = {key: part if key in _NO_SCHEMA else _strict(part) for key, part in node.items()}
    if kind == "bool":
        return {**node, "strict": True}
    if kind in ("int", "float"):
        return core_schema.no_info_before_validator_function(_number, node)  # pyright: ignore[reportArgumentType]
    if kind == "literal" and not any(isinstance(value, bool) for value in node["expected"]):
        return core_schema.no_info_before_validator_function(_no_boolean, node)  # pyright: ignore[reportArgumentType]
    if kind in ("dataclass", "union", "tagged-union"):
        explain = functools.partial(_explain, list(node.get("fields", ())))
        return core_schema.no_info_wrap_validator_function(explain, node, ref=node.pop("ref", None))  # pyright: ignore[reportArgumentType]
    return node


def _explain(allowed: list[str], value: Any, handler: Callable[[Any], Any]) -> Any:
    try:
        return handler(value)
    except pydantic.ValidationError as error:
        raise raised(problems_of(error, value, allowed)) from None


def problems_of(error: pydantic.ValidationError, given: Any, allowed: Collection[str]) -> list[Problem]:
    """Translate a pydantic error about `given` into problems, one for each place.

    Args:
        error: what pydantic raised.
        given: the value it refused; tells keys of the user from pydantic's own words in an error's path.
        allowed: the names on the top level of `given`, for the suggestions.
    """
    found: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for item in error.errors(include_url=False):
        found.setdefault(_path_in(given, item["loc"], item["type"] in _ABSENT), []).append(item)
    return [
        Problem(path, _message(items, allowed if len(path) == 1 else ()), items[0]["type"] in _ABSENT)
        for path, items in found.items()
    ]


_ABSENT = ("missing", "srkd_absent")
"""The types of errors on a key that is not there."""


def raised(problems: list[Problem]) -> pydantic.ValidationError:
    """Problems as an error that a pydantic validator may raise: pydantic puts the path of the validator in front."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError(
                "srkd_absent" if problem.absent else "srkd", "{message}", {"message": problem.message}
            ),
            loc=problem.path,
            input=None,
        )
        for problem in problems
    ]
    return pydantic.ValidationError.from_exception_data("options", details)


def _path_in(given: Any, path: tuple[str | int, ...], keep_last: bool) -> tuple[str | int, ...]:
    """`path` without pydantic's own words, such as the members of unions, which are no keys of `given`."""
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
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        name = str(items[0]["loc"][-1])
        listed = f" Allowed: {', '.join(allowed)}." if allowed else ""
        return f"unknown key {shortened(name)}.{did_you_mean(name, allowed)}{listed}"
    text = " or ".join(dict.fromkeys(_clause(item) for item in items))
    if all(item["type"] in ("srkd", "srkd_absent", "value_error") for item in items):
        return text  # written by a validator of ours or of a component, which names the value itself
    literals = [item.get("ctx", {})["expected"] for item in items if item["type"] == "literal_error"]
    suggestion = did_you_mean(str(value), re.findall(r"'([^']*)'", " ".join(literals)))
    return f"{text}; the value is {shortened(value)}.{suggestion}"


_MAPPINGS = ("model_type", "dict_type", "dataclass_type", "model_attributes_type")


_PLAIN = {
    **dict.fromkeys(_MAPPINGS, "must be a mapping of keys to values"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type"), "must be a list"),
    "string_type": "must be text",
}
"""Pydantic's errors in plain words."""


def _clause(item: ErrorDetails) -> str:
    if item["type"] in _PLAIN:
        return _PLAIN[item["type"]]
    if item["type"] == "union_tag_invalid":
        return f"its `type` must be one of {item.get('ctx', {})['expected_tags']}"
    if item["type"] == "union_tag_not_found":
        return "needs a `type`"
    return re.sub(r"^\w+ should ", "must ", item["msg"].removeprefix("Value error, "))
