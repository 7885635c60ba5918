"""One self-contained HTML page of results: table, charts, pictures, training curves, options, environment."""

from __future__ import annotations

import base64
import hashlib
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from srkd import __version__
from srkd.evaluation.arms import Arm
from srkd.evaluation.compare import ALL
from srkd.evaluation.report.curves import METRICS_FILE, Run, read_run
from srkd.evaluation.report.figures import cost_charts, difference_charts, gain_charts, training_charts
from srkd.evaluation.report.gather import Gathered
from srkd.evaluation.report.markup import rendered
from srkd.evaluation.report.pictures import Scene, origin
from srkd.evaluation.words import notes, sentence, table_of
from srkd.imaging.crops import heat
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
    style, script = rendered("report.css"), rendered("report.js")
    results = report.results
    paths = [file.path for file in results.files]
    in_sets = sorted(results.comparisons, key=lambda item: [*results.sets, ALL].index(item.set))
    labels = {arm.label: results.label(arm) for arm in results.arms}
    ends = itertools.accumulate(scene.size_in_page for scene in report.scenes)
    scenes = [scene for scene, end in zip(report.scenes, ends, strict=True) if end <= PICTURE_BYTES]
    missing = len(report.scenes) - len(scenes)
    left_out = [f"{missing} images have no pictures here, to keep the page small."] if missing else []
    page = rendered(
        "report.html",
        title=" · ".join(path.parent.name if path.stem == "benchmark" else path.stem for path in paths),
        version=__version__,
        results=results,
        report=report,
        policy=f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'",
        style=style,
        script=script,
        summary=_summary(results),
        differences=difference_charts(results),
        comparison=table_of([replace(item, arm=labels[item.arm]) for item in in_sets]) if in_sets else None,
        columns=_SHOWN,
        verdicts=[*map(sentence, results.comparisons), *(f"Note: {note}." for note in notes(results.comparisons))],
        charts=cost_charts(results),
        scatters=gain_charts(results),
        extremes=_extremes(results),
        scenes=scenes,
        heat=heat(np.linspace(0, 1, 8)[None], 1.0)[0].tolist(),
        curves=training_charts([one.run for one in report.experiments if one.run], results.styles),
        notes=[*results.notes, *report.notes, *left_out],
    )
    return str(page)


def _digest(text: str) -> str:
    written = text.encode("utf-8", "backslashreplace")  # as `atomic_write_text`
    return f"'sha256-{base64.b64encode(hashlib.sha256(written).digest()).decode('ascii')}'"


class Line(NamedTuple):
    """An arm on a set: its gain over the baseline, in means, and whether it is the best there."""

    set: str
    arm: Arm
    gain: float | None
    best: bool


def _summary(results: Gathered) -> list[Line]:
    """Every arm on every set that it was measured on."""
    found: list[Line] = []
    for name in results.sets:
        arms = [arm for arm in results.arms if any(arm.means(name, column) for column in results.metrics)]
        means = [arm.mean(name, results.headline) for arm in arms]
        known = [own for own in means if own is not None]
        best = results.metric(results.headline).best(known) if known else None
        base = next((own for arm, own in zip(arms, means, strict=True) if arm.name == results.baseline), None)
        for arm, own in zip(arms, means, strict=True):
            gain = math.nan if own is None or base is None or arm.name == results.baseline else own - base
            found.append(Line(name, arm, gain if math.isfinite(gain) else None, own is not None and own == best))
    return found


class Extremes(NamedTuple):
    """The images where an arm gains most and least on the control, and on how many of all it is behind."""

    set: str
    arm: Arm
    best: list[str]
    worst: list[str]
    behind: int
    n: int


def _extremes(results: Gathered) -> list[Extremes]:
    """Of every arm on every set, against the control, or the baseline where there is none."""
    control = results.control or results.models[results.baseline][0]
    sign = -1 if results.metric(results.headline).lower_better else 1
    found: list[Extremes] = []
    for name in results.sets:
        for arm in (arm for arm in results.arms if arm is not control):
            gains = sorted((sign * gain, image) for image, (_, gain) in results.gains(arm, control, name).items())
            texts = [f"{image} {sign * gain:+.3f}" for gain, image in gains]
            if texts:
                behind = sum(gain < 0 for gain, _ in gains)
                found.append(Extremes(name, arm, texts[::-1][:FEW], texts[:FEW], behind, len(texts)))
    return found
