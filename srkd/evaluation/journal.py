"""Rows on the disk as they are found, so that a run that was interrupted goes on, and a finished one is not repeated.

Beside `x.json` stands `x.partial.jsonl` while a run goes on: what the figures rest on in the first line, then a row a
line. A row of either file is taken over where model (by its checksum), set (by its files' names, sizes and times),
protocol, windows, LPIPS, versions and hardware are those of the new run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from srkd.atomic import atomic_write_text
from srkd.evaluation.reading import read_result
from srkd.evaluation.results import BICUBIC, Key, Result, Row, key_of
from srkd.evaluation.tables import flat
from srkd.types import InputError

_FIELDS = ("set", "image", "model", "width", "seconds")
_SAME = ("srkd_version", "srkd_git", "torch", "device", "hardware")


def plain(model: str) -> str:
    """A model's name without the plus of self-ensemble, or whose teacher it is: there may be one student more."""
    return model.partition(" (teacher of ")[0].removesuffix("+")


def name_of_width(width: float) -> str:
    """A width as text: 1/3 is one width, however many digits it has."""
    return f"{width:.4g}"


class Journal:
    """The rows of one result on their way to its file.

    Args:
        path: the result file, `x.json`.
        reuse: whether rows of an earlier run may be taken over.

    Attributes:
        wanted: whether a row of an earlier run is as good as a new one (a picture may have to be made again).
        earlier: `timing` of the runs that computed the rows of a finished file; known after `begin`.
        notice: why an earlier run's rows are of no use, where there is one; known after `begin`.
    """

    def __init__(self, path: Path, *, reuse: bool = True) -> None:
        self.result_path = path
        self.path = path.with_suffix(".partial.jsonl")
        self.reuse = reuse
        self.wanted: Callable[[Row], bool] = lambda row: True
        self.earlier: list[dict[str, Any]] = []
        self.notice = ""

    def keep(self, wanted: Collection[tuple[str, str, str]], protocol: str) -> None:
        """Refuse to replace results that this run will not find again.

        Args:
            wanted: set, `plain` model and `name_of_width` of what it will find.
            protocol: description of its protocol.

        Raises:
            InputError: the result file holds others, or is not ours.
        """
        if not (self.reuse and self.result_path.exists()):
            return
        old = read_result(self.result_path)
        found = {(row.set, plain(row.model), name_of_width(row.width)) for row in old.rows}
        lost = sorted(found - {*wanted})
        there = "{1} at width {2} on {0}".format(*lost[0]) if lost else ""
        if not lost and old.protocol.get("description") != protocol:
            there = f"figures of another protocol ({old.protocol.get('description')})"
        if there:
            raise InputError(
                f"{self.result_path} holds {there}, which this command would drop: ask for it too, choose another file "
                "(-o; --name of a sweep), or replace everything (--overwrite)."
            )

    def begin(self, result: Result) -> list[Row]:
        """Rows of earlier runs that hold for `result`; from now on rows can be added."""
        rows: dict[Key, Row] = {}
        for old, lines in (self._finished(), self._interrupted()) if self.reuse else ():
            changed = _changed(old, result) if lines else []
            if changed:
                self.notice = f"an earlier run's rows are computed anew: {', '.join(changed)} changed since."
            else:
                found = (row for row in lines if _same_origin(row, old, result) and self.wanted(row))
                rows.update({key_of(row): row for row in found})
                timing = dict(old.get("timing", {}))
                self.earlier += timing.pop("earlier", [])
                self.earlier += [timing] if timing.get("network_seconds") else []
        header = {
            "protocol": result.protocol.record(),
            "environment": result.environment,
            "tile": result.tile,
            "lpips": result.lpips,
            "models": result.models,
            "sets": result.sets,
        }
        atomic_write_text(self.path, "".join(f"{_line(entry)}\n" for entry in (header, *map(flat, rows.values()))))
        return list(rows.values())

    def add(self, row: Row) -> None:
        """Keep a row; it is on the disk when this returns."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{_line(flat(row))}\n")

    def close(self) -> None:
        """The result file is written: the journal has done its work."""
        self.path.unlink(missing_ok=True)

    def _finished(self) -> tuple[dict[str, Any], list[Row]]:
        try:
            rows = read_result(self.result_path).rows
            return json.loads(self.result_path.read_text(encoding="utf-8")), rows
        except (OSError, InputError):  # none, or damaged and given up by --overwrite
            return {}, []

    def _interrupted(self) -> tuple[dict[str, Any], list[Row]]:
        try:
            lines = self.path.read_text(encoding="utf-8").split("\n")[:-1]  # the last line may be half a line
            header, *rows = [json.loads(line) for line in lines]
            return header, [_row(line) for line in rows]
        except (OSError, ValueError, KeyError, TypeError):
            return {}, []


def _row(line: dict[str, Any]) -> Row:
    metrics = {name: value for name, value in line.items() if name not in (*_FIELDS, "identical")}
    fields = {name: line[name] for name in _FIELDS}
    return Row(**fields, metrics={name: math.inf if value is None else value for name, value in metrics.items()})


def _changed(header: dict[str, Any], result: Result) -> list[str]:
    """What figures rest on that was otherwise in an earlier run."""
    now = {
        "protocol": result.protocol.record(),
        "tile": result.tile,
        "lpips": result.lpips,
        **{name: result.environment.get(name) for name in _SAME},
    }
    then = {**header, **header.get("environment", {})}
    return [name for name, value in json.loads(_line(now)).items() if value != then.get(name)]


def _same_origin(row: Row, header: dict[str, Any], result: Result) -> bool:
    """Whether the row's model and set are there, then and now, as the same files."""

    def stamp(records: list[dict[str, Any]], name: str, mark: str) -> Any:
        return next((record.get(mark, "") for record in records if record.get("name") == name), None)

    weights = stamp(result.models, row.model, "sha256")
    files = stamp(result.sets, row.set, "stamp")
    return (
        bool(weights or row.model == BICUBIC)
        and weights == stamp(header.get("models", []), row.model, "sha256")
        and bool(files)
        and files == stamp(header.get("sets", []), row.set, "stamp")
    )


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False, allow_nan=False)
