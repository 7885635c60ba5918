"""Overrides from the command line: `a.b=c`, or BasicSR's `a:b=c`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from srkd.options.reader import read_text
from srkd.options.tree import Node, Problems


def override(root: Node, assignments: Iterable[str], problems: Problems) -> None:
    """Put `assignments` into the tree, in order; each value is read as YAML.

    Keys are separated by dots, or by colons where there is one: `method:weights:l_pix@0.5=1` has dots in a key.
    Numbers are places in a list. Missing blocks are created; whether their keys exist is the schema's affair.
    """
    for assignment in assignments:
        where = f"command line: {assignment}"
        target, equals, text = assignment.partition("=")
        keys = [key.strip() for key in target.split(":" if ":" in target else ".")]
        if not equals or not all(keys):
            problems.add(where, "is not of the form key.path=value.")
            continue
        _put(root, keys, read_text(text, where, problems, fixed=True, path=keys), problems)


def read_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """The values of `a=b` assignments that stand alone, outside any option file.

    Raises:
        InputError: one of them is not of this form, or its value is no YAML.
    """
    root, problems = Node({}, "command line"), Problems()
    override(root, assignments, problems)
    problems.raise_if_any()
    return root.plain()


def _put(root: Node, keys: list[str], value: Node, problems: Problems) -> None:
    node = root
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if node.value is None:
            node.value = {}
        if isinstance(node.value, list):
            if not key.isdecimal() or int(key) >= len(node.value):
                problems.add(value, f"{key!r} is no place in the list at {node.where}.")
                return
            index = int(key)
            if last:
                node.value[index] = value
            node = node.value[index]
        elif isinstance(node.value, dict):
            if last:
                node.value[key] = value
            node = node.value.setdefault(key, replace(value, value=None, path=tuple(keys[: depth + 1])))
        else:
            problems.add(value, f"{'.'.join(node.path)} is {node.value!r} ({node.where}), not a mapping.")
            return
