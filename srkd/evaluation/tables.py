"""Result files: JSON (schema 1), CSV with a line for each image, Markdown and LaTeX tables; all written atomically."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from srkd.atomic import atomic_write_text
from srkd.evaluation.results import Result, Row, Summary
from srkd.types import InputError

SCHEMA = 1


def write_result(path: str | Path, result: Result) -> list[Path]:
    """Write `path` (.json), and beside it .csv, .md and .tex with the same stem; returns the four paths."""
    path = result_path(path)
    texts = {".json": to_json(result), ".csv": to_csv(result), ".md": to_markdown(result), ".tex": to_latex(result)}
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
        raise InputError(f"the result file {path} must end in .json; .csv, .md and .tex are written beside it.")
    return path


def to_json(result: Result) -> str:
    """Schema 1: `{schema, models, protocol, …, rows, summary, failures}`, with the names of `Result`.

    An infinite PSNR is `null`, with `"identical": true` beside it.
    """
    content = {
        "schema": SCHEMA,
        "models": result.models,
        "protocol": result.protocol.record(),
        "environment": result.environment,
        "sets": result.sets,
        "tile": result.tile,
        "lpips": result.lpips,
        "missing": result.missing,
        "warnings": result.warnings,
        "timing": result.timing,
        "rows": [flat(row) for row in result.rows],
        "summary": [flat(summary) for summary in result.summary],
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
        *notes(result),
    ]
    machine = result.environment
    lines.append(
        f"srkd {machine['srkd_version']}, torch {machine['torch']}, {machine['hardware']} ({machine['device']}), "
        f"{machine['threads']} threads; multi-adds are for a 1280 × 720 output."
    )
    lines += [f"- left out: {item.set}/{item.image} {item.model}: {item.reason}" for item in result.failures]
    return "\n".join(lines) + "\n"


def to_latex(result: Result) -> str:
    """The summary as a table of the package booktabs; the best value of each set in bold, in every metric column."""
    names = metric_names(result)
    first = 3  # columns before the metrics: set, model, width
    lines = [
        "% " + "\n% ".join(notes(result)),
        f"\\begin{{tabular}}{{ll{'r' * (len(headings(result)) - 2)}}}",
        "\\toprule",
        " & ".join(map(escaped, headings(result))) + r" \\",
    ]
    for number, summary in enumerate(result.summary):
        if number == 0 or summary.set != result.summary[number - 1].set:
            lines.append(r"\midrule")
        texts = [escaped(text) for text in cells(summary, result)]
        for column, name in enumerate(names, first):
            if texts[column] == escaped(best(name, [other for other in result.summary if other.set == summary.set])):
                texts[column] = rf"\textbf{{{texts[column]}}}"
        lines.append(" & ".join(texts) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def best(name: str, summaries: Sequence[Summary]) -> str:
    """The best value of a metric as its text: the lowest LPIPS, the highest of any other; empty where there is none."""
    values = [summary.metrics[name] for summary in summaries if name in summary.metrics]
    return metric_text(name, (min if name == "lpips" else max)(values)) if values else ""


_ESCAPES = str.maketrans(
    {sign: rf"\{sign}" for sign in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--", "×": r"$\times$"}
)


def escaped(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return text.translate(_ESCAPES)


def notes(result: Result) -> list[str]:
    """What belongs under every table, a line each: the protocol, columns without figures, and warnings."""
    windows = "" if result.tile == 0 else f", networks in windows (tile {result.tile})"
    lpips = [] if result.lpips is None or "lpips" in result.missing else [result.lpips["backbone"]]
    return [
        f"Protocol {result.protocol.describe()}{windows}.",
        *(f"LPIPS 0.1 with {backbone}: RGB, the same border, lower is closer." for backbone in lpips),
        *(f"{name.upper()} has no figures: {reason}." for name, reason in result.missing.items()),
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
        *(_metric_cell(name, summary, result) for name in metric_names(result)),
        count_text(summary.params),
        count_text(summary.multi_adds),
        "–" if summary.seconds is None else f"{summary.seconds * 1000:.1f}",
        *([f"{summary.n} of {summary.n_expected}"] if _incomplete(result) else []),
    ]


def metric_names(result: Result) -> list[str]:
    """Names of the metrics in the result, in the protocol's order."""
    return list(dict.fromkeys([*(name for row in result.rows for name in row.metrics), *result.missing]))


def metric_text(name: str, value: float | None) -> str:
    """A metric with the digits that mean something: dB to 0.001, everything else to 0.0001."""
    if value is None:
        return "–"
    if math.isinf(value):
        return "identical"
    return f"{value:.3f}" if "psnr" in name.lower() else f"{value:.4f}"


def _metric_cell(name: str, summary: Summary, result: Result) -> str:
    if name in result.missing and summary.n:
        return f"– ({result.missing[name].partition(':')[0]})"  # the whole reason is among the notes
    return metric_text(name, summary.metrics.get(name))


def count_text(value: int | None) -> str:
    """A number with four digits and its unit; – for none."""
    if not value:
        return "–"
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if value >= size:
            return f"{value / size:.4g} {unit}"
    return str(value)


def _incomplete(result: Result) -> bool:
    return any(summary.n < summary.n_expected for summary in result.summary)


def flat(item: Row | Summary) -> dict[str, Any]:
    """Metrics beside the other values, and the infinite ones as null."""
    entry = asdict(item)
    metrics: dict[str, float] = entry.pop("metrics")
    finite = {name: None if math.isinf(value) else value for name, value in metrics.items()}
    return {**entry, **finite, **({"identical": True} if math.inf in metrics.values() else {})}
