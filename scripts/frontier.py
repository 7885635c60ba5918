"""The frontier: PSNR over multiply-adds and over milliseconds, ours among published networks; make_table.py writes it.

Ours are read from docs/results/switchable_x4/benchmark.json, the others from docs/results/published_networks.json, and
times from docs/results/frontier_x4/milliseconds.json (scripts/reproduce/milliseconds.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from srkd.evaluation.report.charts import Axis, Figure, Point, Series, chart, standalone
from srkd.evaluation.result import Result, read_result

RESULTS = Path(__file__).parents[1] / "docs/results"
SETS = ("Set5", "Urban100")
OURS = "srkd at its widths: fewer than 500 photographs, on a CPU"
DATA = ("DIV2K + Flickr2K", "DIV2K", "291 images")  # of the others, by the style of their marks, after ours
COSTS = {
    "multi_adds": "multiply-adds for a 1280 × 720 output, G",
    "milliseconds": "milliseconds for it on one core, fp32",
}
SIGN, LINE = 6.9, 12  # width of a letter and height of a line of the names, pixels
LINES = re.compile(r'class="line" d="M([^"]*)"')
MARK = re.compile(r'class="mark" transform="translate\(([\d.]+),([\d.]+)\)"[^>]*><title>([^<]*)</title>')


class Box(NamedTuple):
    """Where something stands: left, top, right, bottom."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """The area that two have in common."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(across, 0) * max(down, 0)


class Network(NamedTuple):
    """One mark: its label, the data that it learnt from, its costs and its PSNR by set."""

    label: str
    data: str
    costs: dict[str, float | None]
    psnr: dict[str, float]


def _content(name: str) -> dict[str, Any]:
    file = RESULTS / name
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def networks(result: Result) -> list[Network]:
    """Ours at each width, narrowest first, then the public ones whose training data were looked up."""
    times = _content("frontier_x4/milliseconds.json")
    measured: dict[str, float] = times.get("milliseconds", {})
    same = any(model.get("sha256") == times.get("sha256") for model in result.models)
    own = sorted((row for row in result.summary if row.multi_adds), key=lambda row: row.width)
    found: list[Network] = []
    for width in dict.fromkeys(row.width for row in own):
        rows = {row.set: row for row in own if row.width == width}
        row = rows[SETS[0]]
        time = measured.get(f"{row.model}@{width:g}") if same else None
        costs = {"multi_adds": (row.multi_adds or 0) / 1e9, "milliseconds": time}
        found.append(Network(f"{width:g}", OURS, costs, {name: rows[name].metrics["psnr"] for name in SETS}))
    for row in _content("published_networks.json")["rows"]:
        if "data" in row:
            costs = {"multi_adds": row["multi_adds"], "milliseconds": measured.get(row["network"])}
            found.append(Network(row["network"], row["data"], costs, {name: row[name] for name in SETS}))
    return found


def figure(found: Sequence[Network], cost: str, test_set: str) -> Figure:
    """A chart of all that have the cost, each mark with its name."""
    series: list[Series] = []
    for style, data in enumerate((OURS, *DATA)):
        points = [
            Point(value, one.psnr[test_set], hint=one.label)
            for one in found
            if one.data == data and (value := one.costs[cost]) is not None
        ]
        series.append(Series(data, points, style, line=data == OURS))
    title = f"×4, PSNR on {test_set}, dB"
    drawn = chart(series, Axis(COSTS[cost], log=True), Axis(f"PSNR on {test_set}"), title=title)
    return drawn._replace(svg=labelled(drawn.svg, drawn.wide, drawn.high))


def labelled(svg: Markup, wide: int, high: int) -> Markup:
    """A chart with the name of each mark beside it, where it hides least of marks, other names and the line."""
    marks = [(float(x), float(y), text) for x, y, text in MARK.findall(svg)]
    taken = [Box(x - 5, y - 5, x + 5, y + 5) for x, y, _ in marks]
    for line in LINES.findall(svg):
        ends = [tuple(map(float, end.split(","))) for end in line.split("L")]
        for ((ax, ay), (bx, by)), part in product(pairwise(ends), range(20)):
            x, y = ax + (bx - ax) * part / 20, ay + (by - ay) * part / 20
            taken.append(Box(x - 3, y - 3, x + 3, y + 3))
    frame = Box(62, 4, wide - 4, high - 46)
    texts: list[str] = []
    for x, y, text in sorted(marks):
        long = SIGN * len(text)
        beside = [(x + 8, y), (x - 8 - long, y)]
        sides = [(left, y + up) for up in (-13, 13, -18, 18, -24, 24) for left in (x - long / 2, x, x - long)]
        places = [Box(a, b - LINE / 2, a + long, b + LINE / 2) for a, b in beside + sides]
        hidden = [
            5 * sum(place.overlap(other) for other in taken)
            + 5 * (LINE * long - place.overlap(frame))
            + abs((place.left + place.right) / 2 - x) / 10
            + abs((place.top + place.bottom) / 2 - y)
            for place in places
        ]
        best = places[hidden.index(min(hidden))]
        texts.append(f'<text font-size="11" x="{best.left:.1f}" y="{best.bottom - 2.5:.1f}">{text}</text>\n')
        taken.append(best._replace(left=best.left - 3, right=best.right + 3))
    head, end, tail = str(svg).rpartition("</svg>")
    return Markup(head + "".join(texts) + end + tail)


def picture() -> str:
    """The file docs/images/frontier_x4.svg."""
    found = networks(read_result(RESULTS / "switchable_x4/benchmark.json"))
    figures = [figure(found, cost, name) for cost in COSTS for name in SETS if any(one.costs[cost] for one in found)]
    return standalone(figures, [(name, style) for style, name in enumerate((OURS, *DATA))], columns=1)


def behind(found: Sequence[Network], test_set: str) -> list[str]:
    """Our widths at which a public network is better for no more multiply-adds."""

    def better(one: Network, other: Network) -> bool:
        cost, most = other.costs["multi_adds"], one.costs["multi_adds"]
        return cost is not None and most is not None and cost <= most and other.psnr[test_set] > one.psnr[test_set]

    others = [other for other in found if other.data != OURS]
    return [one.label for one in found if one.data == OURS and any(better(one, other) for other in others)]


def note() -> str:
    """The picture in the page, where ours are behind, and on what machine times were measured."""
    found = networks(read_result(RESULTS / "switchable_x4/benchmark.json"))
    lines = ["![PSNR on Set5 and Urban100 over multiply-adds and over milliseconds](images/frontier_x4.svg)", ""]
    for name in SETS:
        where = ", ".join(behind(found, name)) or "none"
        lines.append(f"- {name}: a public network is ahead at no more multiply-adds of these widths of ours: {where}.")
    machine = _content("frontier_x4/milliseconds.json")["environment"]
    threads = f"{machine['threads']} thread{'s' * (machine['threads'] != 1)}"
    lines += ["", f"Times: {machine['hardware']}, {threads}, torch {machine['torch']}."]
    if any(one.costs["milliseconds"] is None for one in found if one.data == OURS):
        lines[-1] += " Those of our networks are not measured yet (`python scripts/reproduce/milliseconds.py`)."
    return "\n".join(lines)
