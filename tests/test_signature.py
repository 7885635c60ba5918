from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NotRequired

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field
from typing_extensions import TypedDict

from srkd.signature import Problem, Width, check_options, option_docs, option_names, parse_width
from srkd.types import InputError

if TYPE_CHECKING:
    from nowhere import Student  # pyright: ignore[reportMissingImports]


class Thing:
    """Has options of every kind; its positional parameter has a type that does not exist at run time."""

    def __init__(
        self,
        student: Student,
        *,
        lr: Annotated[float, Field(gt=0)],
        copy: int = 1,  # a name that pydantic's models have too
        betas: tuple[float, float] = (0.9, 0.99),
        roots: str | list[str] | None = None,
        flag: bool = False,
        mode: Literal["plus", "times"] = "plus",
        widths: Sequence[Width] = (1.0,),
        weights: dict[str, float] | None = None,
    ) -> None: ...


def problems(**given: Any) -> dict[str, str]:
    options, found = check_options(Thing, {"lr": 1.0, **given})
    assert not options
    return {".".join(map(str, problem.path)): problem.message for problem in found}


def test_options_are_the_keyword_only_parameters() -> None:
    assert list(option_names(Thing)) == ["lr", "copy", "betas", "roots", "flag", "mode", "widths", "weights"]


def test_options_are_coerced_and_absent_ones_left_out() -> None:
    given = {"lr": 1, "copy": 5e3, "betas": [0, 1], "roots": ["a"], "widths": ["1/3", 1], "weights": {"a": 2}}
    options, found = check_options(Thing, given)
    assert not found
    assert repr(options) == repr(
        {
            "lr": 1.0,
            "copy": 5000,
            "betas": (0.0, 1.0),
            "roots": ["a"],
            "widths": [1 / 3, 1.0],
            "weights": {"a": 2.0},
        }
    )


@pytest.mark.parametrize(
    ("name", "value", "path", "message"),
    [
        ("lr", "1e-4", "lr", "must be a number; the value is '1e-4'."),
        ("lr", True, "lr", "must be a number; the value is true."),
        ("lr", float("nan"), "lr", "must be a finite number; the value is nan."),
        ("lr", 0, "lr", "must be greater than 0; the value is 0."),
        ("copy", 1.5, "copy", "must be a whole number; the value is 1.5."),
        ("copy", False, "copy", "must be a number; the value is false."),
        ("betas", [True, 1], "betas.0", "must be a number; the value is true."),
        ("roots", 5, "roots", "must be text or must be a list; the value is 5."),
        ("roots", [5], "roots", "must be text; the value is [5]."),
        ("flag", "no", "flag", "must be true or false; the value is 'no'."),
        ("flag", 1, "flag", "must be true or false; the value is 1."),
        ("mode", "tiems", "mode", "must be 'plus' or 'times'; the value is 'tiems'. Did you mean 'times'?"),
        ("widths", ["1/0"], "widths.0", "a width is a number or a fraction such as 1/3, not '1/0'."),
        ("weights", {"a": "1"}, "weights.a", "must be a number; the value is '1'."),
        ("weights", 3, "weights", "must be a mapping of keys to values; the value is 3."),
        (
            "mod",
            1,
            "mod",
            "unknown key 'mod'. Did you mean 'mode'? Allowed: lr, copy, betas, roots, flag, mode, widths, weights.",
        ),
        ("student", 1, "student", "unknown key 'student'. "),
    ],
)
def test_what_does_not_fit_is_named(name: str, value: Any, path: str, message: str) -> None:
    assert message in problems(**{name: value})[path]


def test_all_problems_are_found_at_once() -> None:
    assert set(problems(copy=True, mode="x", y=1)) == {"copy", "mode", "y"}


def test_what_python_wires_may_be_absent() -> None:
    assert check_options(Thing, {}) == ({}, [Problem(("lr",), "is required but missing.", absent=True)])
    assert check_options(Thing, {}, wired=["lr"]) == ({}, [])


