"""Rows on the disk as they are found, so that a run that was interrupted goes on, and a finished one is not repeated.

Beside `x.json` stands `x.partial.jsonl` while a run goes on: what the numbers rest on in the first line, then a row a
line. A row of either file is taken over where model (by its checksum, runtime and precision), set (by its files' names,
sizes and times), columns, protocol, windows, LPIPS, versions, sources, hardware and threads are those of the new run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from srkd.atomic import atomic_write_text
from srkd.evaluation.result import BICUBIC, Key, Result, Row, flat, key_of, parse_result, read_result
from srkd.types import InputError

_MADE_BY = ("sha256", "runtime", "runtime_version", "precision")
_SAME = ("srkd_version", "sources", "torch", "device", "hardware", "threads", "precision")


def plain(model: str) -> str:
    """A model's name without the plus of self-ensemble, or whose teacher it is: there may be one student more."""
    return model.partition(" (teacher of ")[0].removesuffix("+")


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

    def keep(self, wanted: Collection[Key], columns: Collection[str], protocol: str) -> None:
        """Refuse to replace results that this run will not find again, finished ones and those of an interrupted run.

        Args:
            wanted: set, image, `plain` model and width of what it will find.
            columns: names of its metrics.
            protocol: description of its protocol.

        Raises:
            InputError: a file holds others, or the result file is not ours.
        """
        known = {(*key[:3], f"{key[3]:.4g}") for key in wanted}
        finished = read_result(self.result_path) if self.reuse and self.result_path.exists() else None
        for old in (finished, self._interrupted() if self.reuse else None):
            if old is None or not old.rows:
                continue
            found = [(row.set, row.image, plain(row.model), f"{row.width:.4g}") for row in old.rows]
            lost = [key for key in found if key not in known]
            columns_lost = [name for name in old.columns() if name not in columns and name not in old.missing]
            if lost:
                of_image = {key[:1] + key[2:] for key in lost} <= {key[:1] + key[2:] for key in known}
                there = f"{len(lost)} of its {len(found)} rows: {lost[0][2]} at width {lost[0][3]} on {lost[0][0]}"
                there += f"/{lost[0][1]}" if of_image else ""
            elif columns_lost:
                there = f"the column {columns_lost[0].upper()}"
            elif old.protocol["description"] != protocol:
                there = f"numbers of another protocol ({old.protocol['description']})"
            else:
                continue
            raise InputError(
                f"{old.path} holds {there}, which this command would drop: ask for it too, choose another file "
                "(-o; --name of a sweep), or replace everything (--overwrite)."
            )

    def begin(self, result: Result, columns: Collection[str]) -> dict[Key, Row]:
        """Rows of earlier runs that hold for `result`, which will have `columns`; from now on rows can be added."""
        rows: dict[Key, Row] = {}
        for old in (self._finished(), self._interrupted()) if self.reuse else ():
            if old is None:
                continue
            changed = _changed(old, result)
            if changed and old.rows:
                self.notice = f"an earlier run's rows are computed anew: {', '.join(changed)} changed since."
            elif not changed:
                found = (row for row in old.rows if _same_origin(row, old, result) and self.wanted(row))
                rows.update({key_of(row): row for row in found if row.metrics.keys() == set(columns)})
                timing = dict(old.timing)
                self.earlier += timing.pop("earlier", [])
                self.earlier += [timing] if timing.get("network_seconds") else []
        header = json.loads(result.to_json())
        header = {**header, "rows": [], "summary": [], "failures": []}
        atomic_write_text(self.path, "".join(f"{_line(entry)}\n" for entry in (header, *map(flat, rows.values()))))
        return rows

    def add(self, row: Row) -> None:
        """Keep a row; it is on the disk when this returns."""
        with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{_line(flat(row))}\n")

    def close(self) -> None:
        """The result file is written: the journal has done its work."""
        self.path.unlink(missing_ok=True)

    def _finished(self) -> Result | None:
        try:
            return read_result(self.result_path)
        except InputError:  # none, or damaged and given up by --overwrite
            return None

    def _interrupted(self) -> Result | None:
        try:
            header, *rows = self.path.read_text(encoding="utf-8").split("\n")[:-1]  # the last line may be half a line
            text = f'{header.removesuffix("}")}, "rows": [{", ".join(rows)}]}}'  # the last of two equal keys counts
            return parse_result(text, self.path)
        except (OSError, ValueError):
            return None


def _changed(old: Result, new: Result) -> list[str]:
    """What numbers rest on that was otherwise in an earlier run."""
    then, now = json.loads(_line(_grounds(old))), json.loads(_line(_grounds(new)))
    return [name for name, value in now.items() if value != then[name]]


def _grounds(result: Result) -> dict[str, Any]:
    own = {name: result.environment.get(name) for name in _SAME}
    return {"protocol": result.protocol, "tile": result.tile, "lpips": result.lpips, **own}


def _same_origin(row: Row, old: Result, new: Result) -> bool:
    """Whether the row's model and set are there, then and now, as the same files."""

    def stamp(result: Result) -> str:
        return next((record.get("stamp", "") for record in result.sets if record.get("name") == row.set), "")

    now, then = ([result.record(row.model).get(name) for name in _MADE_BY] for result in (new, old))
    return (row.model == BICUBIC or bool(now[0])) and now == then and stamp(new) == stamp(old) != ""


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False, allow_nan=False)
