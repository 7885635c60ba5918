"""Templates: all markup of pages and charts stands in `evaluation/templates`, none in Python."""

from __future__ import annotations

from typing import Any

import jinja2
from markupsafe import Markup

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


def tick_text(value: float) -> str:
    """A number beside an axis."""
    return short_number(value) if abs(value) >= 10_000 else f"{value:.6g}"


_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("srkd.evaluation"),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals.update({"colours": COLOURS, "neutral": len(COLOURS) - 1})  # pyright: ignore[reportCallIssue, reportArgumentType]
_TEMPLATES.filters |= {"px": "{:.1f}".format, "short": tick_text, "count": short_number}


def rendered(template: str, **values: Any) -> Markup:
    """A template with its values; text in them is escaped."""
    return Markup(_TEMPLATES.get_template(template).render(values))
