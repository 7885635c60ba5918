"""The charts of a report: quality over cost, gain on every image, training."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from srkd.evaluation.charts import Axis, Series, chart, si
from srkd.evaluation.curves import Run, thinned
from srkd.evaluation.gather import Gathered, short_names
from srkd.evaluation.result import Row, Summary
from srkd.metrics.metric import metric_text


def cost_charts(results: Gathered) -> list[dict[str, Any]]:
    """Quality over multiply-adds and over time, for every set."""
    metric = results.headline
    found: list[dict[str, Any]] = []
    for name in results.sets:
        own = [
            item for item in results.summary if item.set == name and math.isfinite(item.metrics.get(metric, math.inf))
        ]
        level = next(((i.model, i.metrics[metric]) for i in own if i.model == results.baseline), None)
        for what, cost in _COSTS.items():
            series = [
                _over_cost(results, model, [item for item in own if item.model == model], cost)
                for model in results.models
                if model != results.baseline
            ]
            title = f"{metric.upper()} on {name} over {what}"
            svg = chart(series, Axis(what, log=True), Axis(f"{metric.upper()} on {name}"), uid=f"cost{len(found)}",
                        title=f"{title}; the numbers are in the table", level=level)  # fmt: skip
            found.append({"set": name, "title": title, "svg": Markup(svg)})
    return found


_COSTS: dict[str, Callable[[Summary], float | None]] = {
    "multiply-adds for a 1280 × 720 output": lambda item: item.multi_adds,
    "milliseconds per image of the set": lambda item: item.seconds and item.seconds * 1000,
}


def _over_cost(
    results: Gathered, model: str, items: Iterable[Summary], cost: Callable[[Summary], float | None]
) -> Series:
    metric, widths = results.headline, results.widths(model)
    known = sorted(((at, item) for item in items if (at := cost(item))), key=lambda pair: pair[0])
    several = len(widths) > 1
    return Series(
        "" if several else results.label(model, widths[0]),
        [(at, item.metrics[metric]) for at, item in known],
        hints=[
            f"{results.label(model, item.width)}: {metric_text(metric, item.metrics[metric])} at {si(at)}"
            for at, item in known
        ],
        names=[
            results.label(model, item.width) if item.width == max(widths) else f"@{item.width:.3g}" for _, item in known
        ]
        if several
        else (),
        style=results.styles[model],
        model=model,
        line=several,
    )


def gain_charts(results: Gathered) -> list[dict[str, Any]]:
    """The gain on every image over the baseline's value there; the best model's extremes are named."""
    metric = results.headline
    found: list[dict[str, Any]] = []
    for name in results.sets:
        rows = [row for row in results.rows if row.set == name]
        base = {row.image: row.metrics.get(metric, math.nan) for row in rows if row.model == results.baseline}
        gains: dict[tuple[str, float], dict[str, float]] = {}
        for row in rows:
            gain = gain_over(row, base, row.image, metric)
            if gain is not None and row.model != results.baseline:
                gains.setdefault((row.model, row.width), {})[row.image] = gain
        best = max(gains, key=lambda one: sum(gains[one].values()), default=None)
        series = [
            Series(
                "",
                [(base[image], gain) for image, gain in own.items()],
                hints=[f"{image}, {results.label(*one)}: {gain:+.3f}" for image, gain in own.items()],
                names=[image if one == best and gain in (min(own.values()), max(own.values())) else ""
                       for image, gain in own.items()],
                style=results.styles[one[0]],
                model=one[0],
                images=list(own),
            )
            for one, own in gains.items()
        ]  # fmt: skip
        title = f"Gain over {results.baseline} for each image of {name}"
        svg = chart(series, Axis(f"{metric.upper()} of {results.baseline}"), Axis(f"gain over {results.baseline}"),
                    uid=f"gain{len(found)}", title=f"{title}; the numbers are in the table of images")  # fmt: skip
        found.append({"set": name, "title": title, "svg": Markup(svg)})
    return found


def training_charts(runs: Sequence[Run], styles: Mapping[str, int | None]) -> list[dict[str, Any]]:
    """A chart for each loss and each validation metric of any of the runs: `{set, title, svg}`, for no set.

    Args:
        runs: what was read.
        styles: of the runs that have one already, by name.
    """
    others = (number for number in itertools.count() if number not in styles.values())
    own = {run.name: styles[run.name] if run.name in styles else next(others) for run in runs}
    short = short_names(list(dict.fromkeys(run.name for run in runs))) if runs else {}
    losses: dict[str, list[Series]] = {}
    metrics: dict[str, list[Series]] = {}
    for run in runs:
        style = own[run.name]
        for name, points in run.losses.items():
            loss, _, width = name.partition("@")
            label = short[run.name] + (f" @{float(width):.4g}" if width else "")
            losses.setdefault(loss, []).append(Series(label, thinned(points), style=style, line=True, marks=False))
        several = len({width for _, _, width in run.validation}) > 1
        for (test_set, metric, width), points in run.validation.items():
            label = short[run.name] + (f" @{width:.4g}" if several or width != 1 else "")
            heading = f"{metric.upper()} on {test_set} (validation)"
            metrics.setdefault(heading, []).append(Series(label, thinned(points), style=style, line=True))
    return [
        *(_curves(heading, series, Axis(heading.split(" on ")[0])) for heading, series in metrics.items()),
        *(
            _curves(heading, series, Axis(f"{heading}, raw", log=_positive(series)))
            for heading, series in losses.items()
        ),
    ]


def gain_over(item: Row | Summary, base: dict[Any, float], place: Any, metric: str) -> float | None:
    """The metric less what `base` has at `place`; None where one of them is missing or infinite."""
    value = item.metrics.get(metric)
    if value is None or place not in base or not (math.isfinite(value) and math.isfinite(base[place])):
        return None
    return value - base[place]


def _curves(heading: str, series: Sequence[Series], axis: Axis) -> dict[str, Any]:
    uid = "curve-" + re.sub(r"\W", "-", heading)
    return {"set": "", "title": heading, "svg": Markup(chart(series, Axis("iteration"), axis, uid=uid, title=heading))}


def _positive(series: Sequence[Series]) -> bool:
    return all(value > 0 for one in series for _, value in one.points)
