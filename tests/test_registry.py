from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from srkd.registry import Problem, Registry, Width, check_options, option_names, parse_width, without_bool
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
        ("lr", True, "lr", "must be a number; the value is True."),
        ("lr", float("nan"), "lr", "must be a finite number; the value is nan."),
        ("lr", 0, "lr", "must be greater than 0; the value is 0."),
        ("copy", 1.5, "copy", "must be a valid integer, got a number with a fractional part; the value is 1.5."),
        ("copy", False, "copy", "must be a number; the value is False."),
        ("betas", [True, 1], "betas.0", "must be a number; the value is True."),
        ("roots", 5, "roots", "must be a valid string or must be a valid list; the value is 5."),
        ("roots", [5], "roots", "must be a valid string; the value is [5]."),
        ("flag", "no", "flag", "must be a valid boolean; the value is 'no'."),
        ("flag", 1, "flag", "must be a valid boolean; the value is 1."),
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
    assert check_options(Thing, {}) == ({}, [Problem(("lr",), "is required but missing.")])
    assert check_options(Thing, {}, wired=["lr"]) == ({}, [])


def test_keys_beside_the_options_are_suggested() -> None:
    _, found = check_options(Thing, {"lr": 1, "beter": 1}, beside=["better"])
    assert "Did you mean 'better'? Allowed: lr, " in found[0].message


def test_a_function_without_annotations_takes_anything() -> None:
    def loose(x, *, y=1): ...  # pyright: ignore

    assert check_options(loose, {"y": [1]}) == ({"y": [1]}, [])


@pytest.mark.parametrize("hint", [str, Any, Literal[1, 2], list[str]])
def test_hints_without_numbers_are_left_alone(hint: Any) -> None:
    assert without_bool(hint) == hint


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
