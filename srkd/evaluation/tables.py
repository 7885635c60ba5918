"""Result files: JSON (schema 1), CSV with a line for each image, and a Markdown table; each written atomically."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from srkd.atomic import atomic_write_text
from srkd.evaluation.benchmark import Result
from srkd.evaluation.results import SCHEMA, Row, Summary
from srkd.types import InputError


def write_result(path: str | Path, result: Result) -> list[Path]:
    """Write `path` (.json), and beside it .csv and .md with the same stem; returns the three paths."""
    path = result_path(path)
    texts = {".json": to_json(result), ".csv": to_csv(result), ".md": to_markdown(result)}
    paths = [path.with_suffix(suffix) for suffix in texts]
    for file, text in zip(paths, texts.values(), strict=True):
        atomic_write_text(file, text)
    return paths


def result_path(path: str | Path) -> Path:
    """Check the name of a result file.

    Raises:
        InputError: it does not end in `.json`.
    """
    path = Path(path)
    if path.suffix != ".json":
        raise InputError(f"the result file {path} must end in .json; .csv and .md are written beside it.")
    return path


def to_json(result: Result) -> str:
    """Schema 1: `{schema, models, protocol, environment, rows, summary, failures}`.

    An infinite PSNR is `null`, with `"identical": true` beside it.
    """
    content = {
        "schema": SCHEMA,
        "models": result.models,
        "protocol": result.protocol.record(),
        "environment": result.environment,
        "rows": [_flat(row) for row in result.rows],
        "summary": [_flat(summary) for summary in result.summary],
        "failures": [asdict(failure) for failure in result.failures],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(result: Result) -> str:
    """One line for each row; an infinite PSNR is `inf`."""
    metrics = metric_names(result)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["set", "image", "model", "width", *metrics, "seconds"])
    for row in result.rows:
        values = [row.metrics.get(name, "") for name in metrics]
        writer.writerow([row.set, row.image, row.model, row.width, *values, "" if row.seconds is None else row.seconds])
    return text.getvalue()


def to_markdown(result: Result) -> str:
    """The summary as a table, with the protocol, the machine and the images left out under it."""
    header = headings(result)
    lines = [
        f"| {' | '.join(header)} |",
        f"|{'---|' * 2}{'---:|' * (len(header) - 2)}",
        *(f"| {' | '.join(cells(summary, result))} |" for summary in result.summary),
        "",
        f"Protocol {result.protocol.describe()}.",
    ]
    machine = result.environment
    lines.append(
        f"srkd {machine['srkd_version']}, torch {machine['torch']}, {machine['hardware']} ({machine['device']}), "
        f"{machine['threads']} threads; multi-adds are for a 1280 × 720 output."
    )
    lines += [f"- left out: {item.set}/{item.image} {item.model}: {item.reason}" for item in result.failures]
    return "\n".join(lines) + "\n"


def headings(result: Result) -> list[str]:
    """Column headings of the summary table."""
    return [
        "set",
        "model",
        "width",
        *(name.upper() for name in metric_names(result)),
        "parameters",
        "multi-adds",
        "ms/image",
        *(["images"] if _incomplete(result) else []),
    ]


def cells(summary: Summary, result: Result) -> list[str]:
    """One line of the summary table as text."""
    return [
        summary.set,
        summary.model,
        f"{summary.width:.4g}",
        *(metric_text(name, summary.metrics.get(name)) for name in metric_names(result)),
        _count(summary.params),
        _count(summary.multi_adds),
        "–" if summary.seconds is None else f"{summary.seconds * 1000:.1f}",
        *([f"{summary.n} of {summary.n_expected}"] if _incomplete(result) else []),
    ]


def metric_names(result: Result) -> list[str]:
    """Names of the metrics in the result, in the protocol's order."""
    return list(dict.fromkeys(name for row in result.rows for name in row.metrics))


def metric_text(name: str, value: float | None) -> str:
    """A metric with the digits that mean something: dB to 0.001, everything else to 0.0001."""
    if value is None:
        return "–"
    if math.isinf(value):
        return "identical"
    return f"{value:.3f}" if "psnr" in name.lower() else f"{value:.4f}"


def _count(value: int | None) -> str:
    if not value:
        return "–"
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if value >= size:
            return f"{value / size:.4g} {unit}"
    return str(value)


def _incomplete(result: Result) -> bool:
    return any(summary.n < summary.n_expected for summary in result.summary)


def _flat(item: Row | Summary) -> dict[str, Any]:
    """Metrics beside the other values, and the infinite ones as null."""
    entry = asdict(item)
    metrics: dict[str, float] = entry.pop("metrics")
    finite = {name: None if math.isinf(value) else value for name, value in metrics.items()}
    return {**entry, **finite, **({"identical": True} if math.inf in metrics.values() else {})}
