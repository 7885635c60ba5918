"""Comparisons in words and as a table: for the console, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from srkd.atomic import atomic_write_text
from srkd.evaluation.compare import Comparison
from srkd.evaluation.result import BICUBIC
from srkd.evaluation.statistics import LEAST, LEVEL, Estimate, deviation, power, seeds_needed
from srkd.metrics.metric import Metric
from srkd.table import Column, Table
from srkd.types import InputError

SCHEMA = 2
FEW = 20
"""Fewer images than these are said to be few."""
EFFECT = 0.05
"""dB whose power is told unless another effect is asked for."""


def sentence(item: Comparison) -> str:
    """The verdict on one comparison, with the numbers it rests on."""
    start = f"{item.set}: "
    if item.verdict == "identical":
        return f"{start}{item.arm} and {item.baseline} are identical in {item.metric} on all {_images(item.n)}."
    if item.difference is None:
        return f"{start}no difference shown between {item.arm} and {item.baseline}: no {item.metric} is finite."
    numbers = ", ".join([_interval(item.difference, item.kind), *_counts(item)])
    if item.verdict == "no difference shown":
        found = f"no difference shown between {item.arm} and {item.baseline}: {_signed_unit(item)} ({numbers})"
    else:
        by = item.kind.with_unit(item.kind.difference(abs(item.difference.mean)))
        found = f"{item.arm} is {item.verdict} than {item.baseline} by {by} ({numbers})"
    return f"{start}{found}{''.join(f'; {clause}' for clause in _clauses(item))}."


def power_sentence(item: Comparison, effect: float) -> str:
    """How likely `effect` is to be shown with these seeds and images, and how many seeds would do."""
    start = f"{item.set}: {item.arm} and {item.baseline}: "
    by = item.kind.with_unit(f"{effect:g}")
    if item.spread is None:
        return f"{start}the power is not known: it takes two images and two seeds of both."
    seeds = min(count for count, _, _ in item.spread.sides)
    found = power(item.spread, effect)
    needed = seeds_needed(item.spread, effect)
    enough = "no number of seeds up to 100 does" if needed is None else f"{needed} seeds do"
    return (
        f"{start}a true difference of {by} would be shown in {found:.0%} of such comparisons ({seeds} seeds, "
        f"{_images(item.spread.images)}, no other arm beside it); for 80 % {enough}."
    )


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
    different = [item for item in comparisons if item.seeds and item.verdict != "identical"]
    found += _seed_notes(different)
    largest = max((item.looks for item in different), default=0)
    if largest > 1:
        found.append(
            f"{largest} arms are compared on a set: verdicts are after Holm's correction for them, intervals are of "
            "each alone"
        )
    return found


def _seed_notes(comparisons: Sequence[Comparison]) -> list[str]:
    """How the runs of both sides belong together, and what cannot be known without them."""
    found: list[str] = []
    pairs: dict[str, dict[str, None]] = {}
    single: dict[str, None] = {}
    for item in comparisons:
        assert item.seeds is not None
        pairs.setdefault(item.seeds.pairing, {})[f"{item.arm} and {item.baseline}"] = None
        sides = ((item.baseline, item.seeds.baseline), (item.arm, item.seeds.arm))
        single |= {label: None for label, runs in sides if len(runs) == 1 and label != BICUBIC}
    if "recorded" in pairs:
        found.append(f"seeds are paired, as recorded: {_listed(list(pairs['recorded']))}")
    if "by name" in pairs:
        found.append(
            f"seeds are paired by the names of the runs (_seed0, …), as nothing else is recorded: "
            f"{_listed(list(pairs['by name']))}"
        )
    if "none" in pairs:
        found.append(f"seeds are not paired, so the runs count as independent (Welch): {_listed(list(pairs['none']))}")
    if single:
        found.append(
            f"one run of {', '.join(single)}: this compares trained networks; what another seed would change is not "
            "known"
        )
    return found


def table_of(comparisons: Sequence[Comparison]) -> Table:
    """A row for each comparison."""
    kind = comparisons[0].kind
    name = comparisons[0].metric.upper()
    several = any(item.seeds and max(len(item.seeds.arm), len(item.seeds.baseline)) > 1 for item in comparisons)
    columns = [
        Column("set", "name"),
        Column("arm", "name"),
        Column("baseline", "name"),
        Column("difference", "number", unit=kind.unit),
        Column("95 % interval", "number"),
        Column("verdict", "name"),
        Column(name, "optional", digits=kind.digits),
        Column(f"{name} of baseline", "optional", digits=kind.digits),
        *([Column("seed by seed", "optional")] if several else []),
        Column("better on", "optional"),
        Column("p", "optional"),
    ]
    return Table(columns, [_row(item, several) for item in comparisons], group="set")


def _row(item: Comparison, several: bool) -> list[str | float | None]:
    baseline, arm = item.means or (None, None)
    kind = item.kind
    return [
        item.set,
        item.arm,
        item.baseline,
        _signed(item.difference.mean, kind) if item.difference else None,
        interval_text(item.difference, kind),
        item.verdict,
        arm,
        baseline,
        *([seed_by_seed(item) or "–"] if several else []),
        f"{item.signs.better} of {item.n}",
        f"{item.p:.2g}",
    ]


def seed_by_seed(item: Comparison) -> str:
    """The difference of each seed; of runs that are not paired mean ± deviation of both arms."""
    if item.seeds is None or max(len(item.seeds.arm), len(item.seeds.baseline)) == 1:
        return ""
    if item.seeds.differences:
        return " ".join(f"{value:+.{item.kind.digits}f}" for value in item.seeds.differences)
    return " against ".join(_plus_minus(runs, item.kind) for runs in (item.seeds.arm, item.seeds.baseline))


def to_markdown(
    comparisons: Sequence[Comparison], *, protocol: str, left_over: Sequence[str] = (), effect: float | None = None
) -> str:
    """Table, verdicts, notes; `protocol` in one line, `left_over` are further notes, `effect` has its power told."""
    lines = [
        table_of(comparisons).markdown(),
        "",
        *(f"- {sentence(item)}" for item in comparisons),
        *([] if effect is None else ["", *(f"- {power_sentence(item, effect)}" for item in comparisons)]),
        "",
        *(f"Note: {note}.  " for note in (*notes(comparisons), *left_over)),
        f"Protocol {protocol}.",
    ]
    return "\n".join(lines) + "\n"


def to_json(
    comparisons: Sequence[Comparison], *, protocol: str, left_over: Sequence[str] = (), effect: float | None = None
) -> str:
    """`{schema, kind: comparison, protocol, comparisons, notes}`; each has the keys of `Comparison`, and `text`."""
    content = {
        "schema": SCHEMA,
        "kind": "comparison",
        "protocol": protocol,
        "comparisons": [{**asdict(item), "text": sentence(item), **_power(item, effect)} for item in comparisons],
        "notes": [*notes(comparisons), *left_over],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _power(item: Comparison, effect: float | None) -> dict[str, object]:
    if effect is None:
        return {}
    if item.spread is None:
        return {"power": None}
    needed = seeds_needed(item.spread, effect)
    return {"power": {"effect": effect, "value": power(item.spread, effect), "seeds_for_80_percent": needed}}


def write_comparison(
    path: Path,
    comparisons: Sequence[Comparison],
    *,
    protocol: str,
    left_over: Sequence[str] = (),
    effect: float | None = None,
) -> None:
    """Write `path` atomically, as its suffix says."""
    writer = _WRITERS[comparison_path(path).suffix]
    atomic_write_text(path, writer(comparisons, protocol=protocol, left_over=left_over, effect=effect))


def comparison_path(path: Path) -> Path:
    """Check the name of a file for comparisons.

    Raises:
        InputError: it ends in neither .json nor .md.
    """
    if path.suffix not in _WRITERS:
        raise InputError(f"a comparison is written to a file that ends in {' or '.join(_WRITERS)}, not to {path}.")
    return path


_WRITERS = {".json": to_json, ".md": to_markdown}


def interval_text(estimate: Estimate | None, kind: Metric) -> str:
    """`0.031 … 0.065`, or – for none."""
    if estimate is None or estimate.low is None or estimate.high is None:
        return "–"
    return f"{kind.difference(estimate.low)} … {kind.difference(estimate.high)}"


def _interval(estimate: Estimate, kind: Metric) -> str:
    """The interval in words: of the test that decides, and that over images and seeds where it is another."""
    if estimate.low is None:
        return "no interval"
    text = f"95 % interval {interval_text(estimate, kind)}"
    if estimate.basis == "seeds" and estimate.crossed:
        low, high = estimate.crossed
        both = f"{kind.difference(low)} … {kind.difference(high)} over images and seeds"
        return f"{text} over the seeds, which decide; {both}"
    return text


def _counts(item: Comparison) -> list[str]:
    """How many images and seeds the interval is over."""
    counts = [_images(item.n - len(item.infinite))]
    if item.seeds and item.seeds.numbers:
        counts.append(f"{len(item.seeds.numbers)} paired seeds")
    elif item.seeds and max(len(item.seeds.arm), len(item.seeds.baseline)) > 1:
        counts.append(f"{len(item.seeds.arm)} and {len(item.seeds.baseline)} runs")
    return counts


def _clauses(item: Comparison) -> list[str]:
    """What belongs to the verdict: seed by seed, few images or seeds, and what the signs say otherwise."""
    clauses: list[str] = []
    estimate, finite = item.difference, item.n - len(item.infinite)
    if text := seed_by_seed(item):
        clauses.append(f"seed by seed {text}" if item.seeds and item.seeds.differences else text)
    if finite < FEW:
        clauses.append(f"{'one image is' if finite == 1 else f'{finite} images are'} few (below {FEW})")
    fewest = min(len(item.seeds.arm), len(item.seeds.baseline)) if item.seeds else 0
    if item.seeds and item.seeds.pairing == "one run":
        fewest = max(len(item.seeds.arm), len(item.seeds.baseline))
    if 1 < fewest < LEAST:
        clauses.append(f"{fewest} seeds are too few for an interval: take {LEAST} or more")
    if estimate and item.verdict == "no difference shown" and estimate.p < LEVEL:
        clauses.append(f"only without the correction for {item.looks} arms would there be one")
    elif item.verdict == "no difference shown" and item.n == max(item.signs.better, item.signs.worse) > 1:
        clauses.append(f"yet {'better' if item.signs.better else 'worse'} on all {item.n}")
    more, fewer = max(item.signs.better, item.signs.worse), min(item.signs.better, item.signs.worse)
    against = item.signs.worse if item.verdict == "better" else item.signs.better
    if item.verdict in ("better", "worse") and against == more > fewer:
        clauses.append(
            f"yet {'worse' if item.verdict == 'better' else 'better'} on {against} of {item.n}: few images decide"
        )
    return clauses


def _plus_minus(values: Sequence[float], kind: Metric) -> str:
    spread = deviation(values)
    middle = kind.text(sum(values) / len(values))
    return middle if spread is None else f"{middle} ± {kind.difference(spread)}"


def _signed(value: float, kind: Metric) -> str:
    return ("+" if value > 0 else "") + kind.difference(value)


def _signed_unit(item: Comparison) -> str:
    assert item.difference is not None
    return item.kind.with_unit(_signed(item.difference.mean, item.kind))


def _images(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
