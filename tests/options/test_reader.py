from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from srkd.options.dump import dump_value
from srkd.options.reader import read_file, read_text
from srkd.options.tree import Node, Problems
from srkd.types import InputError


def read(text: str) -> Any:
    problems = Problems()
    node = read_text(text, "a.yml", problems)
    problems.raise_if_any()
    return node.plain()


def refused(text: str) -> str:
    with pytest.raises(InputError) as caught:
        read(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(text, True) for text in ("true", "True", "TRUE")],
        *[(text, False) for text in ("false", "False", "FALSE")],
        *[(text, text) for text in ("yes", "no", "on", "off", "y", "n", "1:30", "1_000", "0b11", "tRUE", "2020-01-01")],
        *[(text, None) for text in ("~", "null", "Null", "NULL", "")],
        ("010", 10),
        ("-7", -7),
        ("+7", 7),
        ("0x1F", 31),
        ("0o17", 15),
        ("1e-4", 1e-4),
        ("5e3", 5000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-1.5E+3", -1500.0),
        ("!!float 1e-4", 1e-4),
        ("!!float 5", 5.0),
        ("!!float 0x10", 16.0),
        ("!!int '5'", 5),
        ("!!str 5", "5"),
        ("'5'", "5"),
        ("1/3", "1/3"),
        ("nan", "nan"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    result = read(f"key: {text}\n")["key"]
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("text", [".nan", ".NaN", ".inf", "-.INF", "1e999", "!!float .nan"])
def test_numbers_must_be_finite(text: str) -> None:
    assert "a.yml:2  a.b: " in (message := refused(f"a:\n  b: {text}\n"))
    assert "is not a finite number" in message


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("a: 1\nb: 2\na: 3\n", "a.yml:3  a", "the key 'a' is here twice, first at a.yml:1"),
        ("a: !!python/name:os.system x", "a.yml:1  a", "python/name:os.system' is not known"),
        ("a: !thing {b: 1}", "a.yml:1  a", "'!thing' is not known"),
        ("a: !!int five", "a.yml:1  a", "'five' is no int"),
        ("a:\n- &x [*x]\n", "a.yml:2  a.0.0", "contains itself"),
        ("? [1]\n: 2\n", "a.yml:1", "a key must be plain text"),
        ("a: 1\n\tb: 2\n", "a.yml:2", "is not valid YAML: found character '\\t'"),
        ("a: [1,\n", "a.yml:2", "is not valid YAML: expected the node content"),
        ("a: \x01", "a.yml:1", "is not valid YAML: special characters are not allowed"),
        ("a: 1\n---\nb: 2\n", "a.yml:2", "is not valid YAML: but found another document"),
        ("a: " + "[" * 5000, "a.yml:1", "is nested more than 50 levels deep"),
    ],
)
def test_what_is_refused_is_named_with_its_place(text: str, place: str, reason: str) -> None:
    message = refused(text)
    assert message.startswith(f"{place}: ")
    assert reason in message


def test_every_problem_is_in_one_message() -> None:
    assert len(refused("a: .nan\nb: !x 1\nc: {d: 1, d: 2}\n").splitlines()) == 3


def test_an_alias_may_be_used_twice() -> None:
    assert read("a: &x {b: [1]}\nc: *x\nd: *x\n") == {"a": {"b": [1]}, "c": {"b": [1]}, "d": {"b": [1]}}


scalars = (
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")) | st.text(
    "\x85\u2028\u2029\ufeff\n\r\t :#a'\""
)
looks_like_more = st.from_regex(
    r"[-+]?(0[xob])?[0-9_:.]+([eE][-+]?[0-9]+)?|yes|no|on|off|True|null|~|=|<<", fullmatch=True
)


@given(
    st.recursive(
        scalars | texts | looks_like_more,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | looks_like_more, inner, max_size=4),
    )
)
@example([{"": None, ":0": None, "?a": ":"}])
@example({"0:0": "", "a:b": {"c:d": [""]}})
def test_what_is_dumped_is_read_back(value: Any) -> None:
    result = read(dump_value({"key": value}))["key"]
    assert result == value
    assert repr(result) == repr(value)  # 1 is not 1.0, 0.0 is not -0.0


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_shortest_form_of_a_float_is_a_number(value: float) -> None:
    assert math.copysign(1, value) == math.copysign(1, read(f"a: {value!r}")["a"])
    assert read(f"a: {value!r}")["a"] == value


class TestInclude:
    def load(self, path: Path) -> Node:
        return read_file(path, Problems())

    def test_the_including_file_wins_and_mappings_are_merged(self, write: Any) -> None:
        write("a: {x: 1, y: [1, 2]}\nb: 2\nc: {d: 1}\n", "base/parent.yml")
        child = write("include: base/parent.yml\na: {y: [3]}\nc: ~\n")
        root = self.load(child)
        assert root.plain() == {"a": {"x": 1, "y": [3]}, "b": 2, "c": None}
        assert root.locate(["a", "x"]) == f"{child.parent / 'base' / 'parent.yml'}:1  a.x"
        assert root.locate(["a", "y", 0]) == f"{child}:2  a.y.0"

    def test_later_files_of_a_list_win_and_names_are_relative_to_their_file(self, write: Any) -> None:
        write("a: 1\nb: 1\nc: 1\n", "base/one.yml")
        write("include: one.yml\nb: 2\n", "base/two.yml")
        write("c: 3\n", "three.yml")
        assert self.load(write("include: [base/two.yml, three.yml]\n")).plain() == {"a": 1, "b": 2, "c": 3}

    def test_a_cycle_is_refused(self, write: Any) -> None:
        write("include: tiny.yml\n", "other.yml")
        with pytest.raises(InputError, match=r"include: .*includes itself: tiny.yml > other.yml > tiny.yml"):
            self.load(write("include: other.yml\n"))

    def test_the_same_file_twice_is_no_cycle(self, write: Any) -> None:
        write("a: 1\n", "base.yml")
        write("include: base.yml\n", "left.yml")
        write("include: base.yml\n", "right.yml")
        assert self.load(write("include: [left.yml, right.yml]\n")).plain() == {"a": 1}

    def test_a_missing_file_is_named_with_the_line_of_the_include(self, write: Any) -> None:
        write("a: 1\n", "base.yml")
        with pytest.raises(
            InputError, match=r"tiny.yml:2  include: the option file .*bass.yml does not exist. Did you mean '.*base"
        ):
            self.load(write("a: 1\ninclude: bass.yml\n"))

    def test_something_else_than_names_is_refused(self, write: Any) -> None:
        problems = Problems()
        read_file(write("include: [5]\n"), problems)
        with pytest.raises(InputError, match="must be the name of a file"):
            problems.raise_if_any()


@pytest.mark.parametrize(("content", "reason"), [("", "empty"), ("- 1\n", "a list"), ("word", "a single value")])
def test_an_option_file_is_a_mapping(write: Any, content: str, reason: str) -> None:
    with pytest.raises(InputError, match=f"tiny.yml:1: .*this one is {reason}"):
        read_file(write(content), Problems())


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read as an option file: it is a folder"):
        read_file(tmp_path, Problems())
    (tmp_path / "latin.yml").write_bytes(b"a: \xff")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        read_file(tmp_path / "latin.yml", Problems())
