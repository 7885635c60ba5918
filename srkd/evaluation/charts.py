"""Line and scatter charts as SVG text, labelled directly; marks differ in shape too, for print and the colour-blind.

A chart's colours come from `style_sheet()`, which follows the reader's light or dark scheme; no script is needed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from srkd.evaluation.curves import Points

# (on light, on dark) grounds: after Okabe and Ito's palette for the colour-blind, darkened or lightened until text in
# them has a contrast of 4.5 : 1; the last one is for what is compared with.
_COLOURS = (
    ("#0069a8", "#6cbcf0"),
    ("#b84700", "#ffa05c"),
    ("#00735a", "#4fd6a8"),
    ("#a0407a", "#f29ccb"),
    ("#7d5a00", "#eec55a"),
    ("#5b4fc4", "#b3a8ff"),
    ("#8c3b3b", "#f0a0a0"),
    ("#59646e", "#aebac4"),
)
_NEUTRAL = len(_COLOURS) - 1
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
_TEXT = 12.5
_LETTER = 0.6 * _TEXT  # the mean width of a letter in a wide font; labels are placed by it

Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


@dataclass(frozen=True)
class Series:
    """What one model or run contributes.

    Attributes:
        label: written beside the last point; empty: nothing.
        points: (x, y), finite; a value that a logarithmic axis cannot show is left out.
        hints: what a pointer over each point says; empty: nothing.
        names: written beside each point; empty: nothing.
        style: colour and shape, from 0 up; None: neutral.
        model: which model it belongs to, for filters.
        images: which image each point belongs to, for filters.
        line: whether the points are joined.
        marks: whether the points are drawn.
    """

    label: str
    points: Points
    hints: Sequence[str] = ()
    names: Sequence[str] = ()
    style: int | None = None
    model: str = ""
    images: Sequence[str] = ()
    line: bool = False
    marks: bool = True


@dataclass(frozen=True)
class Axis:
    """One axis: what it shows, and whether by its logarithm."""

    label: str
    log: bool = False


@dataclass(frozen=True)
class _Scale:
    """Values to pixels."""

    axis: Axis
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        low, high, at = (_position(self.axis, v) for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)


@dataclass
class _Labels:
    """Places labels where neither a mark nor another label is."""

    taken: list[Box] = field(default_factory=list[Box])

    def place(self, x: float, y: float, text: str, *, upwards: bool) -> tuple[float, float] | None:
        """Left end and base line of `text` near (x, y), where it is not beside it: rather above or below; or None."""
        width = len(text) * _LETTER
        steps = [step * 13.0 for step in range(1, 12)]
        above, below = [-step for step in steps], steps
        for down in [0.0, *(above + below if upwards else below + above)]:
            centred = min(max(x - width / 2, _LEFT + 2), _WIDTH - 2 - width)
            for left in (x + 9, x - 9 - width, centred) if down else (x + 9, x - 9 - width):
                base = y + down + 4
                box = (left, base - 10, left + width, base + 3)
                if _inside(box) and not any(_overlap(box, other) for other in self.taken):
                    self.taken.append(box)
                    return left, base
        return None


def style_sheet() -> str:
    """CSS for every chart."""

    def rules(which: int) -> str:
        text, grid, ground = (("#1c2329", "#d9dee3", "#fff"), ("#e4e9ed", "#3a444d", "#14191d"))[which]
        return "".join(
            [
                f".chart text{{fill:{text}}}.chart .grid{{stroke:{grid}}}",
                f".chart .halo,.chart text,.chart .mark{{stroke:{ground}}}",
                *(
                    f".chart .s{number} .mark,.chart .s{number} text,.key.s{number} path{{fill:{pair[which]}}}"
                    f".chart .s{number} .line{{stroke:{pair[which]}}}"
                    for number, pair in enumerate(_COLOURS)
                ),
            ]
        )

    return (
        f".chart{{display:block;width:100%;height:auto;font:{_TEXT}px system-ui,sans-serif}}"
        ".chart .line{fill:none;stroke-width:2;stroke-linejoin:round}"
        ".chart .level{stroke-dasharray:5 4;stroke-width:1.5}"
        ".chart .lead{stroke-width:1;opacity:.6}"
        ".chart .halo{fill:none;stroke-width:4;stroke-linejoin:round;opacity:.85}"
        ".chart text{paint-order:stroke;stroke-width:3px}"
        ".chart .mark{stroke-width:.7px}"
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
    shown = [_drawable(one, x, y) for one in series]
    xs = [point[0] for points in shown for point, _ in points]
    ys = [point[1] for points in shown for point, _ in points]
    if not xs:
        return '<p class="note">Nothing to draw.</p>'
    across = _scale(x, xs, _LEFT, _WIDTH - _RIGHT)
    up = _scale(y, [*ys, level[1]] if level else ys, _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-labelledby="{uid}">',
        f'<title id="{uid}">{escape(title)}</title>',
        *_axes(across, up),
    ]
    groups = [
        (one, [(across(a), up(b), at) for (a, b), at in points]) for one, points in zip(series, shown, strict=True)
    ]
    labels = _Labels([(a - 6, b - 6, a + 6, b + 6) for one, points in groups for a, b in _occupied(one, points)])
    if level:
        height = up(level[1])
        parts.append(f'<g class="s{_NEUTRAL}"><path class="line level" d="M{_LEFT},{height:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f"{_label(labels, _LEFT - 6, height - 9, level[0], upwards=True)}</g>")
    parts += [_series(one, points) for one, points in groups if points]
    # From the middle outwards, the upper ones upwards: what belongs to points close together is in their order.
    wanted = sorted((b, a, text, number) for number, group in enumerate(groups) for a, b, text in _texts(*group))
    middle = (len(wanted) - 1) / 2
    for rank in sorted(range(len(wanted)), key=lambda rank: abs(rank - middle)):
        b, a, text, number = wanted[rank]
        parts.append(f"{_group(series[number])}{_label(labels, a, b, text, upwards=rank < middle)}</g>")
    return "".join([*parts, "</svg>"])


def standalone(charts: Sequence[tuple[str, str]]) -> str:
    """An SVG file of charts, each under its heading, in two columns.

    Args:
        charts: (heading, what `chart` returned).
    """
    columns = min(2, len(charts))
    rows = -(-len(charts) // columns)
    wide, high = _WIDTH + 24, _HEIGHT + 48
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {columns * wide} {rows * high}" '
        f'width="{columns * wide}" height="{rows * high}"><style>{style_sheet()}'
        ".ground{fill:#fff}.head{font:600 15px system-ui,sans-serif;fill:#1c2329}"
        "@media screen and (prefers-color-scheme:dark){.ground{fill:#14191d}.head{fill:#e4e9ed}}</style>"
        '<rect class="ground" width="100%" height="100%"/>'
    ]
    for number, (heading, svg) in enumerate(charts):
        left, top = number % columns * wide + 12, number // columns * high
        sized = svg.replace("<svg ", f'<svg x="{left}" y="{top + 36}" width="{_WIDTH}" height="{_HEIGHT}" ', 1)
        parts.append(f'<text class="head" x="{left + 4}" y="{top + 26}">{escape(heading)}</text>{sized}')
    return "\n".join([*parts, "</svg>"]) + "\n"


def si(value: float) -> str:
    """A number with the prefix that keeps it short: 28.6 G."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if abs(value) >= size:
            return f"{value / size:.4g} {unit}"
    return f"{value:.4g}"


