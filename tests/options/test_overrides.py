from __future__ import annotations

from typing import Any

import pytest

from srkd.options.overrides import override
from srkd.options.reader import read_text
from srkd.options.tree import Node, Problems
from srkd.types import InputError

TEXT = """\
lr: 1
train: {milestones: [1, 2], scheduler: ~}
"""


def overridden(*assignments: str) -> Node:
    problems = Problems()
    root = read_text(TEXT, "a.yml", problems)
    override(root, assignments, problems)
    problems.raise_if_any()
    return root


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("lr=1e-4", ["lr"], 1e-4),
        ("lr=-1", ["lr"], -1),
        ("lr=", ["lr"], None),
        ("lr=no", ["lr"], "no"),
        ("lr=a=b", ["lr"], "a=b"),
        ("train.milestones=[1,2]", ["train", "milestones"], [1, 2]),
        ("train:milestones=[3]", ["train", "milestones"], [3]),
        ("train.milestones.1=9", ["train", "milestones"], [1, 9]),
        ("train.scheduler.type=X", ["train", "scheduler", "type"], "X"),
        ("new.block.key={a: 1}", ["new", "block", "key"], {"a": 1}),
        ("weights:l_pix@0.5=2", ["weights", "l_pix@0.5"], 2),
    ],
)
def test_values_are_yaml_at_the_path(assignment: str, path: list[str], value: Any) -> None:
    node = overridden(assignment).child(*path)
    assert node is not None
    assert node.plain() == value


def test_the_position_is_the_command_line() -> None:
    root = overridden("train.scheduler.type=X", "train.milestones.0=5")
    assert root.locate(["train", "scheduler", "type"]) == "command line: train.scheduler.type=X  train.scheduler.type"
    assert root.locate(["train", "milestones", 0]) == "command line: train.milestones.0=5  train.milestones.0"
    assert root.locate(["train", "milestones", 1]) == "a.yml:2  train.milestones.1"


def test_later_ones_win() -> None:
    assert overridden("lr=1", "lr=2").plain()["lr"] == 2


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("lr", "command line: lr: is not of the form key.path=value."),
        ("=1", "is not of the form key.path=value."),
        ("a..b=1", "is not of the form key.path=value."),
        ("lr=[1", "command line: lr=[1  lr: is not valid YAML: "),
        ("lr=.nan", "command line: lr=.nan  lr: .nan is not a finite number"),
        ("lr.x=1", "command line: lr.x=1  lr.x: lr is 1 (a.yml:1), not a mapping"),
        ("train.milestones.2=1", "'2' is no place in the list at a.yml:2"),
        ("train.milestones.x.y=1", "'x' is no place in the list at a.yml:2"),
    ],
)
def test_wrong_ones_are_refused(assignment: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        overridden(assignment)
    assert message in str(caught.value)
