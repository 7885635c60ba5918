"""The one definition of a result: what a benchmark found, how it is written, and how files of any schema are read.

A result file is JSON, schema 2: the fields of `Result`. Metrics stand beside the other keys of a row, and an infinite
one is `null`, with `"identical": true` beside it. Schema 1, of version 0.1, has no `metrics`; it is read too.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pydantic
import pydantic_core
from pydantic.dataclasses import dataclass

from srkd.data.degradation import Degradation
from srkd.metrics.metric import Metric, metric_of
from srkd.missing import read_text
from srkd.types import InputError, WorkError

SCHEMA = 2
BICUBIC = "bicubic"
"""The model that is always there: bicubic interpolation."""

_STRICT = pydantic.ConfigDict(strict=True, extra="ignore")
_NEEDED = ("schema", "protocol", "models", "environment", "rows", "summary", "failures")
Width = Annotated[float, pydantic.Field(gt=0, le=1)]
Seconds = Annotated[float, pydantic.Field(allow_inf_nan=False)]


@dataclass(frozen=True, config=_STRICT)
class Row:
    """One image at one width; an infinite PSNR is `math.inf`."""

    set: str
    image: str
    model: str
    width: Width
    metrics: dict[str, float]
    seconds: Seconds | None


@dataclass(frozen=True, config=_STRICT)
class Failure:
    """An image that could not be evaluated; `model` is empty where it could not be read."""

    set: str
    image: str
    model: str
    reason: str


@dataclass(frozen=True, config=_STRICT)
class Summary:
    """Means over a set; `n` of `n_expected` images."""

    set: str
    model: str
    width: Width
    n: int
    n_expected: int
    metrics: dict[str, float]
    params: int | None = None
    multi_adds: int | None = None
    seconds: Seconds | None = None
    peak_bytes: int | None = None


def _unflat(entry: Any, kind: type[Row | Summary]) -> Any:
    """The opposite of `flat`: what is no field of a row or a summary is a metric."""
    if not isinstance(entry, dict):
        return entry
    own = {one.name for one in fields(kind)}
    infinite = math.inf if entry.get("identical") is True else None
    metrics = {name: infinite if value is None else value for name, value in entry.items() if name not in own}
    metrics.pop("identical", None)
    return {**{name: value for name, value in entry.items() if name in own}, "metrics": metrics}


def _once(rows: list[Row]) -> list[Row]:
    """Refuse two rows of one key."""
    (key, count), *_ = [*Counter(map(key_of, rows)).most_common(1), (None, 0)]
    if key and count > 1:
        raise ValueError(f"{key[0]}/{key[1]} of {key[2]} at width {key[3]:.4g} is there twice")
    return rows


def _protocol(record: dict[str, Any]) -> dict[str, Any]:
    """The record of a protocol, checked; files may have keys of later versions."""
    _Protocol.model_validate(record)
    return record


class _Protocol(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="allow")
    name: str
    scale: int
    description: str
    degradation: Degradation | None = None
    metrics: dict[str, Any] = {}


_Row = Annotated[Row, pydantic.BeforeValidator(partial(_unflat, kind=Row))]
_Summary = Annotated[Summary, pydantic.BeforeValidator(partial(_unflat, kind=Summary))]


@dataclass(config=_STRICT)
class Result:
    """Everything that is known of models on test sets in one protocol.

    Attributes:
        protocol: how the numbers were made: name, scale, description and what else decides (`Protocol.record`).
        models: name and origin of each model.
        environment: versions, hardware, threads and precision, and the hash of the sources.
        rows: one for each image, model and width.
        summary: one for each set, model and width.
        failures: images left out.
        sets: name, origin and number of images of each set, and a stamp that changes with its files.
        tile: side of the windows that networks saw, in low-resolution pixels; 0: whole images; `auto`.
        lpips: which LPIPS the column of that name is; None without one.
        missing: columns that were asked for and have no numbers, with the reason.
        warnings: why numbers do not compare with papers' tables, or are not what they seem; a sentence each.
        timing: seconds of the run and where they went.
        metrics: what each column is, where it is not what its name says.
        path: the file it was read from.
    """

    protocol: Annotated[dict[str, Any], pydantic.AfterValidator(_protocol)]
    models: list[dict[str, Any]]
    environment: dict[str, str | int | float | bool | None]
    rows: Annotated[list[_Row], pydantic.AfterValidator(_once)] = field(default_factory=list[Row])
    summary: list[_Summary] = field(default_factory=list[Summary])
    failures: list[Failure] = field(default_factory=list[Failure])
    sets: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    tile: int | str = 0
    lpips: dict[str, Any] | None = None
    missing: dict[str, str] = field(default_factory=dict[str, str])
    warnings: list[str] = field(default_factory=list[str])
    timing: dict[str, Any] = field(default_factory=dict[str, Any])
    metrics: dict[str, Metric] = field(default_factory=dict[str, Metric])
    path: Annotated[Path, pydantic.Strict(False)] = Path()

    def columns(self) -> list[str]:
        """Names of the metrics, in the protocol's order."""
        return list(dict.fromkeys([*(name for row in self.rows for name in row.metrics), *self.missing]))

    def metric(self, name: str) -> Metric:
        """What a column is."""
        return self.metrics.get(name) or metric_of(name)

    def record(self, model: str) -> Mapping[str, Any]:
        """What is recorded of a model."""
        return next((record for record in self.models if record.get("name") == model), {})

    def raise_failures(self) -> None:
        """Raise `WorkError` that lists the images left out, if there are any."""
        if self.failures:
            listed = "\n".join(
                f"  {failure.set}/{failure.image}{f' ({failure.model})' if failure.model else ''}: {failure.reason}"
                for failure in self.failures
            )
            raise WorkError(f"not everything could be evaluated; the means are without:\n{listed}")

    def to_json(self) -> str:
        """Schema 2, see the top of the file."""
        content = {**asdict(self), "rows": list(map(flat, self.rows)), "summary": list(map(flat, self.summary))}
        del content["path"]
        return json.dumps({"schema": SCHEMA, **content}, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


Key = tuple[str, str, str, float]


def key_of(row: Row) -> Key:
    """Set, image, model and width: no two rows of a result share them."""
    return row.set, row.image, row.model, row.width


def mean(values: Sequence[float]) -> float:
    """Arithmetic mean, infinite where a value is."""
    return math.inf if math.inf in values else float(np.mean(values))


def summarise(
    rows: Sequence[Row], test_set: str, n_expected: int, model: str, width: float, **costs: int | None
) -> Summary:
    """Means of the rows of one set that are of one model and width; an infinite PSNR makes the mean infinite.

    `costs`: what else is known of the model, by the names of `Summary`.
    """
    own = [row for row in rows if (row.set, row.model, row.width) == (test_set, model, width)]
    metrics = {name: mean([row.metrics[name] for row in own]) for name in (own[0].metrics if own else ())}
    seconds = [row.seconds for row in own if row.seconds is not None]
    time = mean(seconds) if seconds else None
    return Summary(test_set, model, width, len(own), n_expected, metrics, seconds=time, **costs)


def flat(item: Row | Summary) -> dict[str, Any]:
    """Metrics beside the other values, and the infinite ones as null."""
    entry = asdict(item)
    metrics: dict[str, float] = entry.pop("metrics")
    finite = {name: None if math.isinf(value) else value for name, value in metrics.items()}
    return {**entry, **finite, **({"identical": True} if math.inf in metrics.values() else {})}


def read_result(path: str | Path) -> Result:
    """Read a result file and check every value in it.

    Raises:
        InputError: it is missing, damaged, or no result file; the message names the file and the key.
    """
    path = Path(path)
    return parse_result(read_text(path, "the result file"), path)


def parse_result(text: str, path: Path) -> Result:
    """`read_result` of a text that was read from `path`."""
    try:
        content = pydantic_core.from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise InputError(f"{path} is not JSON, hence no result file: {error}.") from None
    missing = [key for key in _NEEDED if not isinstance(content, dict) or key not in content]
    if missing:
        raise InputError(
            f"{path} is no result file: it has no `{missing[0]}`; srkd benchmark and srkd score write them."
        )
    if content["schema"] is True or content["schema"] not in (1, SCHEMA):
        raise InputError(f"{path}: schema is {content['schema']!r}; this srkd reads schema 1 and {SCHEMA}.")
    try:
        result = _RESULT.validate_json(text)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        parts = [part for at, part in enumerate(first["loc"]) if (at, part) != (2, "metrics")]  # as the file has it
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
        value = "" if first["type"] in ("missing", "value_error") else f", not {reprlib.repr(first['input'])}"
        raise InputError(f"{path} is damaged: {key}: {first['msg'].removeprefix('Value error, ')}{value}.") from None
    result.path = path
    return result


_RESULT = pydantic.TypeAdapter(Result)
