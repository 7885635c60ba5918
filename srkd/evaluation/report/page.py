"""One self-contained HTML page of results: table, charts, pictures, training curves, options, environment."""

from __future__ import annotations

import base64
import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from srkd import __version__
from srkd.evaluation.arms import Arm
from srkd.evaluation.compare import ALL
from srkd.evaluation.report.charts import key, style_sheet
from srkd.evaluation.report.curves import METRICS_FILE, Run, read_run
from srkd.evaluation.report.figures import cost_charts, difference_charts, gain_charts, training_charts
from srkd.evaluation.report.gather import Gathered
from srkd.evaluation.report.pictures import Scene, origin
from srkd.evaluation.statistics import deviation
from srkd.evaluation.words import notes, sentence, table_of
from srkd.imaging.crops import heat
from srkd.metrics.metric import Metric
from srkd.table import short_number
from srkd.types import InputError

PICTURE_BYTES = 8_000_000
"""Pictures beyond so many bytes are left out, and the page says so: it is to stay below 10 MB."""

FEW = 3
_SHOWN = ("set", "arm", "difference", "95 % interval", "verdict", "seed by seed", "better on", "p")


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
    places = [origin(run) for arm in results.arms for run in arm.runs]
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
    paths = [file.path for file in results.files]
    in_sets = sorted(results.comparisons, key=lambda item: [*results.sets, ALL].index(item.set))
    labels = {arm.label: results.label(arm) for arm in results.arms}
    shorter = [replace(item, arm=labels[item.arm]) for item in in_sets]
    comparison = table_of(shorter) if shorter else None
    scenes, left_out = _that_fit(report.scenes)
    return page.from_string(text["report.html"]).render(
        title=" · ".join(path.parent.name if path.stem == "benchmark" else path.stem for path in paths),
        version=__version__,
        count=lambda value: short_number(value) if value else "–",
        key=lambda name: Markup(key(results.styles[name])),
        origin=_origin,
        results=results,
        report=report,
        policy=f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'",
        style=Markup(style),
        script=Markup(script),
        summary=_summary(results),
        rows=_rows(results),
        differences=difference_charts(results),
        comparison=comparison,
        shown=[at for at, column in enumerate(comparison.columns if comparison else ()) if column.name in _SHOWN],
        verdicts=[*map(sentence, results.comparisons), *(f"Note: {note}." for note in notes(results.comparisons))],
        charts=cost_charts(results),
        scatters=gain_charts(results),
        extremes=_extremes(results),
        scenes=scenes,
        heat=_heat_stops(),
        curves=training_charts([one.run for one in report.experiments if one.run], results.styles),
        notes=[*results.notes, *report.notes, *left_out],
    )


def _digest(text: str) -> str:
    written = text.encode("utf-8", "backslashreplace")  # as `atomic_write_text`
    return f"'sha256-{base64.b64encode(hashlib.sha256(written).digest()).decode('ascii')}'"


def _origin(arm: Arm) -> str:
    record = arm.runs[0].record
    return ", ".join(f"{word} {record[word]}" for word in ("method", "iter", "key") if record.get(word) is not None)


def _summary(results: Gathered) -> list[dict[str, Any]]:
    """A line for each set and arm: means over its runs, the gain over the baseline, whether it is the best, costs."""
    found: list[dict[str, Any]] = []
    metric = results.metric(results.headline)
    for name in results.sets:
        lines: list[dict[str, Any]] = []
        for arm in results.arms:
            runs = {column: arm.means(name, column) for column in results.metrics}
            costs = {what: arm.cost(what, name) for what in ("params", "multi_adds", "seconds")}
            images = min(len(run.of(name)) for run in arm.runs)
            line: dict[str, Any] = {
                "set": name,
                "model": arm.name,
                "width": arm.width,
                **costs,
                "n": images,
                "runs": len(arm.runs),
            }
            line["means"] = {column: float(np.mean(own)) if own else None for column, own in runs.items()}
            line["texts"] = {column: _plus_minus(results.metric(column), own) for column, own in runs.items()}
            if any(runs.values()):
                lines.append(line)
        value = [line["means"][results.headline] for line in lines]
        base = next((own for line, own in zip(lines, value, strict=True) if line["model"] == results.baseline), None)
        best = metric.best(known) if (known := [own for own in value if own is not None]) else None
        for line, own in zip(lines, value, strict=True):
            gain = math.nan if own is None or base is None else own - base
            line["gain"] = gain if math.isfinite(gain) and line["model"] != results.baseline else None
            line["best"] = own is not None and own == best
        found += lines
    return found


def _plus_minus(metric: Metric, runs: Sequence[float]) -> str:
    spread = deviation(runs) if runs and all(map(math.isfinite, runs)) else None
    middle = metric.text(float(np.mean(runs)) if runs else None)
    return middle if spread is None else f"{middle} ± {spread:.{metric.digits}f}"


def _rows(results: Gathered) -> list[dict[str, Any]]:
    """A line for each image and arm: means over its runs."""
    found: list[dict[str, Any]] = []
    for name in results.sets:
        for arm in results.arms:
            own = [(results.metric(column), arm.by_image(name, column)) for column in results.metrics]
            for row in arm.runs[0].of(name):
                texts = [(metric.text(means.get(row.image)), means.get(row.image)) for metric, means in own]
                line = {"image": row.image, "values": texts, "seconds": row.seconds}
                found.append({"set": name, "model": arm.name, "width": arm.width, **line})
    return found


def _extremes(results: Gathered) -> list[dict[str, Any]]:
    """For every set and arm the images where it gains most and least on the control, or on the baseline."""
    control = results.control or next(arm for arm in results.arms if arm.name == results.baseline)
    sign = -1 if results.metric(results.headline).lower_better else 1
    found: list[dict[str, Any]] = []
    for name in results.sets:
        base = control.by_image(name, results.headline)
        for arm in (arm for arm in results.arms if arm is not control):
            own = arm.by_image(name, results.headline)
            gains = sorted((sign * (own[image] - base[image]), image) for image in own if image in base)
            gains = [(gain, image) for gain, image in gains if math.isfinite(gain)]
            texts = [f"{image} {sign * gain:+.3f}" for gain, image in gains]
            line = {"worst": texts[:FEW], "best": texts[::-1][:FEW], "n": len(gains)}
            if gains:
                line["behind"] = sum(gain < 0 for gain, _ in gains)
                found.append({"set": name, "model": arm.name, "width": arm.width, **line})
    return found


def _that_fit(scenes: Sequence[Scene]) -> tuple[list[Scene], list[str]]:
    """As many scenes as there is room for; and a line on the others."""
    ends = itertools.accumulate(scene.size_in_page for scene in scenes)
    found = [scene for scene, end in zip(scenes, ends, strict=True) if end <= PICTURE_BYTES]
    missing = len(scenes) - len(found)
    return found, [f"{missing} images have no pictures here, to keep the page small."] if missing else []


def _heat_stops() -> list[dict[str, str]]:
    """The colours of error maps from 0 to their peak."""
    colours = heat(np.linspace(0, 1, 8)[None], 1.0)[0]
    return [
        {"offset": f"{number / 7:.3f}", "colour": f"#{''.join(f'{level:02x}' for level in colour)}"}
        for number, colour in enumerate(colours)
    ]
