"""Option files of other toolkits: recognised by their keys, and answered with what each key is called here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from srkd.options.tree import Node
from srkd.types import InputError, shortened


def _is_kair(root: Node) -> bool:
    return root.child("netG", "net_type") is not None


def _is_neosr(root: Node) -> bool:
    kind, data = root.child("model_type"), root.child("datasets", "train", "type")
    return (kind is not None and kind.value in ("image", "otf")) or (
        data is not None and data.value in ("paired", "otf")
    )


def _is_redux(root: Node) -> bool:
    losses = root.child("train", "losses")
    known = (("amp_bf16",), ("val", "val_enabled"), ("val", "metrics_enabled"), ("datasets", "train", "lq_size"))
    return (losses is not None and isinstance(losses.value, list)) or any(root.child(*keys) for keys in known)


TOOLKITS: dict[str, Callable[[Node], bool]] = {"KAIR": _is_kair, "neosr": _is_neosr, "traiNNer-redux": _is_redux}
"""Whether a file is one of the toolkit's."""


def keys_of(toolkit: str) -> dict[str, str]:
    """The toolkit's keys, dotted, with what srkd calls them."""
    tables = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return (tables["basicsr"] if toolkit != "KAIR" else {}) | tables[toolkit]


def refuse_other_toolkits(root: Node) -> None:
    """Raise `InputError` for an option file of another toolkit: one sentence, and its keys as srkd calls them."""
    toolkit = next((name for name, marks in TOOLKITS.items() if marks(root)), None)
    if toolkit is None:
        return
    lines: list[str] = []
    for theirs, ours in keys_of(toolkit).items():
        node = root.child(*theirs.split("."))
        if node is not None:
            lines.append(f"  {theirs}: {shortened(node.plain())}  →  {ours}")
    others = len(_leaves(root)) - len(lines)
    rest = f"\n  {others} other keys have no equivalent, or need none." if others > 0 else ""
    raise InputError(
        f"{root.where}: this is an option file of {toolkit}, and srkd reads BasicSR's form: copy a file of "
        "options/train and fill in your values; what has an equivalent is called\n" + "\n".join(lines) + rest
    )


def _leaves(node: Node) -> list[Node]:
    children = node.children()
    return [leaf for child in children.values() for leaf in _leaves(child)] if children else [node]


def as_yaml(text: str, suffix: str, where: str) -> str:
    """`text` of a file with this suffix: JSON without its `//` comments is YAML.

    Raises:
        InputError: it is TOML, which only other toolkits use.
    """
    if suffix == ".json":
        return re.sub(r'("(?:\\.|[^"\\\n])*")|//[^\n]*|\t', lambda match: match[1] or " ", text)
    if suffix == ".toml":
        try:
            tree = _tree(tomllib.loads(text), where, ())
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise InputError(f"{where}: is no TOML ({error}); srkd's option files are YAML.") from None
        refuse_other_toolkits(tree)
        raise InputError(f"{where}: this is TOML; srkd's option files are YAML, as in options/train.")
    return text


def _tree(value: Any, where: str, path: tuple[str, ...]) -> Node:
    if isinstance(value, dict):
        value = {key: _tree(item, where, (*path, key)) for key, item in value.items()}
    elif isinstance(value, list):
        value = [_tree(item, where, (*path, str(i))) for i, item in enumerate(value)]
    return Node(value, where, path)
