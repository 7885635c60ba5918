"""The charts of a report, arm by arm: differences, quality over cost, gain on every image, training."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from srkd.evaluation.arms import Arm
from srkd.evaluation.charts import Axis, Interval, Series, chart, intervals
from srkd.evaluation.curves import Points, Run, thinned
from srkd.evaluation.gather import Gathered, short_names
from srkd.evaluation.result import Summary
from srkd.table import short_number


def difference_charts(results: Gathered) -> list[dict[str, Any]]:
    """For every set each arm's difference to the control, with its interval and its seeds."""
    found: list[dict[str, Any]] = []
    arms = {arm.label: arm for arm in results.arms}
    if results.control is None:
        return found
    zero = results.label(results.control.name, results.control.width)
    for name in results.sets:
        rows = [
            Interval(
                results.label(arm.name, arm.width),
                arm.name,
                item.difference.mean,
                item.difference.low,
                item.difference.high,
                item.seeds.differences if item.seeds else (),
                results.styles[arm.name],
                item.verdict in ("better", "worse"),
            )
            for item in results.comparisons
            if item.set == name and item.difference and (arm := arms[item.arm])
        ]
        unit = results.metric(results.headline).unit
        axis = f"difference in {results.headline.upper()}{f', {unit}' if unit else ''}"
        title = f"Difference to {zero} on {name}"
        uid = f"difference{len(found)}"
        svg = intervals(rows, axis, uid=uid, title=f"{title}; the numbers are in the table", zero=zero)
        if rows:
            found.append({"set": name, "title": title, "svg": Markup(svg)})
    return found


def cost_charts(results: Gathered) -> list[dict[str, Any]]:
    """Quality over multiply-adds and over time, for every set: a mark and a bar an arm, its runs as faint points."""
    found: list[dict[str, Any]] = []
    for name in results.sets:
        level = next(
            (v for arm in results.arms if arm.name == results.baseline for v in values(results, arm, name)), None
        )
        shown = level is not None and math.isfinite(level)
        for what, cost in _COSTS.items():
            series = [
                one
                for arm in dict.fromkeys(arm.name for arm in results.arms)
                if arm != results.baseline and (one := _over_cost(results, arm, name, cost))
            ]
            title = f"{results.headline.upper()} on {name} over {what}"
            svg = chart(
                series,
                Axis(what, log=True),
                Axis(f"{results.headline.upper()} on {name}"),
                uid=f"cost{len(found)}",
                title=f"{title}; the numbers are in the table",
                level=(results.baseline, level) if shown and level is not None else None,
            )
            found.append({"set": name, "title": title, "svg": Markup(svg)})
    return found


_COSTS: dict[str, Callable[[Summary], float | None]] = {
    "multiply-adds for a 1280 × 720 output": lambda item: item.multi_adds,
    "milliseconds per image of the set": lambda item: item.seconds and item.seconds * 1000,
}


def values(results: Gathered, arm: Arm, test_set: str, metric: str | None = None) -> list[float]:
    """The mean of the headline metric, or of another, over a set, of each run of an arm that was measured on it."""
    name = metric or results.headline
    runs = [[row.metrics[name] for at, row in run.rows.items() if at[0] == test_set and name in row.metrics]
            for run in arm.runs]  # fmt: skip
    return [float(np.mean(own)) for own in runs if own]


def cost_of(arm: Arm, test_set: str, cost: Callable[[Summary], float | None]) -> float | None:
    """The mean cost of an arm's runs on a set; None where it is not known of any."""
    known = [
        value
        for run in arm.runs
        for item in run.file.summary
        if (item.model, item.width, item.set) == (run.model, run.width, test_set) and (value := cost(item))
    ]
    return float(np.mean(known)) if known else None


def _over_cost(results: Gathered, name: str, test_set: str, cost: Callable[[Summary], float | None]) -> Series | None:
    """One arm at all its widths."""
    known: list[tuple[float, Arm, list[float]]] = []
    for arm in results.arms:
        at, own = cost_of(arm, test_set, cost), values(results, arm, test_set)
        if arm.name == name and at and own and all(map(math.isfinite, own)):
            known.append((at, arm, own))
    known.sort(key=lambda item: item[0])
    metric = results.metric(results.headline)
    deviations = [float(np.std(own, ddof=1)) if len(own) > 1 else 0.0 for _, _, own in known]
    means = [float(np.mean(own)) for _, _, own in known]
    return Series(
        name,
        [(at, mean) for (at, _, _), mean in zip(known, means, strict=True)],
        hints=[
            f"{results.label(arm.name, arm.width)}: {metric.text(mean)}{f' ± {metric.difference(dev)}' if dev else ''} "
            f"at {short_number(at)}"
            for (at, arm, _), mean, dev in zip(known, means, deviations, strict=True)
        ],
        style=results.styles[name],
        bars=[(mean - dev, mean + dev) for mean, dev in zip(means, deviations, strict=True)] if any(deviations) else (),
        faint=[(at, value) for at, _, own in known if len(own) > 1 for value in own],
        line=len(known) > 1,
    ) if known else None  # fmt: skip


