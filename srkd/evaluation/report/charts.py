"""Charts as SVG text: points with error bars, lines with bands, and a dot and an interval for each arm.

Marks differ in shape as well as in colour, for print and the colour-blind; a legend names them. Colours come from
`style_sheet()`, which follows the reader's light or dark scheme; no script is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from srkd.evaluation.report.curves import Points
from srkd.table import short_number

# (on light, on dark) grounds: after Okabe and Ito's palette for the colour-blind, darkened or lightened until text in
# them has a contrast of 4.5 : 1; the last one is for what is compared with.
COLOURS = (
    ("#0069a8", "#6cbcf0"),
    ("#b84700", "#ffa05c"),
    ("#00735a", "#4fd6a8"),
    ("#a0407a", "#f29ccb"),
    ("#7d5a00", "#eec55a"),
    ("#5b4fc4", "#b3a8ff"),
    ("#8c3b3b", "#f0a0a0"),
    ("#4a7300", "#a5d65a"),
    ("#59646e", "#aebac4"),
)
_NEUTRAL = len(COLOURS) - 1
_SHAPES = (
    "M-4.5,0a4.5,4.5 0 1,0 9,0a4.5,4.5 0 1,0 -9,0Z",
    "M-4,-4H4V4H-4Z",
    "M0,-5.2L5,3.8H-5Z",
    "M0,-5.6L5.6,0L0,5.6L-5.6,0Z",
    "M0,5.2L5,-3.8H-5Z",
    "M-1.6,-5H1.6V-1.6H5V1.6H1.6V5H-1.6V1.6H-5V-1.6H-1.6Z",
    "M0,-5.5L5.2,-1.3L3.2,4.6H-3.2L-5.2,-1.3Z",
)
_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 14, 14, 44
_FAINT = 2.2


@dataclass(frozen=True)
class Series:
    """What one arm or run contributes.

    Attributes:
        name: of the arm, for filters and the legend.
        points: (x, y), finite; a value that a logarithmic axis cannot show is left out.
        hints: what a pointer over each point says; empty: nothing.
        style: colour and shape, from 0 up; None: neutral.
        bars: lower and upper y of each point's error bar; empty: none.
        faint: (x, y) of what the points are means of.
        images: which image each point belongs to, for filters.
        line: whether the points are joined.
        marks: whether the points are drawn.
        band: (x, lower y, upper y) of a band around the line.
    """

    name: str
    points: Points
    hints: Sequence[str] = ()
    style: int | None = None
    bars: Sequence[tuple[float, float]] = ()
    faint: Points = ()  # pyright: ignore[reportAssignmentType]
    images: Sequence[str] = ()
    line: bool = False
    marks: bool = True
    band: Sequence[tuple[float, float, float]] = ()


@dataclass(frozen=True)
class Axis:
    """One axis: what it shows, and whether by its logarithm."""

    label: str
    log: bool = False

    def shows(self, value: float) -> bool:
        """Whether a value has a place on it."""
        return math.isfinite(value) and (value > 0 or not self.log)


@dataclass(frozen=True)
class Interval:
    """One row of `intervals`: a difference with its interval, and those of the seeds; `arm` is for filters."""

    name: str
    arm: str
    mean: float
    low: float | None
    high: float | None
    seeds: Sequence[float] = ()
    style: int | None = None
    shown: bool = False


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


def style_sheet() -> str:
    """CSS for every chart."""

    def rules(which: int) -> str:
        text, grid, ground = (("#1c2329", "#d9dee3", "#fff"), ("#e4e9ed", "#3a444d", "#14191d"))[which]
        coloured = (
            f".chart .s{number} .mark,.chart .s{number} .faint,.chart .s{number} .band,.key.s{number} path"
            f"{{fill:{pair[which]}}}.chart .s{number} .line,.chart .s{number} .bar{{stroke:{pair[which]}}}"
            for number, pair in enumerate(COLOURS)
        )
        plain = f".chart text{{fill:{text}}}.chart .grid{{stroke:{grid}}}.chart .mark{{stroke:{ground}}}"
        return plain + "".join(coloured)

    return (
        ".chart{display:block;width:100%;height:auto;font:12.5px system-ui,sans-serif}"
        ".chart .line{fill:none;stroke-width:2;stroke-linejoin:round}.chart .bar{fill:none;stroke-width:2}"
        ".chart .level{stroke-dasharray:5 4;stroke-width:1.5}.chart .faint{opacity:.4}.chart .band{opacity:.18}"
        f".chart .mark{{stroke-width:.7px}}.chart .strong{{font-weight:700}}"
        f"{rules(0)}@media screen and (prefers-color-scheme:dark){{{rules(1)}}}"
    )


def key(style: int | None) -> str:
    """The mark of a series alone, for legends."""
    return (
        f'<svg class="key s{_colour(style)}" viewBox="-8 -8 16 16" width="14" height="14" aria-hidden="true">'
        f'<path d="{_shape(style)}"/></svg>'
    )


def chart(
    series: Sequence[Series], x: Axis, y: Axis, *, uid: str, title: str, level: tuple[str, float] | None = None
) -> str:
    """An SVG element, or a line of text where there is nothing to draw.

    Args:
        series: what to draw.
        x: horizontal axis.
        y: vertical axis.
        uid: unique in the document, for the title's id.
        title: what a screen reader says.
        level: a horizontal line with its label: what everything is compared with.
    """
    places = [(a, b) for one in series for a, b in _extent(one) if x.shows(a) and y.shows(b)]
    if not places:
        return '<p class="note">Nothing to draw.</p>'
    floor, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    across = _Scale(x, [a for a, _ in places], _LEFT, right)
    up = _Scale(y, [b for _, b in places] + ([level[1]] if level else []), floor, _TOP)
    parts = [_opening(uid, title, _HEIGHT)]
    for tick in up.ticks():
        parts.append(f'<path class="grid" d="M{_LEFT},{up(tick):.1f}H{right}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{up(tick) + 4:.1f}" text-anchor="end">{_tick_text(tick)}</text>')
    middle = (_TOP + floor) / 2
    place = f'x="12" y="{middle}" transform="rotate(-90 12 {middle})" text-anchor="middle"'
    parts += [*_axis_across(across, floor, _LEFT, right), f"<text {place}>{escape(y.label)}</text>"]
    if level:
        height = up(level[1])
        parts.append(
            f'<g class="s{_NEUTRAL}"><path class="line level" d="M{_LEFT},{height:.1f}H{right}"/>'
            f'<text x="{_LEFT + 4}" y="{height - 5:.1f}">{escape(level[0])}</text></g>'
        )
    parts += ["".join(_series(one, across, up)) for one in series]
    return "".join([*parts, "</svg>"])


def intervals(rows: Sequence[Interval], axis: str, *, uid: str, title: str, zero: str) -> str:
    """A dot and an interval for each row, its seeds as faint points, around a line at 0 called `zero`.

    A row that is `shown` is in bold.
    """
    if not rows:
        return '<p class="note">Nothing to draw.</p>'
    step, left = 28, 24 + round(7.2 * max(len(row.name) for row in rows))
    wide = left + 260
    floor = _TOP + 14 + step * len(rows)
    ends = [value for row in rows for value in (row.mean, row.low, row.high, *row.seeds) if value is not None]
    across = _Scale(Axis(axis), [0.0, *ends], left, wide - _RIGHT)
    across.low = min(across.low, min([0.0, *ends]) - 0.04 * (across.high - across.low))
    middle = across(0.0)
    parts = [
        _opening(uid, title, floor + _BOTTOM, wide),
        *_axis_across(across, floor, left, wide - _RIGHT, grid=_TOP + 12),
        f'<g class="s{_NEUTRAL}"><path class="line level" d="M{middle:.1f},{_TOP + 8}V{floor}"/>'
        f'<text x="{middle:.1f}" y="{_TOP}" text-anchor="middle">{escape(zero)}</text></g>',
    ]
    for number, row in enumerate(rows):
        height = _TOP + 28 + step * number
        dots = "".join(
            f'<circle class="faint" cx="{across(s):.1f}" cy="{height + 8}" r="{_FAINT}"/>' for s in row.seeds
        )
        bar = ""
        if row.low is not None and row.high is not None:
            bar = f'<path class="bar" d="M{across(row.low):.1f},{height}H{across(row.high):.1f}"/>'
        strong = ' class="strong"' if row.shown else ""
        parts.append(
            f'<g class="s{_colour(row.style)}" data-model="{escape(row.arm)}">{dots}{bar}'
            f'<path class="mark" transform="translate({across(row.mean):.1f},{height})" d="{_shape(row.style)}"/>'
            f'<text{strong} x="{left - 10}" y="{height + 4}" text-anchor="end">{escape(row.name)}</text></g>'
        )
    return "".join([*parts, "</svg>"])


def standalone(charts: Sequence[tuple[str, str]], legend: Sequence[tuple[str, int | None]] = ()) -> str:
    """An SVG file of charts, each under its heading, in two columns; above them what each mark stands for.

    Args:
        charts: (heading, what `chart` or `intervals` returned).
        legend: (name, style).
    """
    columns = min(2, len(charts))
    rows = -(-len(charts) // columns)
    sizes = [_size(svg) for _, svg in charts]
    wide, high = max(size[0] for size in sizes) + 24, max(size[1] for size in sizes) + 48
    top = 24 * -(-len(legend) // columns) + 8 if legend else 0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns * wide} {rows * high + top}" '
        f'width="{columns * wide}" height="{rows * high + top}"><style>{style_sheet()}'
        ".ground{fill:#fff}.head{font:600 15px system-ui,sans-serif;fill:#1c2329}.name{font:13px system-ui,sans-serif;"
        "fill:#1c2329}@media screen and (prefers-color-scheme:dark){.ground{fill:#14191d}.head,.name{fill:#e4e9ed}}"
        "</style>"
        '<rect class="ground" width="100%" height="100%"/>'
    ]
    for number, (name, style) in enumerate(legend):
        left, base = number % columns * wide + 20, 22 + 24 * (number // columns)
        place = f'class="key s{_colour(style)}" transform="translate({left},{base - 5})"'
        mark = f'<g {place}><path d="{_shape(style)}"/></g>'
        parts.append(f'{mark}<text class="name" x="{left + 12}" y="{base}">{escape(name)}</text>')
    for number, (heading, svg) in enumerate(charts):
        left, above = number % columns * wide + 12, number // columns * high + top
        own_wide, own_high = sizes[number]
        sized = svg.replace("<svg ", f'<svg x="{left}" y="{above + 36}" width="{own_wide}" height="{own_high}" ', 1)
        parts.append(f'<text class="head" x="{left + 4}" y="{above + 26}">{escape(heading)}</text>{sized}')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _size(svg: str) -> tuple[int, int]:
    """Width and height of a chart, from its view box; of a line of text, that of a chart."""
    if not svg.startswith("<svg"):
        return _WIDTH, _HEIGHT
    wide, high = svg.partition('viewBox="0 0 ')[2].partition('"')[0].split()
    return int(wide), int(high)


def _opening(uid: str, title: str, high: int, wide: int = _WIDTH) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {wide} {high}" role="img" aria-labelledby="{uid}">'
        f'<title id="{uid}">{escape(title)}</title>'
    )


def _extent(one: Series) -> Iterator[tuple[float, float]]:
    """Everything of a series that must have a place."""
    yield from one.points
    yield from one.faint
    yield from ((at, value) for (at, _), bar in zip(one.points, one.bars, strict=False) for value in bar)
    yield from ((at, value) for at, *values in one.band for value in values)


def _axis_across(across: _Scale, floor: float, left: float, right: float, grid: float | None = None) -> Iterator[str]:
    for tick in across.ticks():
        mark = f"{floor}v5" if grid is None else f"{grid}V{floor + 5}"
        yield f'<path class="grid" d="M{across(tick):.1f},{mark}"/>'
        yield f'<text x="{across(tick):.1f}" y="{floor + 18}" text-anchor="middle">{_tick_text(tick)}</text>'
    yield f'<path class="grid" d="M{left},{floor}H{right}"/>'
    yield f'<text x="{(left + right) / 2}" y="{floor + 38}" text-anchor="middle">{escape(across.axis.label)}</text>'


def _tick_text(value: float) -> str:
    return short_number(value) if abs(value) >= 10_000 else f"{value:.6g}"


def _series(one: Series, across: _Scale, up: _Scale) -> Iterator[str]:
    """Band, line, bars, faint points and marks, from the back to the front."""

    def placed(points: Points) -> list[tuple[float, float, int]]:
        shown = across.axis.shows, up.axis.shows
        return [(across(a), up(b), at) for at, (a, b) in enumerate(points) if shown[0](a) and shown[1](b)]

    yield f'<g class="s{_colour(one.style)}" data-model="{escape(one.name)}">'
    lower, upper = placed([(x, low) for x, low, _ in one.band]), placed([(x, high) for x, _, high in one.band])
    if lower and upper:
        around = "L".join(f"{a:.1f},{b:.1f}" for a, b, _ in [*lower, *upper[::-1]])
        yield f'<path class="band" d="M{around}Z"/>'
    points = placed(one.points)
    if one.line and len(points) > 1:
        yield f'<path class="line" d="M{"L".join(f"{a:.1f},{b:.1f}" for a, b, _ in points)}"/>'
    for a, b, _ in placed(one.faint):
        yield f'<circle class="faint" cx="{a:.1f}" cy="{b:.1f}" r="{_FAINT}"/>'
    for a, b, at in points if one.marks else ():
        if one.bars and all(map(up.axis.shows, one.bars[at])):
            low, high = map(up, one.bars[at])
            yield f'<path class="bar" d="M{a - 4:.1f},{low:.1f}h8M{a:.1f},{low:.1f}V{high:.1f}m-4,0h8"/>'
        hint = f"<title>{escape(one.hints[at])}</title>" if one.hints else ""
        image = f' data-image="{escape(one.images[at])}"' if one.images else ""
        yield f'<path class="mark" transform="translate({a:.1f},{b:.1f})" d="{_shape(one.style)}"{image}>{hint}</path>'
    yield "</g>"


def _colour(style: int | None) -> int:
    return _NEUTRAL if style is None else style % _NEUTRAL


def _shape(style: int | None) -> str:
    return _SHAPES[0] if style is None else _SHAPES[(style + style // _NEUTRAL) % len(_SHAPES)]
