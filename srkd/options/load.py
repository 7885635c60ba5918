"""From a file and overrides to checked options."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from srkd.options.components import option_names_of
from srkd.options.dialect import translate
from srkd.options.elsewhere import refuse_other_toolkits
from srkd.options.overrides import override
from srkd.options.reader import read_file
from srkd.options.remarks import remarks
from srkd.options.schema import Options, TestOptions, TrainOptions
from srkd.options.tree import Node, Problems
from srkd.plugins import import_plugin, is_imported, plugins_of_environment
from srkd.registry import NETWORKS
from srkd.types import InputError

OptionsT = TypeVar("OptionsT", bound=Options)


def load_train_options(path: str | Path, overrides: Iterable[str] = (), *, import_plugins: bool = True) -> TrainOptions:
    """Read a training file.

    Args:
        path: the YAML file.
        overrides: assignments such as `train.optim_g.lr=1e-4`, put over the file in order.
        import_plugins: import the file's `plugins`, which runs their code; False for a file that nobody named: its
            plugins must have been imported then.

    Raises:
        InputError: one line for everything that is wrong, with file, line, dotted path and what is allowed.
    """
    options = _load(TrainOptions, path, overrides, import_plugins=import_plugins)
    if options.val is None or not options.datasets.val:
        absent = "`val`" if options.val is None else "`datasets.val`"
        options.notices.append(f"{path}: there is no {absent}, so nothing is validated during training.")
    options.warnings.extend(remarks(options))
    return options


def import_plugins_of(path: str | Path, overrides: Iterable[str] = ()) -> None:
    """Import the `plugins` that a training file names, where they are needed before the rest of it is checked."""
    problems = Problems()
    root = read_file(Path(path), problems)
    override(root, overrides, problems)
    _import_plugins(root, problems, allowed=True)
    problems.raise_if_any()


def load_test_options(path: str | Path, overrides: Iterable[str] = ()) -> TestOptions:
    """Read a test file; as `load_train_options`."""
    return _load(TestOptions, path, overrides)


def _load(kind: type[OptionsT], path: str | Path, overrides: Iterable[str], *, import_plugins: bool = True) -> OptionsT:
    problems = Problems()
    root = read_file(Path(path), problems)
    refuse_other_toolkits(root)
    _refuse_other_kind(root, kind, path)
    override(root, overrides, problems)
    _import_plugins(root, problems, allowed=import_plugins)
    notices, warnings = translate(root, problems)
    _wire_scale(root, problems)
    options: OptionsT | None = None
    try:
        options = kind.model_validate(root.plain())
    except ValidationError as error:
        for item in error.errors(include_url=False):
            problems.add(root.locate(item["loc"]), item["msg"])
    problems.raise_if_any()
    assert options is not None
    options.notices.extend(notices)
    options.plugins.extend(name for name in plugins_of_environment() if name not in options.plugins)
    options.warnings.extend(warnings)
    return options


def _refuse_other_kind(root: Node, kind: type[Options], path: str | Path) -> None:
    """Say so where a file for training is to be measured with, or the other way round."""
    trains = root.child("train") or root.child("datasets", "train")
    if kind is TestOptions and trains:
        what_else = "`srkd benchmark experiments/NAME/models/net_g_latest.pth --sets SET` measures its network"
        raise InputError(f"{path} is an option file for training (`srkd train -opt {path}`); {what_else}.")
    if kind is TrainOptions and not trains and any(name.startswith("test") for name in root.children("datasets")):
        raise InputError(f"{path} is an option file for measuring, not for training: `srkd benchmark -opt {path}`.")


def _import_plugins(root: Node, problems: Problems, *, allowed: bool) -> None:
    plugins = root.child("plugins")
    names: list[Node] = plugins.value if plugins and isinstance(plugins.value, list) else []
    for node in names:
        if not isinstance(node.value, str) or is_imported(node.value):
            continue
        try:
            if not allowed:
                raise InputError(f"the plugin {node.value!r} is not loaded: add --plugin {node.value}.")
            import_plugin(node.value)
        except InputError as error:
            problems.add(node, str(error))


def _wire_scale(root: Node, problems: Problems) -> None:
    """See that networks and datasets have the scale of the file; networks that are not given theirs get it."""
    scale = root.child("scale")
    if scale is None:
        return
    several = [("network_g_teachers", name) for name in root.children("network_g_teachers")]
    for keys in (("network_g",), ("network_g_teacher",), *several):
        kind = root.child(*keys, "type")
        options = option_names_of(NETWORKS, kind.value) if kind is not None else []
        name = next((name for name in ("upscale", "scale") if name in options), "upscale")  # BasicSR has both words
        own = root.child(*keys, name)
        if own is not None:
            _same_scale(own, scale, problems)
        elif name in options:
            root.children(*keys)[name] = Node(scale.value, scale.where, scale.path)
    for block in root.children("datasets").values():
        own = block.children().pop("scale", None)
        if own is not None:
            _same_scale(own, scale, problems)


def _same_scale(node: Node, scale: Node, problems: Problems) -> None:
    if node.value != scale.value:
        problems.add(node, f"is {node.value!r}, but scale is {scale.value!r} ({scale.where}).")
