"""Writing options back: YAML that loads again to equal options."""

from __future__ import annotations

from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from srkd.options.components import LOADER_KEYS, Component, MetricBlock
from srkd.options.reader import RESOLVERS, TAG
from srkd.options.schema import DatasetBlock, Options, TrainDatasets


class _Dumper(yaml.SafeDumper):
    """SafeDumper that quotes what YAML 1.1 or 1.2 would take for more than text, with lists on one line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_on_one_line(self, data: list[Any]) -> yaml.Node:
        return self.represent_sequence(TAG + "seq", data, flow_style=True)

    def represent_text(self, data: str) -> yaml.Node:
        exotic = any(line_break in data for line_break in "\x85\u2028\u2029")  # PyYAML folds them outside of "…"
        return self.represent_scalar(TAG + "str", data, style='"' if exotic else None)


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(list, _Dumper.represent_on_one_line)
for _kind, (_pattern, _first) in RESOLVERS.items():
    _Dumper.add_implicit_resolver(TAG + _kind, _pattern, [character.strip("\0") for character in _first])


def dump_options(options: Options) -> str:
    """YAML text of `options`, every default of the schema spelt out; loading it gives equal options."""
    text = dump_value(_in_file(options))
    return f"# The options of this run, with includes and overrides resolved.\n{text}"


def dump_value(value: Any) -> str:
    """YAML text of plain values."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def _in_file(value: Any) -> Any:
    """`value` in the shape that option files have."""
    if isinstance(value, DatasetBlock):
        loader = {key: getattr(value, key) for key in LOADER_KEYS}
        return {**loader, **_in_file(value.component)}
    if isinstance(value, TrainDatasets):
        return {"train": _in_file(value.train), **_numbered("val", value.val)}
    if isinstance(value, Component):
        better = {"better": value.better} if isinstance(value, MetricBlock) else {}
        return {"type": value.type, **to_jsonable_python(value.args), **better}
    if isinstance(value, BaseModel):
        block = {name: _in_file(getattr(value, name)) for name in type(value).model_fields}
        if isinstance(datasets := getattr(value, "datasets", None), dict):
            block["datasets"] = _numbered("test", datasets)
        return block
    if isinstance(value, dict):
        return {key: _in_file(item) for key, item in value.items()}
    return value


def _numbered(key: str, blocks: dict[str, DatasetBlock]) -> dict[str, Any]:
    """The file's keys of several datasets: `val`, `val_2`, …; their own names are inside."""
    keys = [key, *(f"{key}_{number}" for number in range(2, len(blocks) + 1))]
    return {key: _in_file(block) for key, block in zip(keys, blocks.values(), strict=False)}
