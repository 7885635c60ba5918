"""One self-contained HTML page of results: table, charts, pictures, training curves, options, environment."""

from __future__ import annotations

import base64
import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from PIL import Image

from srkd import __version__
from srkd.evaluation.charts import key, si, style_sheet
from srkd.evaluation.crops import RGB8, heat
from srkd.evaluation.curves import METRICS_FILE, Run, read_run
from srkd.evaluation.figures import cost_charts, gain_charts, gain_over, training_charts
from srkd.evaluation.gather import Gathered
from srkd.evaluation.pictures import Scene, Shot, origin
from srkd.metrics.metric import metric_text
from srkd.types import InputError

PICTURE_BYTES = 8_000_000
"""Pictures beyond so many bytes are left out, and the page says so: it is to stay below 10 MB."""

WORST = 3


@dataclass(frozen=True)
class Experiment:
    """A training run's folder: its curves, and its options as text."""

    name: str
    run: Run | None
    options: str


@dataclass(frozen=True)
class Report:
    """Everything that goes into the page."""

    results: Gathered
    scenes: Sequence[Scene]
    experiments: Sequence[Experiment]
    notes: Sequence[str]


def find_experiments(results: Gathered, given: Sequence[str | Path]) -> tuple[list[Experiment], list[str]]:
    """The experiments that are named, then those whose `models/` hold a checkpoint of the results; and what is amiss.

    Raises:
        InputError: a folder that was named holds no training run.
    """
    roots = [Path(folder) for folder in given]
    for root in roots:
        if not (root / METRICS_FILE).exists() and not (root / "options.yml").exists():
            raise InputError(f"{root} is no experiment: it has neither {METRICS_FILE} nor options.yml.")
    places = [origin(record) for record in results.models.values()]
    roots += [place.parent.parent for place in places if place and place.parent.name == "models"]
    experiments: list[Experiment] = []
    notes: list[str] = []
    for root in dict.fromkeys(root.resolve() for root in roots):
        run, options = None, root / "options.yml"
        try:
            run = read_run(root) if (root / METRICS_FILE).exists() else None
        except InputError as error:
            notes.append(str(error))
        text = options.read_text(encoding="utf-8", errors="replace") if options.exists() else ""
        if run or text:
            experiments.append(Experiment(root.name, run, text))
    return experiments, notes


def render(report: Report) -> str:
    """The page; it fetches nothing, and its content security policy forbids it to."""
    templates = resources.files("srkd.evaluation") / "templates"
    text = {name: (templates / name).read_text(encoding="utf-8") for name in ("report.html", "report.css", "report.js")}
    style, script = style_sheet() + text["report.css"], text["report.js"]
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    results = report.results
    scenes, left_out = _scenes(results, report.scenes)
    return page.from_string(text["report.html"]).render(
        title=" · ".join(path.parent.name if path.stem == "benchmark" else path.stem for path in results.paths),
        files=[str(path) for path in results.paths],
        version=__version__,
        metric_text=metric_text,
        count=_count,
        results=results,
        policy=f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'",
        style=Markup(style),
        script=Markup(script),
        models=[
            {"name": name, "short": results.short[name], "key": Markup(key(results.styles[name])), **_origin(record)}
            for name, record in results.models.items()
        ],
        summary=_summary(results),
        rows=results.rows,
        charts=cost_charts(results),
        scatters=gain_charts(results),
        worst=_worst(results),
        scenes=scenes,
        heat=_heat_stops(),
        curves=training_charts([one.run for one in report.experiments if one.run], results.styles),
        experiments=[one for one in report.experiments if one.options],
        environments=list(zip(results.paths, results.environments, strict=True)),
        notes=[*results.notes, *report.notes, *left_out],
    )