def _drawable(one: Series, x: Axis, y: Axis) -> list[tuple[tuple[float, float], int]]:
    return [
        (point, at)
        for at, point in enumerate(one.points)
        if all(math.isfinite(v) and (v > 0 or not axis.log) for v, axis in zip(point, (x, y), strict=True))
    ]


def _position(axis: Axis, value: float) -> float:
    return math.log10(value) if axis.log else value


def _scale(axis: Axis, values: Sequence[float], start: float, end: float) -> _Scale:
    low, high = min(values), max(values)
    if axis.log:
        room = max((math.log10(high) - math.log10(low)) * 0.07, 0.04)
        return _Scale(axis, low * 10**-room, high * 10**room, start, end)
    room = (high - low) * 0.07 or max(abs(high) * 0.01, 0.1)
    return _Scale(axis, low - room if low < 0 or low - room > 0 else 0.0, high + room, start, end)


def _ticks(scale: _Scale) -> list[float]:
    """Round numbers: powers of ten on a logarithmic axis, with what is between them as far as there are too few."""
    if scale.axis.log:
        powers = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
        for factors in ((1,), (1, 2, 5), (1, 2, 3, 5, 7)):
            ticks = [factor * 10.0**power for power in powers for factor in factors]
            ticks = [tick for tick in ticks if scale.low <= tick <= scale.high]
            if len(ticks) >= 3:
                return ticks
    rough = (scale.high - scale.low) / 5
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= rough * 0.999)
    ticks = [step * number for number in range(math.ceil(scale.low / step), math.floor(scale.high / step) + 1)]
    return [tick for tick in ticks if tick > 0 or not scale.axis.log]


