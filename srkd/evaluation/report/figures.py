"""The charts of a report, arm by arm: differences, quality over cost, gain on every image, training."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from srkd.evaluation.report.charts import Axis, Figure, Interval, Point, Series, chart, intervals
from srkd.evaluation.report.curves import Points, Run, thinned
from srkd.evaluation.report.gather import Gathered, short_names
from srkd.evaluation.statistics import deviation
from srkd.table import short_number

_IN_TABLE = "; the numbers are in the table"
_COSTS: dict[str, tuple[Literal["multi_adds", "seconds"], int]] = {
    "multiply-adds for a 1280 × 720 output": ("multi_adds", 1),
    "milliseconds per image of the set": ("seconds", 1000),
}


def difference_charts(results: Gathered) -> list[Figure]:
    """For every set each arm's difference to the control, with its interval and its seeds."""
    if results.control is None:
        return []
    arms, zero = {arm.label: arm for arm in results.arms}, results.label(results.control)
    unit = results.metric(results.headline).unit
    axis = f"difference in {results.headline.upper()}{f', {unit}' if unit else ''}"
    found: list[Figure] = []
    for name in results.sets:
        rows = [
            Interval(results.label(arms[item.arm]), item, results.styles[arms[item.arm].name], arms[item.arm].name)
            for item in results.comparisons
            if item.set == name and item.difference
        ]
        if rows:
            title = f"Difference to {zero} on {name}"
            found.append(intervals(rows, axis, title=title, zero=zero, beside=_IN_TABLE)._replace(set=name))
    return found


def cost_charts(results: Gathered) -> list[Figure]:
    """Quality over multiply-adds and over time, for every set: a mark and a bar an arm, its runs as faint points."""
    found: list[Figure] = []
    quality = results.headline.upper()
    names = [name for name in results.models if name != results.baseline]
    for test_set in results.sets:
        level = results.models[results.baseline][0].mean(test_set, results.headline)
        line = (results.baseline, level) if level is not None and math.isfinite(level) else None
        for what in _COSTS:
            series = [_over_cost(results, name, test_set, what) for name in names]
            across, up = Axis(what, log=True), Axis(f"{quality} on {test_set}")
            drawn = chart(series, across, up, title=f"{up.label} over {what}", beside=_IN_TABLE, level=line)
            found.append(drawn._replace(set=test_set))
    return found


def _over_cost(results: Gathered, name: str, test_set: str, what: str) -> Series:
    """One arm at all its widths."""
    metric, (cost, factor) = results.metric(results.headline), _COSTS[what]
    points: list[Point] = []
    faint: list[tuple[float, float]] = []
    for arm in results.models[name]:
        at, own = arm.cost(cost, test_set), arm.means(test_set, results.headline)
        if at and own and all(map(math.isfinite, own)):
            middle, spread, place = float(np.mean(own)), deviation(own), at * factor
            low, high = (None, None) if spread is None else (middle - spread, middle + spread)
            beside = f" ± {metric.difference(spread)}" if spread else ""
            hint = f"{results.label(arm)}: {metric.text(middle)}{beside} at {short_number(place)}"
            points.append(Point(place, middle, low, high, hint))
            faint += [(place, value) for value in own if len(own) > 1]
    return Series(name, sorted(points, key=lambda point: point.x), results.styles[name], faint, line=True)


def gain_charts(results: Gathered) -> list[Figure]:
    """For every set the gain of each arm on every image over the baseline's value there; means over the runs."""
    found: list[Figure] = []
    axes = Axis(f"{results.headline.upper()} of {results.baseline}"), Axis(f"gain over {results.baseline}")
    for name in results.sets:
        series: list[Series] = []
        for arm in (arm for arm in results.arms if arm.name != results.baseline):
            points = [
                Point(base, gain, hint=f"{image}, {results.label(arm)}: {gain:+.3f}", image=image)
                for image, (base, gain) in results.gains(arm, results.models[results.baseline][0], name).items()
            ]
            series.append(Series(arm.name, points, results.styles[arm.name]))
        title = f"Gain over {results.baseline} for each image of {name}"
        found.append(chart(series, *axes, title=title, beside=f"{_IN_TABLE} of images")._replace(set=name))
    return found


def training_charts(runs: Sequence[Run], styles: Mapping[str, int | None]) -> list[Figure]:
    """`training` as pictures."""
    iteration = Axis("iteration")
    return [chart(series, iteration, axis, title=heading) for heading, axis, series in training(runs, styles)]


def training(runs: Sequence[Run], styles: Mapping[str, int | None]) -> list[tuple[str, Axis, list[Series]]]:
    """Heading, vertical axis and series of a chart for each validation metric, then for each loss.

    A series is an arm (runs that differ in `_seedN` only) at a width: the mean of its seeds, with their extremes.
    Losses, where all are positive, are by their logarithm.
    """
    arms = training_arms(runs, styles)
    curves: dict[str, dict[tuple[str, object], list[Points]]] = {}  # of a chart, by arm and width
    for run in runs:
        for (test_set, metric, width), points in run.validation.items():
            own = curves.setdefault(f"{metric.upper()} on {test_set} (validation)", {})
            own.setdefault((arm_of(run.name), width), []).append(points)
    validation = set(curves)
    for run in runs:
        for name, points in run.losses.items():
            loss, _, width = name.partition("@")
            curves.setdefault(loss, {}).setdefault((arm_of(run.name), width), []).append(points)
    found: list[tuple[str, Axis, list[Series]]] = []
    for heading, of in curves.items():
        few = heading in validation
        series = [_over_time(arm, own, arms[arm][1], marks=few) for (arm, _), own in of.items()]
        log = all(point.y > 0 for one in series for point in one.points)
        found.append((heading, Axis(heading.split(" on ")[0]) if few else Axis(f"{heading}, raw", log=log), series))
    return found


def _over_time(arm: str, curves: Sequence[Points], style: int | None, *, marks: bool) -> Series:
    """The mean of curves at the iterations that all of them have, and a band from the lowest to the highest."""
    tables = [dict(points) for points in curves]
    values = {at: [table[at] for table in tables] for at, _ in curves[0] if all(at in table for table in tables)}
    means, lows, highs = (thinned([(at, float(of(own))) for at, own in values.items()]) for of in (np.mean, min, max))
    band = len(curves) > 1
    points = [
        Point(at, mean, low if band else None, high if band else None)
        for (at, mean), (_, low), (_, high) in zip(means, lows, highs, strict=True)
    ]
    return Series(arm, points, style, line=True, marks=marks and len(curves[0]) <= 60, band=band)


def training_arms(runs: Sequence[Run], styles: Mapping[str, int | None]) -> dict[str, tuple[str, int | None]]:
    """Short name and style of each arm; `styles` are of arms that have one already."""
    arms = list(dict.fromkeys(arm_of(run.name) for run in runs))
    others = (number for number in itertools.count() if number not in styles.values())
    short = short_names(arms)
    return {arm: (short[arm], styles[arm] if arm in styles else next(others)) for arm in arms}


def arm_of(run: str) -> str:
    """The name of a run without its seed."""
    return re.sub(r"_seed\d+$", "", run)