def data_uri(image: RGB8, *, exact: bool = True) -> str:
    """A WebP picture as text: lossless, or small."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", lossless=exact, quality=90 if exact else 70, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def caption(results: Gathered, shot: Shot) -> str:
    """The headline metric of the whole image by the protocol, as the result file has it, or what else a picture is."""
    return results.with_unit(shot.value) if shot.model else shot.note


def _count(value: int | None) -> str:
    return si(value) if value else "–"


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


def _origin(record: dict[str, Any]) -> dict[str, str]:
    parts = [f"{word} {record[word]}" for word in ("method", "iter", "key") if record.get(word) is not None]
    return {"path": str(record.get("path") or ""), "origin": ", ".join(parts)}


def _summary(results: Gathered) -> list[dict[str, Any]]:
    """Lines of the table: the summary with the gain over the baseline, and whether it is the best of its set."""
    metric = results.headline
    base = {item.set: item.metrics[metric] for item in results.summary if item.model == results.baseline and item.n}
    best = {
        name: max(i.metrics.get(metric, -math.inf) for i in results.summary if i.set == name) for name in results.sets
    }
    return [
        {
            "item": item,
            "gain": None if item.model == results.baseline else gain_over(item, base, item.set, metric),
            "best": item.metrics.get(metric) == best.get(item.set),
            "key": Markup(key(results.styles[item.model])),
        }
        for item in results.summary
        if item.model in results.styles
    ]


def _worst(results: Gathered) -> list[dict[str, Any]]:
    """For every set and contender the images with the lowest value and with the smallest gain."""
    metric = results.headline
    found: list[dict[str, Any]] = []
    for name in results.sets:
        rows = [row for row in results.rows if row.set == name and math.isfinite(row.metrics.get(metric, math.inf))]
        base = {row.image: row.metrics[metric] for row in rows if row.model == results.baseline}
        for model, width in results.contenders:
            own = [row for row in rows if (row.model, row.width) == (model, width)]
            gains = [(row.metrics[metric] - base[row.image], row.image) for row in own if row.image in base]
            if model == results.baseline or not own:
                continue
            lowest = sorted((row.metrics[metric], row.image) for row in own)[:WORST]
            found.append(
                {
                    "set": name,
                    "model": model,
                    "width": width,
                    "key": Markup(key(results.styles[model])),
                    "lowest": [f"{image} {metric_text(metric, value)}" for value, image in lowest],
                    "gains": [f"{image} {gain:+.3f}" for gain, image in sorted(gains)[:WORST]],
                    "behind": sum(gain < 0 for gain, _ in gains),
                    "n": len(own),
                }
            )
    return found


def _scenes(results: Gathered, scenes: Sequence[Scene]) -> tuple[list[dict[str, Any]], list[str]]:
    """Scenes with their pictures as text, as many as there is room for; and a line on the others."""
    found: list[dict[str, Any]] = []
    room = PICTURE_BYTES
    for scene in scenes:
        pictures = [data_uri(shot.pixels) for shot in scene.shots]
        errors = [data_uri(shot.errors) if shot.errors is not None else "" for shot in scene.shots]
        thumbnail = data_uri(scene.thumbnail, exact=False)
        room -= len(thumbnail) + sum(map(len, [*pictures, *errors]))
        if room < 0:
            break
        shots = [
            {
                "model": shot.model,
                "label": results.label(shot.model, shot.width) if shot.model else shot.name,
                "key": Markup(key(results.styles[shot.model])) if shot.model else "",
                "caption": caption(results, shot),
                "picture": picture,
                "errors": error,
            }
            for shot, picture, error in zip(scene.shots, pictures, errors, strict=True)
        ]
        found.append({"scene": scene, "shots": shots, "thumbnail": thumbnail})
    missing = len(scenes) - len(found)
    return found, [f"{missing} images have no pictures here, to keep the page small."] if missing else []


def _heat_stops() -> list[dict[str, str]]:
    """The colours of error maps from 0 to their peak."""
    colours = heat(np.linspace(0, 1, 8)[None], 1.0)[0]
    return [
        {"offset": f"{number / 7:.3f}", "colour": f"#{''.join(f'{level:02x}' for level in colour)}"}
        for number, colour in enumerate(colours)
    ]