def test_keys_beside_the_options_are_suggested() -> None:
    _, found = check_options(Thing, {"lr": 1, "beter": 1}, beside=["better"])
    assert "Did you mean 'better'? Allowed: lr, " in found[0].message


def test_a_function_without_annotations_takes_anything() -> None:
    def loose(x, *, y=1): ...  # pyright: ignore

    assert check_options(loose, {"y": [1]}) == ({"y": [1]}, [])


@given(st.integers(1, 999), st.integers(1, 999))
def test_fractions_are_widths_where_they_are_at_most_one(numerator: int, denominator: int) -> None:
    text = f"{numerator}/{denominator}"
    if numerator <= denominator:
        assert parse_width(text) == parse_width(numerator / denominator) == numerator / denominator
    else:
        with pytest.raises(InputError, match="at most 1"):
            parse_width(text)


@pytest.mark.parametrize("value", [0, -1, 1.5, float("nan"), True, None, "", "a", "1/0", [1], "nan"])
def test_other_values_are_no_widths(value: Any) -> None:
    with pytest.raises(InputError, match="a width is"):
        parse_width(value)


@dataclass(frozen=True)
class Small:
    """A dataclass without a configuration of its own: as a plugin would write it."""

    type: Literal["small"] = "small"
    count: int = 1
    share: float = 0.5
    on: bool = False
    inner: Small | None = None

    def __post_init__(self) -> None:
        if self.count > 9:
            raise ValueError(f"`count` (={self.count}) must be at most 9.")


@dataclass(frozen=True)
class Large:
    """The other member of the union."""

    type: Literal["large"] = "large"
    path: str | None = None
    parts: tuple[float, ...] = ()


class Pair(NamedTuple):
    """Two numbers with names."""

    first: int
    second: float = 1.0


class Row(TypedDict):
    """A mapping with fixed keys."""

    number: int
    flag: NotRequired[bool]


def nested(
    *,
    small: Small = Small(),
    maybe: Small | None = None,
    either: Annotated[Small | Large, Field(discriminator="type")] = Small(),
    any_of: Small | Large | int = 1,
    many: list[Small] | None = None,
    named: dict[str, Small | float] | None = None,
    pair: Pair | None = None,
    row: Row | None = None,
    level: Literal[1, 2, "most"] = 1,
    switch: Literal[False, "all"] = False,
    by_number: dict[int, bool] | None = None,
) -> None:
    """A component whose options are nested."""
    del small, maybe, either, any_of, many, named, pair, row, level, switch, by_number


NOT_A_NUMBER = [True, "5", "no", None, float("nan"), [1]]
NOT_A_BOOLEAN = ["no", "true", 0, 1, 1.0, None]
SPOTS = [  # how to put a value where a `Small` stands, and the path to it
    (lambda small: {"small": small}, "small"),
    (lambda small: {"maybe": small}, "maybe"),
    (lambda small: {"either": {"type": "small", **small}}, "either"),
    (lambda small: {"many": [{}, small]}, "many.1"),
    (lambda small: {"named": {"a": small}}, "named.a"),
    (lambda small: {"small": {"inner": {"inner": small}}}, "small.inner.inner"),
]


@pytest.mark.parametrize(("put", "path"), SPOTS, ids=[path for _, path in SPOTS])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("count", value) for value in (*NOT_A_NUMBER, 1.5)],
        *[("share", value) for value in NOT_A_NUMBER],
        *[("on", value) for value in NOT_A_BOOLEAN],
        ("coumt", 1),
        ("inner", 5),
        ("inner", [1]),
    ],
)
def test_options_inside_options_are_as_strict(put: Any, path: str, key: str, value: Any) -> None:
    options, found = check_options(nested, put({key: value}))
    assert not options
    paths = {".".join(map(str, problem.path)) for problem in found}
    union = {path} if path == "named.a" else set()  # it could have been a number too, which is said beside it
    assert paths == {f"{path}.{key}"} | union
    if key == "coumt":
        (problem,) = [problem for problem in found if problem.path[-1] == "coumt"]
        assert problem.message == ("unknown key 'coumt'. Did you mean 'count'? Allowed: type, count, share, on, inner.")


