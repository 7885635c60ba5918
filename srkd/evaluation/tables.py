"""Results as files and tables: JSON, CSV with a line for each image, Markdown and LaTeX; all written atomically."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from srkd.atomic import atomic_write_text
from srkd.evaluation.result import Result, Summary
from srkd.table import Cell, Column, Table, table
from srkd.types import InputError


def write_result(path: str | Path, result: Result) -> list[Path]:
    """Write `path` (.json), and beside it .csv, .md and .tex with the same stem; returns the four paths."""
    path = result_path(path)
    texts = {
        ".json": result.to_json(),
        ".csv": rows_of(result).csv(),
        ".md": to_markdown(result),
        ".tex": "% " + "\n% ".join(notes(result)) + "\n" + summary_of(result).latex(),
    }
    for suffix, text in texts.items():
        atomic_write_text(path.with_suffix(suffix), text)
    return [path.with_suffix(suffix) for suffix in texts]


def result_path(path: str | Path) -> Path:
    """Check the name of a result file.

    Raises:
        InputError: it does not end in `.json`.
    """
    path = Path(path)
    if path.suffix != ".json":
        raise InputError(f"the result file {path} must end in .json; .csv, .md and .tex are written beside it.")
    return path


def rows_of(result: Result) -> Table:
    """A row for each image, model and width."""
    names = result.columns()
    columns = [Column(name) for name in ("set", "image", "model", "width", *names, "seconds")]
    rows: list[Sequence[Cell]] = [
        [row.set, row.image, row.model, row.width, *map(row.metrics.get, names), row.seconds] for row in result.rows
    ]
    return Table(columns, rows)


def summary_of(result: Result) -> Table:
    """A row for each set, model and width: means, and what they cost."""
    cells: list[tuple[Column, Callable[[Summary], Cell]]] = [
        (Column("set", "name"), lambda item: item.set),
        (Column("model", "name"), lambda item: item.model),
        (Column("width"), lambda item: f"{item.width:.4g}"),
    ]
    for name in result.columns():
        metric, reason = result.metric(name), result.missing.get(name)
        column = Column(name.upper(), digits=metric.digits, best="lowest" if metric.lower_better else "highest")
        why = None if reason is None else f"– ({reason.partition(':')[0]})"
        cells.append((column, lambda item, name=name, why=why: why if why and item.n else item.metrics.get(name)))
    cells += [
        (Column("parameters", "optional", short=True), lambda item: item.params or None),
        (Column("multi-adds", "optional", short=True), lambda item: item.multi_adds or None),
        (Column("ms/image", "optional", digits=1), lambda item: None if item.seconds is None else item.seconds * 1000),
    ]
    more: list[tuple[Column, Callable[[Summary], Cell]]] = [
        (Column("runs in", "optional"), lambda item: _runs_in(result.record(item.model))),
        (Column("file", "optional", digits=0, unit="KB"), lambda item: _kilobytes(result, item)),
        (Column("peak", "optional", digits=1, unit="MiB"), lambda item: item.peak_bytes and item.peak_bytes / 2**20),
    ]
    cells += [(column, cell) for column, cell in more if {*map(cell, result.summary)} - {None, "", "torch fp32"}]
    if any(item.n < item.n_expected for item in result.summary):
        cells.append((Column("images", "optional"), lambda item: f"{item.n} of {item.n_expected}"))
    return table(result.summary, cells, group="set")


def _runs_in(record: Mapping[str, Any]) -> str:
    """Runtime and precision; empty for bicubic interpolation."""
    return f"{record.get('runtime', 'torch')} {record.get('precision', 'fp32')}" if record.get("network") else ""


def _kilobytes(result: Result, item: Summary) -> float | None:
    """Of the file that was measured, where it was measured whole."""
    size = result.record(item.model).get("file_bytes")
    return size / 1024 if isinstance(size, int) and item.width == 1 else None


def to_markdown(result: Result) -> str:
    """The summary as a table, with the protocol, the machine and the images left out under it."""
    machine, memory = result.environment, "and peak memory " * any(item.peak_bytes for item in result.summary)
    lines = [
        summary_of(result).markdown(),
        "",
        *notes(result),
        f"srkd {machine['srkd_version']}, torch {machine['torch']}, {machine['hardware']} ({machine['device']}), "
        f"{machine['threads']} threads; multi-adds {memory}are for a 1280 × 720 output.",
        *(f"- left out: {item.set}/{item.image} {item.model}: {item.reason}" for item in result.failures),
    ]
    return "\n".join(lines) + "\n"


def notes(result: Result) -> list[str]:
    """What belongs under every table, a line each: the protocol, columns without numbers, and warnings."""
    windows = "" if result.tile == 0 else f", networks in windows (tile {result.tile})"
    lpips = [] if result.lpips is None or "lpips" in result.missing else [result.lpips["backbone"]]
    return [
        f"Protocol {result.protocol['description']}{windows}.",
        *(f"LPIPS 0.1 with {backbone}: RGB, the same border, lower is closer." for backbone in lpips),
        *(f"{name.upper()} has no numbers: {reason}." for name, reason in result.missing.items()),
        *(f"Warning: {line}" for line in result.warnings),
    ]


def time_spent(result: Result) -> list[str]:
    """Where the time of a run went, in a line; none where no time was taken."""
    timing = result.timing
    if not timing:
        return []
    reused, workers = timing["reused_rows"], timing["workers"]
    earlier = f" {reused} of {len(result.rows)} rows are from an earlier run (--overwrite computes them anew)."
    threads = f"{workers} thread{'s' if workers > 1 else ''}"
    return [
        f"{timing['wall_seconds']:.1f} s: network {timing['network_seconds']:.1f} s, metrics "
        f"{timing['metrics_seconds']:.1f} s in {threads} beside it ({timing['metrics_share']:.0%} of the work), "
        f"reading {timing['reading_seconds']:.1f} s.{earlier if reused else ''}"
    ]
