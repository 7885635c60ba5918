"""The models once more on a few images, for pictures: result files hold numbers only."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srkd.compat.loading import load_network
from srkd.data.degradation import Degradation
from srkd.evaluation.arms import Arm, Run
from srkd.evaluation.models import Model, Upscale, bicubic, upscaler_at, with_upscaler
from srkd.evaluation.protocols import PROTOCOLS, Protocol, Sample, protocol_of
from srkd.evaluation.report.gather import Gathered
from srkd.evaluation.result import BICUBIC, Row
from srkd.evaluation.scoring import pair_names
from srkd.evaluation.sets import find_set
from srkd.imaging.crops import RGB8, Window, best_window, cut, difference, enlarged, heat
from srkd.imaging.files import list_images, read_image, to_rgb8
from srkd.metrics.metric import Metric
from srkd.types import InputError

VIEW = (144, 192)
"""Height and width of the part of an image that is shown, in pixels of the ground truth."""
DETAIL = (48, 64)
"""Height and width of the part of it that is enlarged."""
_THUMBNAIL = 240
_TOLERANCE = 0.02  # dB that another machine's arithmetic may change

Painter = Callable[[str, Sample], NDArray[Any]]
"""(image's name, sample) -> what `Protocol.score` takes."""


class Choice(NamedTuple):
    """An image worth looking at, and why."""

    image: str
    reason: str


@dataclass(frozen=True)
class Shot:
    """One picture of a scene.

    Attributes:
        model: name of the arm; empty for the low-resolution image and the ground truth.
        label: what it is.
        caption: the headline metric of the whole image, as the result file has it.
        pixels: the view, uint8 RGB [H, W, 3].
        errors: |picture - ground truth| as colours, of the same size; None for the ground truth and the LR image.
    """

    model: str
    label: str
    caption: str
    pixels: RGB8
    errors: RGB8 | None = None

    @cached_property
    def data_uris(self) -> tuple[str, str]:
        """`pixels` and `errors` as text; empty where there are no errors."""
        return data_uri(self.pixels), "" if self.errors is None else data_uri(self.errors)


def data_uri(image: RGB8, *, most: int | None = None) -> str:
    """A WebP picture as text: lossless, or where `most` is given small: so many pixels in height and width."""
    buffer, picture = io.BytesIO(), Image.fromarray(image)
    if most:
        picture.thumbnail((most, most), Image.Resampling.BOX)
    picture.save(buffer, "WEBP", lossless=not most, quality=70 if most else 90, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


@dataclass(frozen=True)
class Scene:
    """One image through every model.

    Attributes:
        set: the test set.
        image: the image's name in it.
        reason: why it was chosen.
        size: height and width of the whole image.
        view: the part that is shown.
        detail: the part of the view that is enlarged.
        peak: the error, in 8-bit levels, that has the lightest colour in every error map of the scene.
        thumbnail: the whole image, small, as text.
        shots: LR, every model, ground truth.
    """

    set: str
    image: str
    reason: str
    size: tuple[int, int]
    view: Window
    detail: Window
    peak: int
    thumbnail: str
    shots: list[Shot]

    @property
    def size_in_page(self) -> int:
        """Letters of its pictures."""
        return len(self.thumbnail) + sum(len(text) for shot in self.shots for text in shot.data_uris)


def take_pictures(
    results: Gathered,
    *,
    limit: int,
    roots: Sequence[Path] = (),
    device: str = "cpu",
    on_scene: Callable[[str], None] = lambda name: None,
) -> tuple[list[Scene], list[str]]:
    """Upscale the most telling images of each set with every model that is still there.

    Args:
        results: what was measured.
        limit: images of each set.
        roots: where to look for the sets first.
        device: where networks run.
        on_scene: called with the name of each image as its turn comes.

    Returns:
        The scenes, and a sentence on everything that could not be shown or is no longer what was measured.
    """
    if limit < 1:
        return [], []
    record, notes, scenes = results.protocol, list[str](), list[Scene]()
    protocol = protocol_of(
        record["name"] if record["name"] in PROTOCOLS else "y",  # which prepares images as all others do
        record["scale"],
        self_ensemble=record.get("self_ensemble") is True,
        degradation=Degradation(**record["degradation"]) if record.get("degradation") else None,
    )
    painters = _painters(results, protocol, device, notes)
    folders = {entry.get("name"): Path(str(entry.get("origin"))) for file in results.files for entry in file.sets}
    for name in results.sets:
        places = [*(root / name for root in roots), *([folders[name]] if name in folders else [])]
        try:
            found = find_set(next((str(place) for place in places if place.is_dir()), name))
        except InputError as error:
            notes.append(f"There are no pictures of {name}: {error} --sets-root names the folder that holds it.")
            continue
        rows = [row for row in results.rows if row.set == name]
        kind = results.metric(results.headline)
        for choice in choose_images(rows, results.headline, limit, baseline=results.baseline, kind=kind):
            on_scene(f"{name}/{choice.image}")
            try:
                sample = protocol.sample(*found.read(list(found.images).index(choice.image)), choice.image)
                made = [
                    (arm, row.metrics.get(results.headline, math.nan), paint(choice.image, sample))
                    for arm in results.arms
                    if (row := arm.runs[0].rows.get((name, choice.image)))
                    and (paint := painters.get((arm.name, arm.width)))
                ]
                scenes.append(_scene(results, name, choice, protocol, sample, made))
                notes += _changed(results, f"{name}/{choice.image}", protocol, sample, made)
            except (InputError, RuntimeError, ValueError) as error:  # RuntimeError: out of memory, for one
                notes.append(f"There is no picture of {name}/{choice.image}: {error}")
    return scenes, list(dict.fromkeys(notes))


def choose_images(rows: Sequence[Row], metric: str, limit: int, *, baseline: str, kind: Metric) -> list[Choice]:
    """The images of one set to show: in turn, where the models differ most and where the best gains least.

    Args:
        rows: of one set.
        metric: name of the column.
        limit: at most so many images.
        baseline: the model that the gain is measured from.
        kind: what the metric is.
    """
    values: dict[str, list[float]] = {}
    base: dict[str, float] = {}
    for row in rows:
        value = (-1 if kind.lower_better else 1) * min(row.metrics.get(metric, math.nan), 100.0)  # identical beyond
        if row.model == baseline and not math.isnan(value):
            base[row.image] = value
        elif not math.isnan(value):
            values.setdefault(row.image, []).append(value)
    spread = {image: max(own) - min(own) for image, own in values.items() if max(own) > min(own)}
    gain = {image: max(own) - base[image] for image, own in values.items() if image in base}

    def choices(numbers: dict[str, float], sign: int, text: str, behind: str = "") -> list[Choice]:
        ordered = sorted(numbers, key=lambda image: sign * numbers[image])
        return [Choice(image, f"{text} {kind.with_unit(f'{numbers[image]:.2f}')}{behind}") for image in ordered]

    apart = choices(spread, -1, "the models differ by")
    hard = choices(gain, 1, "the best model gains only", f" over {baseline}")
    rest = [Choice(row.image, "") for row in rows]
    turns = [choice for pair in zip(apart, hard, strict=False) for choice in pair] + apart + hard + rest
    first = {choice.image: choice for choice in reversed(turns)}
    return [first[image] for image in dict.fromkeys(choice.image for choice in turns)][:limit]


def origin(run: Run) -> Path | None:
    """Where a model of a result file is: as recorded, or from the folders above the result file."""
    path = run.record.get("path")
    if not isinstance(path, str):
        return None
    bases = (Path(), *run.file.path.resolve().parents[:2])
    return next((base / path for base in bases if (base / path).exists()), None)


def _painters(results: Gathered, protocol: Protocol, device: str, notes: list[str]) -> dict[tuple[str, float], Painter]:
    """What makes the pictures of each arm, by its name and width."""
    found: dict[tuple[str, float], Painter] = {}
    reasons: dict[str, tuple[list[str], str]] = {}  # by their ends: some have the same, such as a plugin not loaded
    for model, arms in results.models.items():
        run = arms[0].runs[0]
        place = origin(run)
        try:
            if model == BICUBIC:
                found[model, 1.0] = _by(bicubic(protocol.scale))
            elif place is None:
                raise InputError("what was measured is not there any more.")
            elif place.is_dir():
                found[model, 1.0] = _from_folder(place)
            else:
                network, way = load_network(place, key=run.record.get("key")), ("runtime", "precision")
                known = Model(model, network, **{name: run.record[name] for name in way if name in run.record})
                for width in (arm.width for arm in arms):
                    upscaler = upscaler_at(known, width, device=device, self_ensemble=protocol.self_ensemble)
                    found[model, width] = _by(with_upscaler(upscaler))
        except InputError as error:
            reasons.setdefault(str(error)[-60:], ([], str(error)))[0].append(model)
    notes += [f"There are no pictures of {', '.join(models)}: {reason}" for models, reason in reasons.values()]
    return found


def _by(upscale: Upscale) -> Painter:
    return lambda image, sample: upscale(sample.lq)


def _from_folder(folder: Path) -> Painter:
    """Pictures that somebody else made, which `srkd score` measured."""
    files = {path.stem: path for path in list_images(folder)}

    def run(image: str, sample: Sample) -> NDArray[Any]:
        own = [name for name in files if name.startswith(image)]
        return to_rgb8(read_image(files[pair_names(own, [image])[image]]))

    return run


Made = Sequence[tuple[Arm, float, NDArray[Any]]]
"""Each arm with the headline metric that the result file has for the image, and what its first run makes of it now."""


def _changed(results: Gathered, image: str, protocol: Protocol, sample: Sample, made: Made) -> list[str]:
    """A sentence on each arm that is not what was measured."""
    if protocol.name != results.protocol["name"]:
        return []
    scores = [(arm, then, protocol.score(sr, sample.gt)[results.headline]) for arm, then, sr in made]
    return [
        f"{arm.name} is not what was measured: on {image} it has now {now:.3f} dB, and had {then:.3f} dB. Its pictures "
        "show what it is now."
        for arm, then, now in scores
        if abs(now - then) > _TOLERANCE  # two infinite values differ by NaN, which is not above
    ]


def _scene(results: Gathered, name: str, choice: Choice, protocol: Protocol, sample: Sample, made: Made) -> Scene:
    gt, scale, metric = _rgb(sample.gt), protocol.scale, results.metric(results.headline)
    pictures = [_rgb(sr) for _, _, sr in made]
    errors = [difference(picture, gt) for picture in pictures]
    # what is worth seeing is where the best model is better than the baseline
    base = next((own for (arm, *_), own in zip(made, errors, strict=True) if arm.name == results.baseline), None)
    others = [(value, own) for (arm, value, _), own in zip(made, errors, strict=True) if arm.name != results.baseline]
    worth = np.zeros(gt.shape[:2]) if base is None else base
    if others:
        _, best = (min if metric.lower_better else max)(others, key=lambda one: one[0])
        worth = best if base is None else np.maximum(base - best, 0)
    view = best_window(worth, VIEW, align=scale)
    detail = best_window(cut(worth, view), DETAIL, align=scale)
    errors = [cut(own, view) for own in errors]
    peak = max(8, *(math.ceil(np.percentile(own, 99)) for own in errors)) if errors else 8
    shots = [Shot("", "LR", "the input", cut(enlarged(_rgb(sample.lq), scale), view))]
    for (arm, value, _), picture, own in zip(made, pictures, errors, strict=True):
        text = metric.text(value) if math.isinf(value) else metric.with_unit(metric.text(value))
        shots.append(Shot(arm.name, results.label(arm), text, cut(picture, view), heat(own, peak)))
    shots.append(Shot("", "ground truth", "the reference", cut(gt, view)))
    size, thumbnail = (gt.shape[0], gt.shape[1]), data_uri(gt, most=_THUMBNAIL)
    return Scene(name, choice.image, choice.reason, size, view, detail, peak, thumbnail, shots)


def _rgb(array: NDArray[Any]) -> RGB8:
    """A picture, or a luma plane as grey."""
    levels = np.clip(np.floor(array + 0.5), 0, 255).astype(np.uint8) if array.dtype.kind == "f" else array
    return levels if levels.ndim == 3 else np.repeat(levels[..., None], 3, axis=2)
