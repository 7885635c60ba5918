"""The charts of a report, arm by arm: differences, quality over cost, gain on every image, training."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from markupsafe import Markup

from srkd.evaluation.arms import Arm
from srkd.evaluation.report.charts import Axis, Interval, Series, chart, intervals
from srkd.evaluation.report.curves import Points, Run, thinned
from srkd.evaluation.report.gather import Gathered, short_names
from srkd.table import short_number

Figure = dict[str, Any]
"""`set` that it is of (empty: of none), `title` and `svg`."""

_COSTS: dict[str, tuple[Literal["multi_adds", "seconds"], int]] = {
    "multiply-adds for a 1280 × 720 output": ("multi_adds", 1),
    "milliseconds per image of the set": ("seconds", 1000),
}


def difference_charts(results: Gathered) -> list[Figure]:
    """For every set each arm's difference to the control, with its interval and its seeds."""
    found: list[Figure] = []
    if results.control is None:
        return found
    arms = {arm.label: arm for arm in results.arms}
    zero, unit = results.label(results.control), results.metric(results.headline).unit
    axis = f"difference in {results.headline.upper()}{f', {unit}' if unit else ''}"
    for name in results.sets:
        rows = [
            Interval(
                results.label(arm),
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
        title, uid = f"Difference to {zero} on {name}", f"difference{len(found)}"
        if rows:
            svg = intervals(rows, axis, uid=uid, title=f"{title}; the numbers are in the table", zero=zero)
            found.append({"set": name, "title": title, "svg": Markup(svg)})
    return found


def cost_charts(results: Gathered) -> list[Figure]:
    """Quality over multiply-adds and over time, for every set: a mark and a bar an arm, its runs as faint points."""
    found: list[Figure] = []
    quality = results.headline.upper()
    names = [name for name in dict.fromkeys(arm.name for arm in results.arms) if name != results.baseline]
    bases = [arm for arm in results.arms if arm.name == results.baseline]
    for test_set in results.sets:
        levels = [value for arm in bases for value in arm.means(test_set, results.headline)][:1]
        level = (results.baseline, levels[0]) if levels and math.isfinite(levels[0]) else None
        for what in _COSTS:
            series = [one for name in names if (one := _over_cost(results, name, test_set, what))]
            axes = Axis(what, log=True), Axis(f"{quality} on {test_set}")
            title, uid = f"{quality} on {test_set} over {what}", f"cost{len(found)}"
            svg = chart(series, *axes, uid=uid, title=f"{title}; the numbers are in the table", level=level)
            found.append({"set": test_set, "title": title, "svg": Markup(svg)})
    return found


def _over_cost(results: Gathered, name: str, test_set: str, what: str) -> Series | None:
    """One arm at all its widths."""
    cost, factor = _COSTS[what]
    known: list[tuple[float, Arm, list[float]]] = []
    for arm in results.arms:
        at, own = arm.cost(cost, test_set), arm.means(test_set, results.headline)
        if arm.name == name and at and own and all(map(math.isfinite, own)):
            known.append((at * factor, arm, own))
    if not known:
        return None
    known.sort(key=lambda item: item[0])
    metric = results.metric(results.headline)
    points, hints, bars = [], [], []
    for at, arm, own in known:
        middle, spread = float(np.mean(own)), float(np.std(own, ddof=1)) if len(own) > 1 else 0.0
        points.append((at, middle))
        bars.append((middle - spread, middle + spread))
        beside = f" ± {metric.difference(spread)}" if spread else ""
        hints.append(f"{results.label(arm)}: {metric.text(middle)}{beside} at {short_number(at)}")
    bars = bars if any(low < high for low, high in bars) else ()
    faint = [(at, value) for at, _, own in known if len(own) > 1 for value in own]
    return Series(name, points, hints, results.styles[name], bars, faint, line=len(known) > 1)


def gain_charts(results: Gathered) -> list[Figure]:
    """For every set the gain of each arm on every image over the baseline's value there; means over the runs."""
    found: list[Figure] = []
    axes = Axis(f"{results.headline.upper()} of {results.baseline}"), Axis(f"gain over {results.baseline}")
    base_arm = next(arm for arm in results.arms if arm.name == results.baseline)
    for name in results.sets:
        base = base_arm.by_image(name, results.headline)
        series: list[Series] = []
        for arm in results.arms:
            own = arm.by_image(name, results.headline)
            points = {image: (base[image], own[image] - base[image]) for image in own if image in base}
            points = {image: point for image, point in points.items() if all(map(math.isfinite, point))}
            if arm.name != results.baseline and points:
                hints = [f"{image}, {results.label(arm)}: {gain:+.3f}" for image, (_, gain) in points.items()]
                series.append(Series(arm.name, [*points.values()], hints, results.styles[arm.name], images=[*points]))
        title, uid = f"Gain over {results.baseline} for each image of {name}", f"gain{len(found)}"
        svg = chart(series, *axes, uid=uid, title=f"{title}; the numbers are in the table of images")
        found.append({"set": name, "title": title, "svg": Markup(svg)})
    return found


def training_charts(runs: Sequence[Run], styles: Mapping[str, int | None]) -> list[Figure]:
    """`training` as pictures."""
    return [
        {"set": "", "title": heading, "svg": Markup(chart(
            series, Axis("iteration"), axis, uid="curve-" + re.sub(r"\W", "-", heading), title=heading))}
        for heading, axis, series in training(runs, styles)
    ]  # fmt: skip


def training(runs: Sequence[Run], styles: Mapping[str, int | None]) -> list[tuple[str, Axis, list[Series]]]:
    """Heading, vertical axis and series of a chart for each validation metric, then for each loss.

    A series is an arm (runs that differ in `_seedN` only) at a width: the mean of its seeds, with their extremes.
    Losses, where all are positive, are by their logarithm.
    """
    arms = training_arms(runs, styles)
    validation: dict[str, dict[tuple[str, str], list[Points]]] = {}
    losses: dict[str, dict[tuple[str, str], list[Points]]] = {}
    for run in runs:
        for (test_set, metric, width), points in run.validation.items():
            own = validation.setdefault(f"{metric.upper()} on {test_set} (validation)", {})
            own.setdefault((arm_of(run.name), "" if width == 1 else f"{width:.4g}"), []).append(points)
        for name, points in run.losses.items():
            loss, _, width = name.partition("@")
            own = losses.setdefault(loss, {})
            own.setdefault((arm_of(run.name), f"{float(width):.4g}" if width else ""), []).append(points)
    found: list[tuple[str, Axis, list[Series]]] = []
    for heading, curves in (*validation.items(), *losses.items()):
        few = heading in validation
        series = [_over_time(arm, own, arms[arm][1], marks=few) for (arm, _), own in curves.items()]
        log = all(value > 0 for one in series for _, value in one.points)
        found.append((heading, Axis(heading.split(" on ")[0]) if few else Axis(f"{heading}, raw", log=log), series))
    return found


def _over_time(arm: str, curves: Sequence[Points], style: int | None, *, marks: bool) -> Series:
    """The mean of curves at the iterations that all of them have, and a band from the lowest to the highest."""
    tables = [dict(points) for points in curves]
    values = {at: [table[at] for table in tables] for at, _ in curves[0] if all(at in table for table in tables)}
    mean, low, high = (thinned([(at, float(of(own))) for at, own in values.items()]) for of in (np.mean, min, max))
    band = [(at, a, b) for (at, a), (_, b) in zip(low, high, strict=True)] if len(curves) > 1 else []
    return Series(arm, mean, style=style, line=True, marks=marks and len(curves[0]) <= 60, band=band)


def training_arms(runs: Sequence[Run], styles: Mapping[str, int | None]) -> dict[str, tuple[str, int | None]]:
    """Short name and style of each arm; `styles` are of arms that have one already."""
    arms = list(dict.fromkeys(arm_of(run.name) for run in runs))
    others = (number for number in itertools.count() if number not in styles.values())
    short = short_names(arms)
    return {arm: (short[arm], styles[arm] if arm in styles else next(others)) for arm in arms}


def arm_of(run: str) -> str:
    """The name of a run without its seed."""
    return re.sub(r"_seed\d+$", "", run)
