"""The option files' JSON schema, which editors complete and check with (`# yaml-language-server: $schema=…`).

It is made of the same signatures that the reader checks against. A file may leave anything to the one it includes, so
nothing is required here; what is missing, `srkd train --check` says.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, get_args

from pydantic import TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError

from srkd.options.components import LOADER_KEYS
from srkd.options.schema import Block, DatasetBlock, TestOptions, TrainOptions
from srkd.registry import DATASETS, LOSSES, METHODS, METRICS, NETWORKS, OPTIMIZERS, SCHEDULERS, Registry
from srkd.signature import STRICT, option_docs, option_hints, option_names

Schema = dict[str, Any]

COMPONENTS: dict[str, Registry[Any]] = {
    "network_g": NETWORKS,
    "network_g_teacher": NETWORKS,
    "method": METHODS,
    "optim_g": OPTIMIZERS,
    "scheduler": SCHEDULERS,
    "pixel_opt": LOSSES,
}


def option_file_schema() -> Schema:
    """The schema of a training or test file."""
    train, test = (_block(kind) for kind in (TrainOptions, TestOptions))
    properties = {**test["properties"], **train["properties"]}
    properties["datasets"] = {
        "type": "object",
        "patternProperties": {r"^(train|(val|test)(_\w+)?)$": _dataset()},
        "additionalProperties": False,
    }
    properties["include"] = {
        "description": "another option file, whose keys this one adds to and replaces",
        "type": ["string", "array"],
    }
    properties["model_type"] = {"description": "BasicSR's: SRModel is read as `method: {type: Supervised}`"}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "srkd option file",
        "type": "object",
        "properties": dict(sorted(properties.items())),
        "additionalProperties": False,
    }


def component_schema(registry: Registry[Any], *, wired: Collection[str] = (), more: Schema | None = None) -> Schema:
    """`type` is one of the registry's names; the other keys are that component's options, and those of `more`."""
    names = registry.names()
    cases = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {
                "properties": {"type": {}, **_options(registry.get(name), wired), **(more or {})},
                "additionalProperties": False,
            },
        }
        for name in names
    ]
    # Other types come from plugins and as `basicsr.NAME`: their options are not known here.
    known = {"anyOf": [{"enum": names}, {"type": "string"}], "description": f"one of {', '.join(names)}"}
    return {"type": "object", "properties": {"type": known}, "allOf": cases}


def _options(component: Any, wired: Collection[str]) -> Schema:
    docs, hints = option_docs(component), option_hints(component)
    return {
        name: {**_of(hints[name]), **({"description": docs[name]} if name in docs else {})}
        for name in option_names(component)
        if name not in wired
    }


def _dataset() -> Schema:
    fields = DatasetBlock.model_fields
    loader = {name: _of(_annotated(fields[name])) for name in LOADER_KEYS}
    return component_schema(DATASETS, wired=("scale",), more=loader)


def _block(kind: type[Block]) -> Schema:
    properties = {name: _field(name, field) for name, field in kind.model_fields.items() if name != "datasets"}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _field(name: str, field: Any) -> Schema:
    if name in COMPONENTS:
        schema = component_schema(COMPONENTS[name])
        return _or_null(schema) if type(None) in get_args(field.annotation) else schema
    if name == "network_g_teachers":
        return {"type": "object", "additionalProperties": component_schema(NETWORKS)}
    if name == "metrics":
        better = {"better": {"enum": ["higher", "lower"]}}
        return {"type": "object", "additionalProperties": _or_null(component_schema(METRICS, more=better))}
    members = get_args(field.annotation)
    for member in members or (field.annotation,):
        if isinstance(member, type) and issubclass(member, Block):
            return _or_null(_block(member)) if members else _block(member)
    return _of(_annotated(field))


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _annotated(field: Any) -> Any:
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _of(hint: Any) -> Schema:
    """The schema of a value; anything where pydantic has none for its type."""
    configured = any(hasattr(part, "__pydantic_config__") for part in (hint, *get_args(hint)))
    try:
        schema = TypeAdapter(hint, config=None if configured else STRICT).json_schema()
    except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError, PydanticUserError):
        return {}
    return _inlined(schema, schema.pop("$defs", {}))


def _inlined(schema: Any, parts: Schema) -> Any:
    """`schema` with its references replaced by what they name: it becomes a part of a larger one."""
    if isinstance(schema, list):
        return [_inlined(part, parts) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(parts[schema["$ref"].rpartition("/")[2]], parts)
    return {key: _inlined(value, parts) for key, value in schema.items() if key not in ("default", "title")}