def gain_charts(results: Gathered) -> list[dict[str, Any]]:
    """For every set the gain of each arm on every image over the baseline's value there; means over the runs."""
    found: list[dict[str, Any]] = []
    for name in results.sets:
        base = by_image(results, next(arm for arm in results.arms if arm.name == results.baseline), name)
        series: list[Series] = []
        for arm in results.arms:
            own = by_image(results, arm, name)
            points = {image: (base[image], own[image] - base[image]) for image in own if image in base}
            points = {image: point for image, point in points.items() if all(map(math.isfinite, point))}
            if arm.name != results.baseline and points:
                label = results.label(arm.name, arm.width)
                hints = [f"{image}, {label}: {gain:+.3f}" for image, (_, gain) in points.items()]
                style = results.styles[arm.name]
                series.append(Series(arm.name, [*points.values()], hints, style, images=[*points]))
        title = f"Gain over {results.baseline} for each image of {name}"
        axes = Axis(f"{results.headline.upper()} of {results.baseline}"), Axis(f"gain over {results.baseline}")
        svg = chart(series, *axes, uid=f"gain{len(found)}", title=f"{title}; the numbers are in the table of images")
        found.append({"set": name, "title": title, "svg": Markup(svg)})
    return found


def by_image(results: Gathered, arm: Arm, test_set: str, metric: str | None = None) -> dict[str, float]:
    """The mean over an arm's runs on each image of a set that all of them have."""
    name = metric or results.headline
    common = set.intersection(*(set(run.rows) for run in arm.runs))
    return {
        image: float(np.mean([run.rows[at, image].metrics[name] for run in arm.runs]))
        for at, image in arm.runs[0].rows
        if at == test_set and (at, image) in common and all(name in run.rows[at, image].metrics for run in arm.runs)
    }


def training_charts(runs: Sequence[Run], styles: Mapping[str, int | None]) -> list[dict[str, Any]]:
    """A chart for each loss and each validation metric of any of the runs: `{set, title, svg}`, for no set."""
    charts = [(heading, training_series(heading, runs, styles)) for heading in training_headings(runs)]
    return [
        {"set": "", "title": heading, "svg": Markup(chart(
            series, Axis("iteration"), training_axis(heading, series),
            uid="curve-" + re.sub(r"\W", "-", heading), title=heading))}
        for heading, series in charts
    ]  # fmt: skip


def training_headings(runs: Sequence[Run]) -> list[str]:
    """What there is a chart of: validation metrics, then losses."""
    return list(dict.fromkeys(heading for kind in (0, 1) for run in runs for heading in _curves(run)[kind]))


def training_axis(heading: str, series: Sequence[Series]) -> Axis:
    """Losses, where all are positive, by their logarithm."""
    if " on " in heading:
        return Axis(heading.split(" on ")[0])
    return Axis(f"{heading}, raw", log=all(value > 0 for one in series for _, value in one.points))


def training_series(heading: str, runs: Sequence[Run], styles: Mapping[str, int | None]) -> list[Series]:
    """A line for each arm (runs that differ in `_seedN` only) and width: the mean of its seeds, with their extremes."""
    arms: dict[tuple[str, str], list[Points]] = {}
    for run in runs:
        for kind in _curves(run):
            for width, points in kind.get(heading, {}).items():
                arms.setdefault((arm_of(run.name), width), []).append(points)
    names = training_arms(runs, styles)
    marks = " on " in heading
    return [
        Series(
            arm,
            thinned(_mean_of(own)),
            style=names[arm][1],
            line=True,
            marks=marks and len(own[0]) <= 60,
            band=_band(own),
        )
        for (arm, _), own in arms.items()
    ]


def training_arms(runs: Sequence[Run], styles: Mapping[str, int | None]) -> dict[str, tuple[str, int | None]]:
    """Short name and style of each arm; `styles` are of arms that have one already."""
    arms = list(dict.fromkeys(arm_of(run.name) for run in runs))
    others = (number for number in itertools.count() if number not in styles.values())
    short = short_names(arms) if arms else {}
    return {arm: (short[arm], styles[arm] if arm in styles else next(others)) for arm in arms}


def arm_of(run: str) -> str:
    """The name of a run without its seed."""
    return re.sub(r"_seed\d+$", "", run)


def _curves(run: Run) -> tuple[dict[str, dict[str, Points]], dict[str, dict[str, Points]]]:
    """Validation metrics and losses by their headings, each by the width as text (empty: the full one, or none)."""
    validation: dict[str, dict[str, Points]] = {}
    losses: dict[str, dict[str, Points]] = {}
    for (test_set, metric, width), points in run.validation.items():
        heading = f"{metric.upper()} on {test_set} (validation)"
        validation.setdefault(heading, {})["" if width == 1 else f"{width:.4g}"] = points
    for name, points in run.losses.items():
        loss, _, width = name.partition("@")
        losses.setdefault(loss, {})[f"{float(width):.4g}" if width else ""] = points
    return validation, losses


def _by_iteration(curves: Sequence[Points]) -> dict[float, list[float]]:
    """Values at the iterations that every curve has."""
    tables = [dict(points) for points in curves]
    return {at: [table[at] for table in tables] for at, _ in curves[0] if all(at in table for table in tables)}


def _mean_of(curves: Sequence[Points]) -> Points:
    return [(at, float(np.mean(own))) for at, own in _by_iteration(curves).items()]


def _band(curves: Sequence[Points]) -> list[tuple[float, float, float]]:
    if len(curves) == 1:
        return []
    rows = [(at, min(own), max(own)) for at, own in _by_iteration(curves).items()]
    lows, highs = thinned([(at, low) for at, low, _ in rows]), thinned([(at, high) for at, _, high in rows])
    return [(at, low, high) for (at, low), (_, high) in zip(lows, highs, strict=True)]
