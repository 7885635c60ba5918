"""Charts as SVG: points with error bars, lines with bands, and a dot and an interval for each arm.

Marks differ in shape as well as in colour, for print and the colour-blind; a legend names them. Colours come from
`charts.css`, which follows the reader's light or dark scheme; no script is needed. Here is where things stand; how they
are drawn is in the templates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from markupsafe import Markup

from srkd.evaluation.compare import Comparison
from srkd.evaluation.report.markup import rendered, tick_text

_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 14, 14, 44
_ROW = 28  # height of a row of `intervals`


class Figure(NamedTuple):
    """A chart under its heading; `set` is the test set that it is of, empty: of none."""

    title: str
    svg: Markup = Markup('<p class="note">Nothing to draw.</p>')
    wide: int = _WIDTH
    high: int = _HEIGHT
    set: str = ""


class Point(NamedTuple):
    """A value, the ends of its bar or band (None: none), what a pointer over it says, and for filters its image."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None
    hint: str = ""
    image: str = ""


@dataclass(frozen=True)
class Series:
    """What one arm or run contributes.

    Attributes:
        name: of the arm, for filters and the legend.
        points: finite; a value that a logarithmic axis cannot show is left out.
        style: colour and shape, from 0 up; None: neutral.
        faint: (x, y) of what the points are means of.
        line: whether the points are joined.
        marks: whether the points are drawn.
        band: whether the ends are those of a band around the line, not of bars.
    """

    name: str
    points: Sequence[Point]
    style: int | None = None
    faint: Sequence[tuple[float, float]] = ()
    line: bool = False
    marks: bool = True
    band: bool = False

    def on(self, x: Axis, y: Axis) -> Series:
        """Without what the axes cannot show."""
        points = [point for point in self.points if x.shows(point.x) and y.shows(point.y)]
        points = [point if y.shows(point.low) else point._replace(low=None, high=None) for point in points]
        return replace(self, points=points, faint=[(a, b) for a, b in self.faint if x.shows(a) and y.shows(b)])

    def extent(self) -> Iterator[tuple[float, float]]:
        """Everything that must have a place."""
        yield from self.faint
        yield from ((p.x, value) for p in self.points for value in (p.y, p.low, p.high) if value is not None)


@dataclass(frozen=True)
class Axis:
    """One axis: what it shows, and whether by its logarithm."""

    label: str
    log: bool = False

    def shows(self, value: float | None) -> bool:
        """Whether a value has a place on it."""
        return value is not None and math.isfinite(value) and (value > 0 or not self.log)


class Interval(NamedTuple):
    """One row of `intervals`: a comparison that has a difference, under a name; `arm` is for filters."""

    name: str
    item: Comparison
    style: int | None = None
    arm: str = ""

    @property
    def seeds(self) -> Sequence[float]:
        """The differences seed by seed."""
        return self.item.seeds.differences if self.item.seeds else ()

    @property
    def values(self) -> list[float]:
        """All that must have a place: the mean, its interval, the seeds, and 0."""
        found = self.item.difference
        ends = (found.mean, found.low, found.high) if found else ()
        return [0.0, *(value for value in ends if value is not None), *self.seeds]


class _Scale:
    """Values to pixels."""

    def __init__(self, axis: Axis, values: Sequence[float], start: float, end: float) -> None:
        self.axis, self.start, self.end = axis, start, end
        low, high = min(values), max(values)
        if axis.log:
            room = max((math.log10(high) - math.log10(low)) * 0.07, 0.04)
            self.low, self.high = low * 10**-room, high * 10**room
        else:
            room = (high - low) * 0.07 or max(abs(high) * 0.01, 0.1)
            self.low, self.high = (low - room if low < 0 or low - room > 0 else 0.0), high + room

    def __call__(self, value: float) -> float:
        low, high, at = (math.log10(v) if self.axis.log else v for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round numbers: powers of ten on a logarithmic axis, with what is between them where there are too few."""
        if self.axis.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            for factors in ((1,), (1, 2, 5), (1, 2, 3, 5, 7)):
                ticks = [factor * 10.0**power for power in powers for factor in factors]
                ticks = [tick for tick in ticks if self.low <= tick <= self.high]
                if len(ticks) >= 3:
                    return ticks
        rough = (self.high - self.low) / 5
        size = 10.0 ** math.floor(math.log10(rough))
        step = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= rough * 0.999)
        ticks = [step * number for number in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return [tick for tick in ticks if self.axis.shows(tick)]


def chart(
    series: Sequence[Series], x: Axis, y: Axis, *, title: str, beside: str = "", level: tuple[str, float] | None = None
) -> Figure:
    """Points, lines and bands; a line of text where there is nothing to draw.

    Args:
        series: what to draw.
        x: horizontal axis.
        y: vertical axis.
        title: the heading.
        beside: what a screen reader says behind it.
        level: a horizontal line with its label: what everything is compared with.
    """
    shown = [own for one in series if (own := one.on(x, y)).points]
    places = [place for one in shown for place in one.extent()]
    if not places:
        return Figure(title)
    up = _Scale(y, [b for _, b in places] + ([level[1]] if level else []), _HEIGHT - _BOTTOM, _TOP)
    left = max(_LEFT, 26 + 7 * max(len(tick_text(tick)) for tick in up.ticks()))  # long numbers keep off the label
    across = _Scale(x, [a for a, _ in places], left, _WIDTH - _RIGHT)
    values = {"series": shown, "across": across, "up": up, "level": level, "title": title + beside}
    return Figure(title, rendered("chart.svg", wide=_WIDTH, high=_HEIGHT, **values))


def intervals(rows: Sequence[Interval], axis: str, *, title: str, zero: str, beside: str = "") -> Figure:
    """A dot and an interval for each row, its seeds as faint points, around a line at 0 called `zero`.

    A row whose difference is shown is in bold.
    """
    if not rows:
        return Figure(title)
    left = 24 + round(7.2 * max(len(row.name) for row in rows))
    wide, high = left + 260, _TOP + 14 + _ROW * len(rows) + _BOTTOM
    ends = [value for row in rows for value in row.values]
    across = _Scale(Axis(axis), ends, left, wide - _RIGHT)
    across.low = min(across.low, min(ends) - 0.04 * (across.high - across.low))
    values = {"rows": rows, "across": across, "zero": zero, "title": title + beside}
    return Figure(title, rendered("intervals.svg", wide=wide, high=high, top=_TOP, step=_ROW, **values), wide, high)


def standalone(figures: Sequence[Figure], legend: Sequence[tuple[str, int | None]] = (), columns: int = 2) -> str:
    """An SVG file of charts, each under its heading; above them what each mark stands for.

    Args:
        figures: the charts.
        legend: (name, style).
        columns: of charts, at most.
    """
    return rendered("standalone.svg", figures=figures, legend=legend, columns=min(columns, len(figures))) + "\n"