def _tick_text(value: float) -> str:
    return si(value) if abs(value) >= 10_000 else f"{value:.6g}"


def _axes(across: _Scale, up: _Scale) -> Iterator[str]:
    floor = _HEIGHT - _BOTTOM
    for tick in _ticks(up):
        yield f'<path class="grid" d="M{_LEFT},{up(tick):.1f}H{_WIDTH - _RIGHT}"/>'
        yield f'<text x="{_LEFT - 6}" y="{up(tick) + 4:.1f}" text-anchor="end">{_tick_text(tick)}</text>'
    for tick in _ticks(across):
        yield f'<path class="grid" d="M{across(tick):.1f},{floor}v5"/>'
        yield f'<text x="{across(tick):.1f}" y="{floor + 18}" text-anchor="middle">{_tick_text(tick)}</text>'
    yield f'<path class="grid" d="M{_LEFT},{floor}H{_WIDTH - _RIGHT}"/>'
    centre, middle = (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + floor) / 2
    for place, axis in (
        (f'x="{centre}" y="{_HEIGHT - 6}"', across.axis),
        (f'x="12" y="{middle}" transform="rotate(-90 12 {middle})"', up.axis),
    ):
        yield f'<text {place} text-anchor="middle">{escape(axis.label)}</text>'


def _occupied(one: Series, points: Sequence[tuple[float, float, int]]) -> Iterator[tuple[float, float]]:
    """The marks, and points along the line that are not far apart."""
    yield from ((a, b) for a, b, _ in points)
    for (a, b, _), (c, d, _) in itertools.pairwise(points) if one.line else ():
        steps = int(max(abs(c - a), abs(d - b)) / 10)
        yield from (
            (a + (c - a) * step / (steps + 1), b + (d - b) * step / (steps + 1)) for step in range(1, steps + 1)
        )


def _texts(one: Series, points: Sequence[tuple[float, float, int]]) -> Iterator[tuple[float, float, str]]:
    """The labels of a series and where they belong."""
    if points and one.label:
        yield *max(points)[:2], one.label
    yield from ((a, b, one.names[at]) for a, b, at in points if one.names and one.names[at])


def _group(one: Series) -> str:
    return f'<g class="s{_colour(one.style)}" data-model="{escape(one.model)}">'


def _series(one: Series, points: Sequence[tuple[float, float, int]]) -> str:
    parts = [_group(one)]
    if one.line and len(points) > 1:
        line = "L".join(f"{a:.1f},{b:.1f}" for a, b, _ in points)
        parts.append(f'<path class="halo" d="M{line}"/><path class="line" d="M{line}"/>')
    for a, b, at in points if one.marks else ():
        hint = f"<title>{escape(one.hints[at])}</title>" if one.hints else ""
        image = f' data-image="{escape(one.images[at])}"' if one.images else ""
        parts.append(
            f'<path class="mark" transform="translate({a:.1f},{b:.1f})" d="{_shape(one.style)}"{image}>{hint}</path>'
        )
    return "".join([*parts, "</g>"])


def _label(labels: _Labels, x: float, y: float, text: str, *, upwards: bool) -> str:
    place = labels.place(x, y, text, upwards=upwards)
    if place is None:  # the legend names it, and the table has its numbers
        return ""
    left, base = place
    lead = ""
    if abs(base - 4 - y) > 20:
        near = min(max(x, left), left + len(text) * _LETTER)
        lead = f'<path class="line lead" d="M{x:.1f},{y:.1f}L{near:.1f},{base + 3 if base < y else base - 10:.1f}"/>'
    return f'{lead}<text x="{left:.1f}" y="{base:.1f}">{escape(text)}</text>'


def _inside(box: Box) -> bool:
    return box[0] >= _LEFT + 2 and box[2] <= _WIDTH - 2 and box[1] >= 2 and box[3] <= _HEIGHT - _BOTTOM


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _colour(style: int | None) -> int:
    return _NEUTRAL if style is None else style % _NEUTRAL


def _shape(style: int | None) -> str:
    return _SHAPES[0] if style is None else _SHAPES[(style + style // _NEUTRAL) % len(_SHAPES)]
