"""Reading result files (schema 1) back, every value checked; `srkd.evaluation.tables` writes them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic

from srkd.data.degradation import Degradation
from srkd.evaluation.results import Failure, Row, Summary
from srkd.evaluation.tables import SCHEMA
from srkd.types import InputError


@dataclass(frozen=True)
class ResultFile:
    """A result file as it was read.

    Attributes:
        path: the file.
        protocol: its record: name, scale, description and what else decides about the figures.
        models: name and origin of each.
        environment: versions and hardware.
        rows: one for each image, model and width; an infinite metric is `math.inf`.
        summary: one for each set, model and width.
        failures: images left out.
        lpips: which LPIPS the column of that name is, None without one.
        warnings: why figures do not compare with papers' tables; a sentence each.
        sets: name and origin of each set; none in files of older versions.
    """

    path: Path
    protocol: dict[str, Any]
    models: list[dict[str, Any]]
    environment: dict[str, Any]
    rows: list[Row]
    summary: list[Summary]
    failures: list[Failure]
    lpips: dict[str, Any] | None
    warnings: list[str]
    sets: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])


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
    rows: list[Row] = []
    for number, row in enumerate(file.rows):
        metrics = _metrics(row, row.model_extra or (), f"{path}: rows[{number}]")
        rows.append(Row(row.set, row.image, row.model, row.width, metrics, row.seconds))
    columns = list(dict.fromkeys(name for row in rows for name in row.metrics))
    _refuse_twice(path, rows)
    summary = [
        Summary(
            **item.model_dump(exclude={"identical", *(item.model_extra or {})}),
            metrics=_metrics(item, columns, f"{path}: summary[{number}]"),
        )
        for number, item in enumerate(file.summary)
    ]
    failures = [Failure(**item.model_dump()) for item in file.failures]
    return ResultFile(
        path=path,
        protocol=file.protocol.model_dump(exclude_unset=True),
        models=file.models,
        environment=file.environment,
        rows=rows,
        summary=summary,
        failures=failures,
        lpips=file.lpips,
        warnings=file.warnings,
        sets=file.sets,
    )


class _Flat(pydantic.BaseModel):
    """The metrics stand beside the other keys."""

    model_config = pydantic.ConfigDict(strict=True, extra="allow", allow_inf_nan=False)
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
    degradation: Degradation | None = None
    metrics: dict[str, Any] = {}


class _File(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True)
    protocol: _Protocol
    models: list[dict[str, Any]]
    environment: dict[str, Any]
    rows: list[_Row]
    summary: list[_Summary]
    failures: list[_Failure]
    lpips: dict[str, Any] | None = None
    warnings: list[str] = []
    sets: list[dict[str, Any]] = []


def _metrics(item: _Flat, columns: Iterable[str], where: str) -> dict[str, float]:
    there, metrics = item.model_extra or {}, dict[str, float]()
    for name, value in ((name, there[name]) for name in columns if name in there):
        if value is None and not item.identical:
            raise InputError(f"{where}.{name} is null, which only an infinite value is, beside `identical: true`.")
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise InputError(f"{where}.{name} is {value!r}, which is no number.")
        metrics[name] = math.inf if value is None else float(value)
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
