"""Reading YAML 1.2 with positions: ruamel's composer, the core schema's scalars, no duplicate keys, no NaN."""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import MaxDepthExceededError
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.resolver import VersionedResolver

from srkd.limits import OPTION_BYTES, OPTION_DEPTH, OPTION_VALUES
from srkd.missing import not_there
from srkd.options.elsewhere import as_yaml
from srkd.options.tree import Node, Problems, merged
from srkd.types import InputError, shortened

TAG = "tag:yaml.org,2002:"
SCALARS: dict[str, tuple[re.Pattern[str], list[str]]] = {
    "bool": (re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"), [*"tTfF"]),
    "null": (re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""]),
    "int": (re.compile(r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z"), [*"-+0123456789"]),
    "float": (
        re.compile(
            r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z"
        ),
        [*"-+.0123456789"],
    ),
}
"""YAML 1.2's core schema: the pattern of each kind of plain scalar and the characters one may begin with."""


RULES = [(TAG + kind, pattern, first) for kind, (pattern, first) in SCALARS.items()]


def by_first(rules: Iterable[tuple[str, Any, list[str]]]) -> dict[str, list[tuple[str, Any]]]:
    """Rules by the first character they apply to, as ruamel looks them up."""
    found: dict[str, list[tuple[str, Any]]] = {}
    for tag, pattern, first in rules:
        for character in first:
            found.setdefault(character, []).append((tag, pattern))
    return found


class CoreSchema(VersionedResolver):
    """Plain scalars as the core schema has them; ruamel's own rules know `1_000`, `0b1`, dates and `<<` too."""

    table = by_first(RULES)

    @property
    def versioned_resolver(self) -> Any:
        """Where ruamel looks the rules up."""
        return self.table


def read_file(path: Path, problems: Problems) -> Node:
    """Read an option file and the files it includes; the including file wins, later includes over earlier ones.

    Args:
        path: the file.
        problems: takes note of each thing wrong.

    Raises:
        InputError: a file is missing, unreadable, no YAML, or beyond the limits of `srkd.limits`.
    """
    return _Reader(problems).file(path, ())


def read_text(text: str, source: str, problems: Problems, *, fixed: bool = False, path: Sequence[str] = ()) -> Node:
    """Read YAML text.

    Args:
        text: the YAML.
        source: what to call it in messages: a file name, or with `fixed` a whole position.
        problems: takes note of each thing wrong.
        fixed: `source` is the position of all of it, so no line numbers are added.
        path: keys that lead to it.
    """
    return _Reader(problems).text(text, source, fixed=fixed, path=tuple(path))


def compose(text: str) -> YamlNode | None:
    """The tree of one document, with marks; None for an empty one. It raises ruamel's `YAMLError`."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Resolver, yaml.max_depth = CoreSchema, OPTION_DEPTH
    yaml.composer.warn_double_anchors = False
    return yaml.compose(text)


class _Reader:
    """Reads an option file and all it includes, within one budget; a file included twice is read once."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.files: dict[Path, Node] = {}
        self.bytes_left = OPTION_BYTES
        self.values_left = OPTION_VALUES

    def file(self, path: Path, including: tuple[Path, ...], named: Node | None = None) -> Node:
        """As `read_file`; `including` are the files that led here, to refuse cycles, `named` is what named this one."""
        known = path.resolve()
        if known not in self.files:
            try:
                text = as_yaml(self.content(path, len(including)), path.suffix.lower(), str(path))
            except InputError as error:
                raise InputError(f"{named.label()}: {error}" if named else str(error)) from None
            self.files[known] = self.included(self.text(text, str(path)), path, (*including, known))
        return self.files[known]

    def included(self, root: Node, path: Path, trail: tuple[Path, ...]) -> Node:
        if not isinstance(root.value, dict):
            kind = "empty" if root.value is None else "a list" if isinstance(root.value, list) else "a single value"
            self.problems.add(root, f"an option file is a mapping of keys to values; this one is {kind}.")
            self.problems.raise_if_any()
        include = root.children().pop("include", None)
        result: Node | None = None
        for node in [] if include is None else include.value if isinstance(include.value, list) else [include]:
            if not isinstance(node.value, str):
                self.problems.add(node, "must be the name of a file, or a list of them.")
                continue
            target = path.parent / Path(node.value).expanduser()
            if target.resolve() in trail:
                names = " > ".join(link.name for link in (*trail, target))
                raise InputError(f"{node.label()}: {target} includes itself: {names}.")
            parent = self.file(target, trail, node)
            result = parent if result is None else merged(result, parent)
        return root if result is None else merged(result, root)

    def content(self, path: Path, depth: int) -> str:
        if depth > OPTION_DEPTH:
            raise InputError(f"more than {OPTION_DEPTH} files include each other.")
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # a pipe would be waited for
                kind = "a folder" if path.is_dir() else "no ordinary file"
                raise InputError(f"{path}: cannot be read as an option file: it is {kind}.")
            with path.open("rb") as file:
                data = file.read(self.bytes_left + 1)
        except FileNotFoundError:
            said = not_there(path, "the option file", wanted=lambda other: other.suffix in (".yml", ".yaml"))
            raise InputError(said) from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}.") from None
        self.bytes_left -= len(data)
        if self.bytes_left < 0:
            raise InputError(
                f"{path}: is too large: option files take up to {OPTION_BYTES // 1024} KiB, those they include "
                "counted in."
            )
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            utf16 = " It looks like UTF-16: save it as UTF-8." if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
            reason = f"is not UTF-8 text, as an option file is ({error.reason} at byte {error.start}).{utf16}"
            raise InputError(f"{path}: {reason}") from None

    def text(self, text: str, source: str, *, fixed: bool = False, path: tuple[str, ...] = ()) -> Node:
        try:
            composed = compose(text)
        except MaxDepthExceededError as error:
            line, message = error.problem_mark.line, f"is nested more than {OPTION_DEPTH} levels deep"
        except MarkedYAMLError as error:
            line = error.problem_mark.line if error.problem_mark else 0
            context = f" ({error.context})" if error.context else ""
            spaces = ". Indent with spaces, not with tabs" if "\\t" in str(error.problem) else ""
            message = f"is not valid YAML: {error.problem}{context}{spaces}"
        except ReaderError as error:
            line = text.count("\n", 0, error.position)
            message = f"is not valid YAML: {error.reason} (U+{error.character:04X})"
        else:
            if composed is None:
                return Node(None, source if fixed else f"{source}:1", path)
            return _Converter(self, source, fixed).node(composed, path, composed)
        broken = Node(None, source if fixed else f"{source}:{line + 1}", path)
        self.problems.add(broken, f"{message}.")
        return broken


class _Converter:
    """Turns ruamel's nodes into ours."""

    def __init__(self, reader: _Reader, source: str, fixed: bool) -> None:
        self.reader = reader
        self.problems = reader.problems
        self.source = source
        self.fixed = fixed
        self.open: list[YamlNode] = []  # the nodes we are inside of: an alias to one of them never ends

    def node(self, node: YamlNode, path: tuple[str, ...], key: YamlNode) -> Node:
        result = Node(None, self.where(key), path)
        if node in self.open:
            self.problems.add(result, "contains itself through an alias.")
            return result
        self.reader.values_left -= 1
        if self.reader.values_left < 0:
            raise InputError(
                f"{result.where}: is too large: option files hold up to {OPTION_VALUES:,} values, those that "
                "aliases (`*name`) repeat counted in."
            )
        self.open.append(node)
        if isinstance(node, MappingNode) and node.tag == TAG + "map":
            result.value = self.mapping(node, path)
        elif isinstance(node, SequenceNode) and node.tag == TAG + "seq":
            result.value = [self.node(item, (*path, str(i)), item) for i, item in enumerate(node.value)]
        elif isinstance(node, ScalarNode):
            try:
                result.value = scalar(node.tag, node.value)
            except ValueError as error:
                self.problems.add(result, f"{error}.")
        else:
            self.problems.add(result, f"the tag {node.tag!r} is not known here.")
        self.open.pop()
        return result

    def mapping(self, node: MappingNode, path: tuple[str, ...]) -> dict[str, Node]:
        children: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.problems.add(Node(None, self.where(key), path), "a key must be plain text.")
                continue
            name = str(key.value)
            child = self.node(value, (*path, name), key)
            if value.value == "" and key.style is value.style is None and ":" in name:  # {type:EDSR} is a key alone
                self.problems.add(child, f"needs a space behind the colon: `{name.replace(':', ': ', 1)}`.")
            if name in children:
                self.problems.add(child, f"the key {name!r} is here twice, first at {children[name].where}.")
                continue
            children[name] = child
        return children

    def where(self, node: YamlNode) -> str:
        return self.source if self.fixed else f"{self.source}:{node.start_mark.line + 1}"


def scalar(tag: str, text: str) -> str | int | float | bool | None:
    """The value of a scalar by its tag, YAML 1.2's core schema; anything else raises `ValueError`."""
    kind = tag.removeprefix(TAG)
    if kind == "str":
        if re.search("[\x00\ud800-\udfff]", text):  # from an escape; no file has such a name
            raise ValueError(f"{shortened(text)} has a character that no text can hold")
        return text
    if kind not in SCALARS:
        raise ValueError(f"the tag {tag!r} is not known here")
    allowed = (SCALARS["int"][0], SCALARS["float"][0]) if kind == "float" else (SCALARS[kind][0],)
    if not any(pattern.match(text) for pattern in allowed):  # only an explicit tag comes here: !!float abc
        raise ValueError(f"{shortened(text)} is no {kind}")
    if kind == "bool":
        return text.lower() == "true"
    if kind == "null":
        return None
    if len(text) > 400:
        raise ValueError(f"{text[:20]}… is too long for a number")
    if kind == "int":
        whole = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        if abs(whole) >= 2**63:
            raise ValueError(f"{text} is too large for a whole number")
        return whole
    number = float(int(text, 0) if text[:2] in ("0o", "0x") else text.lower().replace(".n", "n").replace(".i", "i"))
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number
