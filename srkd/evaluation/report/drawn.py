"""Training curves by matplotlib, for papers and slides: PDF and PNG. SVG needs nothing (`charts`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from srkd.atomic import atomic_path
from srkd.evaluation.report.charts import Axis, Series
from srkd.evaluation.report.markup import COLOURS
from srkd.types import InputError

SUFFIXES = (".pdf", ".png")


def draw(path: Path, charts: Sequence[tuple[str, Axis, Sequence[Series]]], names: Mapping[str, str]) -> None:
    """Write charts, each under its heading, two in a row.

    Args:
        path: `.pdf` or `.png`.
        charts: (heading, vertical axis, series) of each.
        names: what the legend calls each series.

    Raises:
        InputError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(
            f"{path.suffix} is drawn by matplotlib, which is not installed: pip install -e '.[plot]' in srkd's "
            "checkout, or choose .svg, which needs nothing."
        ) from None
    charts = [one for one in charts if any(series.points for series in one[2])]
    columns = min(2, len(charts))
    rows = -(-len(charts) // columns)
    figure = Figure(figsize=(5.2 * columns, 3.6 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for at, (heading, axis, series) in zip(axes, charts, strict=False):
        for one in series:
            colour = COLOURS[(one.style or 0) % len(COLOURS)][0]
            marker = "o" if one.marks else ""
            steps, values, lows, highs, *_ = zip(*one.points, strict=True)
            at.plot(steps, values, color=colour, marker=marker, markersize=3, label=names[one.name])
            if one.band:
                at.fill_between(steps, lows, highs, color=colour, alpha=0.18, linewidth=0)
        at.set(title=heading, xlabel="iteration", ylabel=axis.label, yscale="log" if axis.log else "linear")
        at.grid(axis="y", linewidth=0.4)
        at.legend(fontsize="small", frameon=False)
    for at in axes[len(charts) :]:
        at.remove()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=160, format=path.suffix[1:])
