"""Writing options back: YAML that loads again to equal options."""

from __future__ import annotations

import io
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python
from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode, SequenceNode
from ruamel.yaml.representer import SafeRepresenter
from ruamel.yaml.resolver import implicit_resolvers

from srkd.options.components import LOADER_KEYS, Component, MetricBlock
from srkd.options.reader import RULES, TAG, CoreSchema, by_first
from srkd.options.schema import DatasetBlock, Options, TrainDatasets


class _Representer(SafeRepresenter):
    """Lists on one line, nothing by alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_on_one_line(self, data: list[Any]) -> SequenceNode:
        return self.represent_sequence(TAG + "seq", data, flow_style=True)

    def represent_text(self, data: str) -> ScalarNode:
        exotic = any(line_break in data for line_break in "\x85\u2028\u2029")  # folded outside of "…"
        style = '"' if exotic else "'" if data.startswith((":", "?")) else None  # read as a key inside {…}
        return self.represent_scalar(TAG + "str", data, style=style)

    def represent_number(self, data: float) -> ScalarNode:
        text = repr(data)  # 1e-08 is text in YAML 1.1, 1.0e-08 is a number in every version
        return self.represent_scalar(TAG + "float", text if "." in text else text.replace("e", ".0e"))


_Representer.add_representer(float, _Representer.represent_number)
_Representer.add_representer(str, _Representer.represent_text)
_Representer.add_representer(list, _Representer.represent_on_one_line)


class _Cautious(CoreSchema):
    """Text is quoted where any version of YAML would take it for more."""

    table = by_first([*(rule[1:] for rule in implicit_resolvers), *RULES])


def dump_options(options: Options) -> str:
    """YAML text of `options`, every default of the schema spelt out; loading it gives equal options."""
    text = dump_value(plain_options(options))
    return f"# The options of this run, with includes and overrides resolved.\n{text}"


def plain_options(options: Options) -> dict[str, Any]:
    """`options` as plain values in the shape that option files have, every default spelt out."""
    return _in_file(options)


def dump_value(value: Any) -> str:
    """YAML text of plain values."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer, yaml.Resolver = _Representer, _Cautious
    yaml.sort_base_mapping_type_on_output = False  # pyright: ignore[reportAttributeAccessIssue]
    yaml.default_flow_style = False
    yaml.width = 2**31  # folding a quoted text changes it where it holds control characters
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


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
