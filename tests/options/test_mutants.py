"""Option files with random mistakes: a sentence or an option file, never a traceback, and no unknown key is taken."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from srkd.options import dump_options, load_test_options, load_train_options
from srkd.options.dump import dump_value
from srkd.options.overrides import override
from srkd.options.reader import read_file
from srkd.options.tree import Problems
from srkd.types import InputError

HERE = Path(__file__).parent
ROOT = HERE.parents[1] / "options"
SOURCES = [
    ROOT / "train/CSD/csd_edsr_x4.yml",
    ROOT / "train/SRKD/srkd_edsr_x4.yml",
    HERE / "basicsr_train_EDSR_Mx4.yml",
    HERE / "basicsr_train_EDSR_Mx2.yml",
    HERE / "basicsr_test_EDSR_Mx4.yml",
]
VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 2, 0.5, 1e-300, 1e300, 2**62, "", "no", "yes", "1e-4", "auto", "EDSR", "a b", "../x",
    "é\U0001f600", "{}", "/", "x" * 3000, [], [1], [None], [[]], ["a"], {}, {"type": "EDSR"}, {"type": None}, {"a": {}},
    {"type": ["x"]}, {"type": {"type": 1}},
]  # fmt: skip
MUTANTS, IN_A_TENTH = 2400, 240


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every place in a tree of plain values."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def mutated(tree: Any, dice: random.Random) -> tuple[Any, bool]:
    """A copy of `tree` with one to three mistakes, and whether a key that nobody knows is among them."""
    tree, unknown = copy.deepcopy(tree), False
    for _ in range(dice.randint(1, 3)):
        path = dice.choice(list(places(tree)))
        block = tree
        for key in path[:-1]:
            block = block[key]
        kind = dice.randrange(5)
        if kind == 0:
            block[path[-1]] = copy.deepcopy(dice.choice(VALUES))
        elif kind == 1 and isinstance(block, dict):
            del block[path[-1]]
        elif kind == 2 and isinstance(block, dict):  # a slip of the finger
            key = str(path[-1])
            at = dice.randrange(len(key))
            block[key[:at] + dice.choice("xq_Z") + key[at:]] = block.pop(path[-1])
        elif kind == 3:
            other = dice.choice(list(places(tree)))
            there = tree
            for key in other:
                there = there[key]
            block[path[-1]] = copy.deepcopy(there)
        elif isinstance(block, dict):
            block["no_such_key"], unknown = dice.choice(VALUES), True
    return tree, unknown


def try_out(seed: int, folder: Path) -> None:
    dice = random.Random(seed)
    source = dice.choice(SOURCES)
    load = load_test_options if "test" in source.name else load_train_options
    tree, unknown = mutated(read_file(source, Problems()).plain(), dice)
    path = folder / "o.yml"
    path.write_text(dump_value(tree), encoding="utf-8")
    try:
        given = dice.choice(["train.total_iter=5", "scale=2", "manual_seed=1" if unknown else "val=~"])
        options = load(path, [given] if seed % 4 == 0 else [])
    except InputError as error:
        message = str(error)
        assert message.strip() and len(message) < 20_000
        assert "Input should" not in message and "pydantic" not in message and "Traceback" not in message
        return
    left_out = any("is left out, srkd has no metric" in line for line in options.warnings)
    left_out = left_out or any("no_such_key: is left out" in line for line in options.warnings)
    gone = "no_such_key" not in dump_options(options)
    assert not unknown or left_out or (gone and not _is_in(tree, "no_such_key")), path.read_text()
    again = folder / "again.yml"
    again.write_text(dump_options(options), encoding="utf-8")
    assert load(again) == options


def _is_in(value: Any, key: str) -> bool:
    """Whether `key` stands anywhere in a block that is read: metrics and blocks set to null are named by their user."""
    if isinstance(value, list):
        return any(_is_in(item, key) for item in value)
    if not isinstance(value, dict):
        return False
    if value.get(key, 0) is None:  # null takes an entry out where entries are named freely
        value = {name: item for name, item in value.items() if name != key}
    return key in value or any(_is_in(item, key) for name, item in value.items() if name != "dist_params")


@pytest.mark.parametrize("part", range(IN_A_TENTH // 24))
def test_a_tenth_of_the_mutants(part: int, tmp_path: Path) -> None:
    for seed in range(24 * part, 24 * part + 24):
        try_out(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(IN_A_TENTH // 24, MUTANTS // 24))
def test_all_mutants(part: int, tmp_path: Path) -> None:
    for seed in range(24 * part, 24 * part + 24):
        try_out(seed, tmp_path)


OVERRIDES = [
    "a", "=", "a=", "a.b.c=1", "train=1", "train.optim_g.betas.7=1", "scale=[", "scale=&x [*x]", "scale=!x 1",
    'name="\\0"', "plugins=[no_such]", "datasets.train.dataroot_gt.0.x=1", ":=:", "a:b=", "include=x.yml",
]  # fmt: skip


@pytest.mark.parametrize("assignment", OVERRIDES)
def test_any_override_is_answered(assignment: str) -> None:
    try:
        load_train_options(SOURCES[0], [assignment])
    except InputError as error:
        assert str(error)


def test_random_overrides_have_no_traceback() -> None:
    dice = random.Random(5)
    for _ in range(300):
        text = "".join(dice.choice("ab.=:[]{}!&*'\"\\,0-1 #|>%@\n\t") for _ in range(dice.randint(1, 25)))
        problems = Problems()
        root = read_file(SOURCES[0], problems)
        override(root, [text], problems)
        try:
            problems.raise_if_any()
        except InputError as error:
            assert str(error)
