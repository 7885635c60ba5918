"""Comparisons in words and as a table: for the console, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from srkd.atomic import atomic_write_text
from srkd.evaluation.compare import Comparison
from srkd.evaluation.result import BICUBIC
from srkd.evaluation.statistics import LEAST, LEVEL, Estimate, Spread, power, seeds_needed
from srkd.metrics.metric import Metric
from srkd.table import Cell, Column, Table, table
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
        signed = item.kind.with_unit(_signed(item.difference.mean, item.kind))
        found = f"no difference shown between {item.arm} and {item.baseline}: {signed} ({numbers})"
    else:
        by = item.kind.with_unit(item.kind.difference(abs(item.difference.mean)))
        found = f"{item.arm} is {item.verdict} than {item.baseline} by {by} ({numbers})"
    return f"{start}{found}{''.join(f'; {clause}' for clause in _clauses(item))}."


def power_sentence(item: Comparison, effect: float) -> str:
    """How likely `effect` is to be shown with these seeds and images, and how many seeds would do."""
    start = f"{item.set}: {_pair(item)}: "
    by = item.kind.with_unit(f"{effect:g}")
    if item.spread is None:
        return f"{start}the power is not known: it takes two images and two seeds of both."
    seeds = min(count for count, _, _ in item.spread.sides)
    found, needed = power(item.spread, effect), seeds_needed(item.spread, effect)
    enough = "no number of seeds up to 100 does" if needed is None else f"{needed} seeds do"
    return (
        f"{start}a true difference of {by} would be shown in {found:.0%} of such comparisons ({seeds} seeds, "
        f"{_images(item.spread.images)}, no other arm beside it); for 80 % {enough}."
    )


_PAIRED = {
    "recorded": "seeds are paired, as recorded",
    "by name": "seeds are paired by the names of the runs (_seed0, …), as nothing else is recorded",
    "none": "seeds are not paired, so the runs count as independent (Welch)",
}


def notes(comparisons: Sequence[Comparison]) -> list[str]:
    """What must be known beside the verdicts, each thing once."""
    different = [item for item in comparisons if item.verdict != "identical"]
    lacking = _by((_pair(item), item.left_out) for item in comparisons)
    infinite = _by((f"{_pair(item)}: {item.metric}", item.infinite) for item in different)
    paired = _by((item.seeds.pairing, [_pair(item)]) for item in different if item.seeds)
    single = dict.fromkeys(label for item in different for label in one_run(item))
    largest = max((item.looks for item in different if item.seeds), default=0)
    found = [f"{at}: left out, as one side lacks it: {_listed(names)}" for at, names in lacking.items()]
    found += [
        f"{at} is infinite for {_listed(names)}: in the sign test, but in no mean" for at, names in infinite.items()
    ]
    found += [f"{text}: {_listed(paired[kind])}" for kind, text in _PAIRED.items() if kind in paired]
    if single:
        found.append(
            f"one run of {', '.join(single)}: this compares trained networks and says nothing about other seeds; "
            "NAME=FILE,FILE or NAME=FOLDER makes several results the runs of one arm"
        )
    if largest > 1:
        found.append(
            f"{largest} arms are compared on a set: verdicts are after Holm's correction for them, intervals are of "
            "each alone"
        )
    return found


def _by(found: Iterable[tuple[str, Sequence[str]]]) -> dict[str, list[str]]:
    """What belongs to each name, each once; without names that nothing belongs to."""
    groups: dict[str, dict[str, None]] = {}
    for name, own in found:
        if own:
            groups.setdefault(name, {}).update(dict.fromkeys(own))
    return {name: list(own) for name, own in groups.items()}


def one_run(item: Comparison) -> list[str]:
    """The arms that a comparison has one run of, though another seed would give another network."""
    sides = ((item.baseline, item.seeds.baseline), (item.arm, item.seeds.arm)) if item.seeds else ()
    return [label for label, runs in sides if len(runs) == 1 and label != BICUBIC and item.verdict != "identical"]


def table_of(comparisons: Sequence[Comparison]) -> Table:
    """A row for each comparison."""
    kind, name = comparisons[0].kind, comparisons[0].metric.upper()
    seeds = (Column("seed by seed", "optional"), lambda item: seed_by_seed(item) or "–")
    cells: list[tuple[Column, Callable[[Comparison], Cell]]] = [
        (Column("set", "name"), lambda item: item.set),
        (Column("arm", "name"), lambda item: item.arm),
        (Column("baseline", "name"), lambda item: item.baseline),
        (Column("difference", unit=kind.unit), lambda item: item.difference and _signed(item.difference.mean, kind)),
        (Column("95 % interval"), lambda item: interval_text(item.difference, kind)),
        (Column("verdict", "name"), lambda item: f"{item.verdict}{' (one run)' if one_run(item) else ''}"),
        (Column(name, "optional", digits=kind.digits), lambda item: item.means and item.means[1]),
        (Column(f"{name} of baseline", "optional", digits=kind.digits), lambda item: item.means and item.means[0]),
        *([seeds] if any(map(seed_by_seed, comparisons)) else []),
        (Column("better on", "optional"), lambda item: f"{item.signs.better} of {item.n}"),
        (Column("p", "optional"), lambda item: f"{item.p:.2g}"),
    ]
    return table(comparisons, cells, group="set")


def seed_by_seed(item: Comparison) -> str:
    """The difference of each seed; of runs that are not paired mean ± deviation of both arms."""
    if item.seeds is None or max(len(item.seeds.arm), len(item.seeds.baseline)) == 1:
        return ""
    if item.seeds.differences:
        return " ".join(f"{value:+.{item.kind.digits}f}" for value in item.seeds.differences)
    return " against ".join(map(item.kind.plus_minus, (item.seeds.arm, item.seeds.baseline)))


def comparison_path(path: Path) -> Path:
    """Check the name of a file for comparisons.

    Raises:
        InputError: it ends in neither .json nor .md nor .tex.
    """
    if path.suffix not in (".json", ".md", ".tex"):
        raise InputError(f"a comparison is written to a file that ends in .json, .md or .tex, not to {path}.")
    return path


@dataclass(frozen=True)
class Answer:
    """All that is said of comparisons.

    Attributes:
        comparisons: of one call.
        protocol: in one line.
        left_over: further notes.
        effect: the difference whose power is told; None: of none.
    """

    comparisons: Sequence[Comparison]
    protocol: str
    left_over: Sequence[str] = ()
    effect: float | None = None

    @property
    def verdicts(self) -> list[str]:
        """A sentence for each comparison."""
        return [sentence(item) for item in self.comparisons]

    @property
    def powers(self) -> list[str]:
        """A sentence on the power of each comparison; none where it is not told."""
        return [] if self.effect is None else [power_sentence(item, self.effect) for item in self.comparisons]

    @property
    def notes(self) -> list[str]:
        """What must be known beside the verdicts."""
        return [*notes(self.comparisons), *self.left_over]

    def to_markdown(self) -> str:
        """Table, verdicts, notes."""
        lines = [table_of(self.comparisons).markdown(), "", *(f"- {line}" for line in self.verdicts)]
        lines += ["", *(f"- {line}" for line in self.powers)] if self.powers else []
        lines += ["", *(f"Note: {note}.  " for note in self.notes), f"Protocol {self.protocol}."]
        return "\n".join(lines) + "\n"

    def to_json(self) -> str:
        """`{schema, kind: comparison, protocol, comparisons, notes}`; each has the keys of `Comparison`, and `text`."""
        entries = [{**asdict(item), "text": sentence(item)} for item in self.comparisons]
        if self.effect is not None:
            for entry, item in zip(entries, self.comparisons, strict=True):
                entry["power"] = _power(item.spread, self.effect)
        head = {"schema": SCHEMA, "kind": "comparison", "protocol": self.protocol}
        content = {**head, "comparisons": entries, "notes": self.notes}
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def write(self, path: Path) -> None:
        """Write `path` atomically, as its suffix says."""
        atomic_write_text(path, self.to_markdown() if comparison_path(path).suffix == ".md" else self.to_json())


def _power(spread: Spread | None, effect: float) -> dict[str, float | None] | None:
    if spread is None:
        return None
    needed = seeds_needed(spread, effect)
    return {"effect": effect, "value": power(spread, effect), "seeds_for_80_percent": needed}


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
        low, high = map(kind.difference, estimate.crossed)
        return f"{text} over the seeds, which decide; {low} … {high} over images and seeds"
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
    if single := one_run(item):
        clauses.append(f"from one run of {' and '.join(single)}")
    if finite < FEW:
        clauses.append(f"{'one image is' if finite == 1 else f'{finite} images are'} few (below {FEW})")
    counts = [len(item.seeds.arm), len(item.seeds.baseline)] if item.seeds else [0]
    fewest = (max if item.seeds and item.seeds.pairing == "one run" else min)(counts)
    if 1 < fewest < LEAST:
        clauses.append(f"{fewest} seeds are too few for an interval: take {LEAST} or more")
    if estimate and item.verdict == "no difference shown" and estimate.p < LEVEL:
        clauses.append(f"there would be one without the correction for {item.looks} arms")
    elif item.verdict == "no difference shown" and item.n == max(item.signs.better, item.signs.worse) > 1:
        clauses.append(f"yet {'better' if item.signs.better else 'worse'} on all {item.n}")
    signs = {"better": item.signs.worse, "worse": item.signs.better}
    if item.verdict in signs and (against := signs[item.verdict]) > item.signs.better + item.signs.worse - against:
        other = "worse" if item.verdict == "better" else "better"
        clauses.append(f"yet {other} on {against} of {item.n}: few images decide")
    return clauses


def _signed(value: float, kind: Metric) -> str:
    return ("+" if value > 0 else "") + kind.difference(value)


def _pair(item: Comparison) -> str:
    return f"{item.arm} and {item.baseline}"


def _images(number: int) -> str:
    return f"{number} image{'' if number == 1 else 's'}"


def _listed(names: Collection[str], most: int = 8) -> str:
    more = len(names) - most
    return ", ".join([*names][:most]) + (f" and {more} more" if more > 0 else "")
