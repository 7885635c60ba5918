"""Reading YAML 1.2 with positions: PyYAML's composer, the core schema's scalars, no duplicate keys, no NaN."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from srkd.options.tree import Node, Problems, merged
from srkd.types import InputError, did_you_mean

TAG = "tag:yaml.org,2002:"
RESOLVERS: dict[str, tuple[re.Pattern[str], str]] = {
    "bool": (re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), "tTfF"),
    "null": (re.compile(r"(?:~|null|Null|NULL|)\Z"), "~nN\0"),
    "int": (re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"), "-+0123456789"),
    "float": (
        re.compile(
            r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
        ),
        "-+.0123456789",
    ),
}
"""YAML 1.2's core schema: the pattern of each kind of plain scalar and the characters one may begin with."""


class _Loader(yaml.SafeLoader):
    """SafeLoader whose plain scalars are YAML 1.2's: `no`, `on` and `1:30` are text, `1e-4` is a number."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - PyYAML's own class attribute, replaced not shared


for _kind, (_pattern, _first) in RESOLVERS.items():
    # An empty scalar begins with nothing, which PyYAML writes as "".
    _Loader.add_implicit_resolver(TAG + _kind, _pattern, [character.strip("\0") for character in _first])


def read_file(path: Path, problems: Problems, including: Sequence[Path] = ()) -> Node:
    """Read an option file and the files it includes; the including file wins, later includes over earlier ones.

    Args:
        path: the file.
        problems: takes note of each thing wrong.
        including: the files that led here, to refuse cycles.

    Raises:
        InputError: the file is missing, unreadable, or no YAML.
    """
    root = read_text(_content(path), str(path), problems)
    if not isinstance(root.value, dict):
        problems.add(root, f"an option file is a mapping of keys to values; this one is {_kind_of(root)}.")
        problems.raise_if_any()
    include = root.value.pop("include", None)
    trail = [*including, path.resolve()]
    result: Node | None = None
    for node in [] if include is None else include.value if isinstance(include.value, list) else [include]:
        if not isinstance(node.value, str):
            problems.add(node, "must be the name of a file, or a list of them.")
            continue
        target = path.parent / node.value
        if target.resolve() in trail:
            names = " > ".join(link.name for link in (*trail, target))
            raise InputError(f"{node.label()}: {target} includes itself: {names}.")
        try:
            parent = read_file(target, problems, trail)
        except InputError as error:
            raise InputError(f"{node.label()}: {error}") from None
        result = parent if result is None else merged(result, parent)
    return root if result is None else merged(result, root)


def read_text(text: str, source: str, problems: Problems, *, fixed: bool = False, path: Sequence[str] = ()) -> Node:
    """Read YAML text.

    Args:
        text: the YAML.
        source: what to call it in messages: a file name, or with `fixed` a whole position.
        problems: takes note of each thing wrong.
        fixed: `source` is the position of all of it, so no line numbers are added.
        path: keys that lead to it.
    """
    try:
        composed = yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line if error.problem_mark else 0
        context = f" ({error.context})" if error.context else ""
        message = f"{error.problem}{context}"
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position)
        message = f"{error.reason} ({chr(error.character)!r})"
    except RecursionError:
        line, message = 0, "nested too deeply"
    else:
        if composed is None:
            return Node(None, source if fixed else f"{source}:1", tuple(path))
        return _Converter(source, problems, fixed).node(composed, tuple(path), composed)
    broken = Node(None, source if fixed else f"{source}:{line + 1}", tuple(path))
    problems.add(broken, f"is not valid YAML: {message}.")
    return broken


class _Converter:
    """Turns PyYAML's nodes into ours."""

    def __init__(self, source: str, problems: Problems, fixed: bool) -> None:
        self.source = source
        self.problems = problems
        self.fixed = fixed
        self.open: list[yaml.Node] = []  # the nodes we are inside of: an alias to one of them never ends

    def node(self, node: yaml.Node, path: tuple[str, ...], key: yaml.Node) -> Node:
        result = Node(None, self.where(key), path)
        if node in self.open:
            self.problems.add(result, "contains itself through an alias.")
            return result
        self.open.append(node)
        if isinstance(node, yaml.MappingNode) and node.tag == TAG + "map":
            result.value = self.mapping(node, path)
        elif isinstance(node, yaml.SequenceNode) and node.tag == TAG + "seq":
            result.value = [self.node(item, (*path, str(i)), item) for i, item in enumerate(node.value)]
        elif isinstance(node, yaml.ScalarNode):
            try:
                result.value = scalar(node.tag, node.value)
            except ValueError as error:
                self.problems.add(result, f"{error}.")
        else:
            self.problems.add(result, f"the tag {node.tag!r} is not known here.")
        self.open.pop()
        return result

    def mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> dict[str, Node]:
        children: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.problems.add(Node(None, self.where(key), path), "a key must be plain text.")
                continue
            name = str(key.value)
            child = self.node(value, (*path, name), key)
            if name in children:
                self.problems.add(child, f"the key {name!r} is here twice, first at {children[name].where}.")
                continue
            children[name] = child
        return children

    def where(self, node: yaml.Node) -> str:
        return self.source if self.fixed else f"{self.source}:{node.start_mark.line + 1}"


def scalar(tag: str, text: str) -> str | int | float | bool | None:
    """The value of a scalar by its tag, YAML 1.2's core schema; anything else raises `ValueError`."""
    kind = tag.removeprefix(TAG)
    if kind == "str":
        return text
    if kind not in RESOLVERS:
        raise ValueError(f"the tag {tag!r} is not known here")
    allowed = (RESOLVERS["int"][0], RESOLVERS["float"][0]) if kind == "float" else (RESOLVERS[kind][0],)
    if not any(pattern.match(text) for pattern in allowed):  # only an explicit tag comes here: !!float abc
        raise ValueError(f"{text!r} is no {kind}")
    if kind == "bool":
        return text.lower() == "true"
    if kind == "null":
        return None
    if kind == "int":
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    number = float(int(text, 0) if text[:2] in ("0o", "0x") else text.lower().replace(".n", "n").replace(".i", "i"))
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        others = sorted(other.name for other in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        raise InputError(f"there is no option file {path}.{did_you_mean(path.name, others)}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}).") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.") from None


def _kind_of(node: Node) -> str:
    if node.value is None:
        return "empty"
    return "a list" if isinstance(node.value, list) else f"the value {node.value!r}"
