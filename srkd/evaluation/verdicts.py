"""Comparisons in words and tables: for the console, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from srkd.atomic import atomic_write_text
from srkd.evaluation.compare import LEVEL, Comparison
from srkd.evaluation.results import BICUBIC
from srkd.evaluation.statistics import Estimate, spread
from srkd.evaluation.tables import metric_text
from srkd.types import InputError

SCHEMA = 1
FEW = 20
"""Fewer images than these are said to be few."""


def sentence(item: Comparison) -> str:
    """The verdict on one comparison, with the figures it rests on."""
    start = f"{item.set}: "
    if item.verdict == "identical":
        return f"{start}{item.arm} and {item.baseline} are identical in {item.metric} on all {_images(item.n)}."
    if item.difference is None:
        return f"{start}no difference shown between {item.arm} and {item.baseline}: no {item.metric} is finite."
    figures = f"{interval_text(item.difference, item.metric)}, {_images(item.n - len(item.infinite))}"
    if item.verdict == "no difference shown":
        found = f"no difference shown between {item.arm} and {item.baseline}: {_signed(item)} ({figures})"
    else:
        by = with_unit(item.metric, abs(item.difference.mean))
        found = f"{item.arm} is {item.verdict} than {item.baseline} by {by} ({figures})"
    return f"{start}{found}{''.join(f'; {clause}' for clause in _clauses(item))}."


def notes(comparisons: Sequence[Comparison]) -> list[str]:
    """What must be known beside the verdicts, each thing once."""
    found: list[str] = []
    lacking: dict[str, dict[str, None]] = {}
    infinite: dict[str, dict[str, None]] = {}
    for item in comparisons:
        pair = f"{item.arm} and {item.baseline}"
        lacking.setdefault(pair, {}).update(dict.fromkeys(item.left_out))
        if item.verdict != "identical":
            infinite.setdefault(f"{pair}: {item.metric}", {}).update(dict.fromkeys(item.infinite))
    found += [
        f"{pair}: left out, as one side lacks it: {_listed(list(names))}" for pair, names in lacking.items() if names
    ]
    found += [
        f"{pair} is infinite for {_listed(list(names))}: in the sign test, but in no mean"
        for pair, names in infinite.items()
        if names
    ]
    single = [
        label
        for item in comparisons
        if item.seeds and item.verdict != "identical"
        for label, runs in ((item.baseline, item.seeds.baseline), (item.arm, item.seeds.arm))
        if len(runs) == 1 and label != BICUBIC
    ]
    if single:
        found.append(
            f"one run of {', '.join(dict.fromkeys(single))}: this compares trained networks; what another seed would "
            "change is not known"
        )
    if len(comparisons) > 1 and any(item.verdict != "identical" for item in comparisons):
        found.append(
            f"{len(comparisons)} comparisons: verdicts are after Holm's correction for them, intervals for each alone"
        )
    return found


def headings(comparisons: Sequence[Comparison]) -> list[str]:
    """Column headings of the table; the first two columns and the last are text."""
    metric = comparisons[0].metric.upper()
    return [
        "set",
        "arm – baseline",
        metric,
        "baseline",
        "difference",
        "95 % interval",
        "better on",
        "sign test",
        *(["over runs: arm", "baseline", "95 % interval"] if _any_seeds(comparisons) else []),
        "verdict",
    ]


def cells(item: Comparison, comparisons: Sequence[Comparison]) -> list[str]:
    """One line of the table of `comparisons` as text."""
    baseline, arm = item.means or (None, None)
    return [
        item.set,
        f"{item.arm} – {item.baseline}",
        metric_text(item.metric, arm),
        metric_text(item.metric, baseline),
        _signed(item, unit=False),
        _range(item.difference, item.metric),
        f"{item.signs.better} of {item.n}",
        f"p = {item.signs.p:.2g}",
        *(_seed_cells(item) if _any_seeds(comparisons) else []),
        item.verdict,
    ]


def to_markdown(comparisons: Sequence[Comparison], *, protocol: str, left_over: Sequence[str] = ()) -> str:
    """Table, verdicts, notes; `protocol` in one line, `left_over` are further notes."""
    header = headings(comparisons)
    lines = [
        f"| {' | '.join(header)} |",
        f"|---|---|{'---:|' * (len(header) - 3)}---|",
        *(f"| {' | '.join(cells(item, comparisons))} |" for item in comparisons),
        "",
        *(f"- {sentence(item)}" for item in comparisons),
        "",
        *(f"Note: {note}.  " for note in (*notes(comparisons), *left_over)),
        f"Protocol {protocol}.",
    ]
    return "\n".join(lines) + "\n"


def to_json(comparisons: Sequence[Comparison], *, protocol: str, left_over: Sequence[str] = ()) -> str:
    """`{schema, kind: comparison, protocol, comparisons, notes}`; each has the keys of `Comparison`, and `text`."""
    content = {
        "schema": SCHEMA,
        "kind": "comparison",
        "protocol": protocol,
        "comparisons": [{**asdict(item), "text": sentence(item)} for item in comparisons],
        "notes": [*notes(comparisons), *left_over],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_comparison(
    path: Path, comparisons: Sequence[Comparison], *, protocol: str, left_over: Sequence[str] = ()
) -> None:
    """Write `path` atomically, as its suffix says."""
    writer = _WRITERS[comparison_path(path).suffix]
    atomic_write_text(path, writer(comparisons, protocol=protocol, left_over=left_over))


def comparison_path(path: Path) -> Path:
    """Check the name of a file for comparisons.

    Raises:
        InputError: it ends in neither .json nor .md.
    """
    if path.suffix not in _WRITERS:
        raise InputError(f"a comparison is written to a file that ends in {' or '.join(_WRITERS)}, not to {path}.")
    return path


_WRITERS = {".json": to_json, ".md": to_markdown}


def with_unit(metric: str, value: float) -> str:
    """`0.048 dB`, `0.0021`; small values with two digits that mean something."""
    return f"{_digits(metric, value)}{' dB' if 'psnr' in metric.lower() else ''}"


def interval_text(estimate: Estimate, metric: str) -> str:
    """`95 % interval 0.031 … 0.065`, or that there is none."""
    return "no interval" if estimate.low is None else f"95 % interval {_range(estimate, metric)}"


def _clauses(item: Comparison) -> list[str]:
    """What belongs to the verdict: few images, what the runs say, and why a difference is not shown after all."""
    clauses: list[str] = []
    estimate, runs = item.difference, item.seeds and item.seeds.difference
    finite = item.n - len(item.infinite)
    if finite < FEW:
        clauses.append(f"{'one image is' if finite == 1 else f'{finite} images are'} few (below {FEW})")
    if item.seeds and runs:
        both = " and ".join(
            f"{_plus_minus(values, item.metric)} ({len(values)} runs of {label})"
            for label, values in ((item.arm, item.seeds.arm), (item.baseline, item.seeds.baseline))
        )
        exceeds = "exceeds both spreads" if item.seeds.exceeds_both else "does not exceed both spreads"
        clauses.append(f"over runs {both}, {interval_text(runs, item.metric)}: the difference {exceeds}")
    if estimate and item.verdict == "no difference shown" and estimate.p < LEVEL:
        if runs and runs.p >= LEVEL:
            clauses.append("the images show a difference, the runs do not")
        else:
            clauses.append(f"only without the correction for {item.looks} comparisons would there be one")
    elif item.verdict == "no difference shown" and item.n == max(item.signs.better, item.signs.worse) > 1:
        clauses.append(f"yet {'better' if item.signs.better else 'worse'} on all {item.n}")
    more, fewer = max(item.signs.better, item.signs.worse), min(item.signs.better, item.signs.worse)
    against = item.signs.worse if item.verdict == "better" else item.signs.better
    if item.verdict in ("better", "worse") and against == more > fewer:
        clauses.append(
            f"yet {'worse' if item.verdict == 'better' else 'better'} on {against} of {item.n}: few images decide"
        )
    return clauses


def _seed_cells(item: Comparison) -> list[str]:
    if item.seeds is None:
        return ["–"] * 3
    values = [_plus_minus(runs, item.metric) for runs in (item.seeds.arm, item.seeds.baseline)]
    return [*values, _range(item.seeds.difference, item.metric)]


def _any_seeds(comparisons: Sequence[Comparison]) -> bool:
    return any(item.seeds and max(len(item.seeds.arm), len(item.seeds.baseline)) > 1 for item in comparisons)


def _plus_minus(values: Sequence[float], metric: str) -> str:
    deviation = spread(values)
    middle = metric_text(metric, sum(values) / len(values))
    return middle if deviation is None else f"{middle} ± {_digits(metric, deviation)}"


def _signed(item: Comparison, *, unit: bool = True) -> str:
    if item.difference is None:
        return "–"
    value = item.difference.mean
    return ("+" if value > 0 else "") + (with_unit if unit else _digits)(item.metric, value)


def _range(estimate: Estimate | None, metric: str) -> str:
    if estimate is None or estimate.low is None or estimate.high is None:
        return "–"
    return f"{_digits(metric, estimate.low)} … {_digits(metric, estimate.high)}"


def _digits(metric: str, value: float) -> str:
    places = 3 if "psnr" in metric.lower() else 4
    return f"{value:.{places}f}" if value == 0 or abs(value) >= 10 ** (1 - places) else f"{value:.2g}"


def _images(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
