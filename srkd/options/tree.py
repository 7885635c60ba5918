"""The tree of an option file: plain values that remember where they were written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from srkd.types import InputError


@dataclass
class Node:
    """A value of an option file.

    Attributes:
        value: a dict of nodes, a list of nodes, or a scalar.
        where: `file.yml:12`, or `command line: a.b=c`.
        path: the keys that lead to it, as the user wrote them: a key that is renamed later keeps its old path.
    """

    value: Any
    where: str
    path: tuple[str, ...] = ()

    def child(self, *keys: str) -> Node | None:
        """The node under `keys`, or None where the file has none."""
        node: Node = self
        for key in keys:
            if not isinstance(node.value, dict) or key not in node.value:
                return None
            node = node.value[key]
        return node

    def children(self, *keys: str) -> dict[str, Node]:
        """The nodes by key of the mapping under `keys`; empty for anything else."""
        node = self.child(*keys)
        return node.value if node and isinstance(node.value, dict) else {}

    def plain(self) -> Any:
        """The value without positions."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        return [node.plain() for node in self.value] if isinstance(self.value, list) else self.value

    def label(self, missing: str | int | None = None) -> str:
        """`file.yml:12  train.total_iter`, the name of this node in messages, or of the key `missing` in it."""
        keys = self.path if missing is None else (*self.path, str(missing))
        return f"{self.where}  {'.'.join(keys)}" if keys else self.where

    def locate(self, path: Sequence[str | int]) -> str:
        """The label of what is at `path`, or should be.

        Parts of `path` that the file does not have are names of the schema, apart from the last: a missing key.
        """
        node: Node = self
        missing: str | int | None = None
        for part in path:
            found = None
            if isinstance(node.value, dict):
                found = node.value.get(part)
            elif isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
                found = node.value[part]
            missing = part if found is None else None
            node = found or node
        return node.label(missing)


class Problems:
    """All that is wrong with a file, one line for each place; the first thing said about a place is kept."""

    def __init__(self) -> None:
        self._messages: dict[str, str] = {}

    def add(self, place: Node | str, message: str) -> None:
        """Note that `message` is wrong at `place`: a node, or a label."""
        self._messages.setdefault(place.label() if isinstance(place, Node) else place, message)

    def raise_if_any(self) -> None:
        """Raise `InputError` with everything noted, if anything was."""
        if self._messages:
            raise InputError("\n".join(self._lines()))

    def _lines(self) -> list[str]:
        """One a place; what is allowed is listed once."""
        lines: list[str] = []
        listed: set[str] = set()
        for place, message in self._messages.items():
            text, word, names = next(
                (parts for word in (" Allowed: ", " Available: ") if (parts := message.partition(word))[1]),
                (message, "", ""),
            )
            lines.append(f"{place}: {text if names in listed else message}")
            if word:
                listed.add(names)
        return lines


def merged(parent: Node, child: Node) -> Node:
    """`parent` with everything `child` says put over it; mappings are merged key by key, all else is replaced."""
    if not (isinstance(parent.value, dict) and isinstance(child.value, dict)):
        return child
    both: dict[str, Node] = dict(parent.value)
    for key, node in child.value.items():
        both[key] = merged(both[key], node) if key in both else node
    return replace(child, value=both)