@pytest.mark.parametrize(
    ("given", "path", "message"),
    [
        ({"small": 5}, "small", "must be a mapping of keys to values; the value is 5."),
        ({"either": 5}, "either", "must be a mapping of keys to values; the value is 5."),
        (
            {"either": {"type": "smal"}},
            "either",
            "its `type` must be one of 'small', 'large'; the value is {'type': 'smal'}.",
        ),
        ({"either": {"path": "a"}}, "either", "needs a `type`"),
        ({"either": {"type": "large", "parts": [1, True]}}, "either.parts.1", "must be a number; the value is true."),
        ({"either": {"type": "large", "count": 1}}, "either.count", "unknown key 'count'. Allowed: type, path, parts."),
        ({"small": {"count": 12}}, "small", "`count` (=12) must be at most 9."),
        ({"any_of": True}, "any_of", "must be a number"),
        ({"pair": [True, 1]}, "pair.0", "must be a number; the value is true."),
        ({"pair": {"second": 1}}, "pair.first", "is required but missing."),
        ({"row": {"number": 1, "flag": "no"}}, "row.flag", "must be true or false; the value is 'no'."),
        ({"row": {"flag": True}}, "row.number", "is required but missing."),
        ({"row": {"number": 1, "nubmer": 1}}, "row.nubmer", "unknown key 'nubmer'."),
        ({"level": True}, "level", "must not be true or false; the value is true."),
        ({"by_number": {"1": "no"}}, "by_number.1", "must be true or false; the value is 'no'."),
        ({"many": {"count": 1}}, "many", "must be a list"),
    ],
)
def test_what_is_wrong_inside_is_named(given: Any, path: str, message: str) -> None:
    _, found = check_options(nested, given)
    assert {".".join(map(str, problem.path)) for problem in found} == {path}
    assert message in found[0].message


def test_what_is_right_inside_is_taken() -> None:
    given = {
        "small": {"count": 2e0, "share": 1},
        "either": {"type": "large", "parts": [1, 2]},
        "any_of": {"type": "large"},
        "named": {"a": 1, "b": {"on": True}},
        "pair": [1],
        "switch": False,
        "by_number": {"1": True},
        "maybe": Small(count=3),
    }
    options, found = check_options(nested, given)
    assert not found
    assert options == {
        "small": Small(count=2, share=1.0),
        "either": Large(parts=(1.0, 2.0)),
        "any_of": Large(),
        "named": {"a": 1.0, "b": Small(on=True)},
        "pair": Pair(1),
        "switch": False,
        "by_number": {1: True},
        "maybe": Small(count=3),
    }


def test_a_long_value_is_shortened() -> None:
    _, found = check_options(nested, {"small": "x" * 10_000})
    assert len(found[0].message) < 250


class Base:
    """The base.

    Args:
        depth: how deep.
        colour: of the base.
    """

    def __init__(self, student: Student, *, depth: int = 2, colour: str = "red") -> None: ...


class Derived(Base):
    """Hands on.

    Args:
        colour: of the derived.
        width: how wide.
    """

    def __init__(self, student: Student, *, width: Width = 1.0, **options: Any) -> None: ...


class Leaf(Derived):
    """Takes everything as it is."""


class Closed(Derived):
    """Hands nothing on."""

    def __init__(self, student: Student, *, only: bool = True) -> None: ...


def test_options_that_are_handed_on_are_options_too() -> None:
    assert list(option_names(Derived)) == list(option_names(Leaf)) == ["width", "depth", "colour"]
    assert list(option_names(Closed)) == ["only"]
    assert check_options(Leaf, {"depth": 3, "width": "1/2", "colour": "b"}) == (
        {"depth": 3, "width": 0.5, "colour": "b"},
        [],
    )
    _, found = check_options(Leaf, {"deep": 3, "depth": True})
    assert {problem.path for problem in found} == {("deep",), ("depth",)}
    assert option_docs(Leaf) == {"colour": "of the derived.", "width": "how wide.", "depth": "how deep."}
