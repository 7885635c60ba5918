"""What a result file holds (schema 1), and reading one back; `srkd.evaluation.tables` writes it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic

from srkd.types import InputError

SCHEMA = 1


@dataclass(frozen=True)
class Row:
    """One image at one width; an infinite PSNR is `math.inf`."""

    set: str
    image: str
    model: str
    width: float
    metrics: dict[str, float]
    seconds: float | None


@dataclass(frozen=True)
class Failure:
    """An image that could not be evaluated; `model` is empty where it could not be read."""

    set: str
    image: str
    model: str
    reason: str


@dataclass(frozen=True)
class Summary:
    """Means over a set; `n` of `n_expected` images."""

    set: str
    model: str
    width: float
    n: int
    n_expected: int
    metrics: dict[str, float]
    params: int | None
    multi_adds: int | None
    seconds: float | None


@dataclass(frozen=True)
class ResultFile:
    """A result file as it was read; `protocol`, `models` and `environment` are the recorded dictionaries."""

    path: Path
    protocol: dict[str, Any]
    models: list[dict[str, Any]]
    environment: dict[str, Any]
    rows: list[Row]
    summary: list[Summary]
    failures: list[Failure]


def read_result(path: str | Path) -> ResultFile:
    """Read a result file and check every value in it.

    Raises:
        InputError: it is missing, damaged, or no result file of schema 1; the message names the file and the key.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except OSError as error:
        raise InputError(f"the result file {path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON, hence no result file: {error}.") from None
    if not isinstance(content, dict) or "schema" not in content or "rows" not in content:
        raise InputError(
            f"{path} is no result file: it has no `schema` and `rows`; srkd benchmark and srkd score write them."
        )
    if content["schema"] != SCHEMA:
        raise InputError(f"{path}: schema is {content['schema']!r}; this srkd reads schema {SCHEMA}.")
    try:
        file = _File.model_validate(content)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{path} is damaged: {_key(first['loc'])}: {first['msg']}.") from None
    rows = [
        Row(row.set, row.image, row.model, row.width, _metrics(row, f"{path}: rows[{number}]"), row.seconds)
        for number, row in enumerate(file.rows)
    ]
    _refuse_twice(path, rows)
    summary = [
        Summary(
            **item.model_dump(exclude={"identical", *(item.model_extra or {})}),
            metrics=_metrics(item, f"{path}: summary[{number}]"),
        )
        for number, item in enumerate(file.summary)
    ]
    failures = [Failure(**item.model_dump()) for item in file.failures]
    return ResultFile(path, file.protocol.model_dump(), file.models, file.environment, rows, summary, failures)


class _Flat(pydantic.BaseModel):
    """The metrics stand beside the other keys."""

    model_config = pydantic.ConfigDict(strict=True, extra="allow", allow_inf_nan=False)
    __pydantic_extra__: dict[str, float | None]
    set: str
    model: str
    width: float = pydantic.Field(gt=0, le=1)
    seconds: float | None
    identical: bool = False


class _Row(_Flat):
    image: str


class _Summary(_Flat):
    n: int
    n_expected: int
    params: int | None
    multi_adds: int | None


class _Failure(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    set: str
    image: str
    model: str
    reason: str


class _Protocol(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="allow")
    name: str
    scale: int
    description: str


class _File(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    protocol: _Protocol
    models: list[dict[str, Any]]
    environment: dict[str, Any]
    rows: list[_Row]
    summary: list[_Summary]
    failures: list[_Failure]


def _metrics(item: _Flat, where: str) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for name, value in (item.model_extra or {}).items():
        if value is None and not item.identical:
            raise InputError(f"{where}.{name} is null, which only an infinite value is, beside `identical: true`.")
        metrics[name] = math.inf if value is None else value
    return metrics


def _refuse_twice(path: Path, rows: Sequence[Row]) -> None:
    seen: set[tuple[str, str, str, float]] = set()
    for number, row in enumerate(rows):
        key = (row.set, row.image, row.model, row.width)
        if key in seen:
            raise InputError(
                f"{path} is damaged: rows[{number}]: {row.set}/{row.image} of {row.model} at width {row.width:.4g} "
                "is there twice."
            )
        seen.add(key)


def _key(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")


def _refuse(constant: str) -> float:
    raise ValueError(f"it holds {constant}, which JSON does not have")
