"""The models once more on a few images, for pictures: result files hold numbers only."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srkd.compat.loading import load_network
from srkd.data.degradation import Degradation
from srkd.evaluation.arms import Run
from srkd.evaluation.models import Model, Upscale, bicubic, upscaler_at, with_upscaler
from srkd.evaluation.protocols import PROTOCOLS, Protocol, Sample, protocol_of
from srkd.evaluation.report.gather import Gathered
from srkd.evaluation.result import BICUBIC, Row
from srkd.evaluation.scoring import pair_names
from srkd.evaluation.sets import TestSet, find_set
from srkd.imaging.crops import RGB8, Window, best_window, cut, difference, enlarged, heat
from srkd.imaging.files import list_images, read_image, to_rgb8
from srkd.metrics.metric import Metric, metric_of
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


def data_uri(image: RGB8, *, exact: bool = True) -> str:
    """A WebP picture as text: lossless, or small."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "WEBP", lossless=exact, quality=90 if exact else 70, method=4)
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
    record = results.protocol
    protocol = protocol_of(
        record["name"] if record["name"] in PROTOCOLS else "y",  # which prepares images as all others do
        record["scale"],
        self_ensemble=record.get("self_ensemble") is True,
        degradation=Degradation(**record["degradation"]) if record.get("degradation") else None,
    )
    notes: list[str] = []
    painters = _painters(results, protocol, device, notes)
    folders = {entry.get("name"): entry.get("origin") for file in results.files for entry in file.sets}
    scenes: list[Scene] = []
    for name in results.sets:
        places = [root / name for root in roots] + [Path(str(folders[at])) for at in folders if at == name]
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
                scenes.append(_scene(results, replace(found, name=name), choice, protocol, painters, notes))
            except (InputError, RuntimeError, ValueError) as error:  # RuntimeError: out of memory, for one
                notes.append(f"There is no picture of {name}/{choice.image}: {error}")
    return scenes, list(dict.fromkeys(notes))


def choose_images(
    rows: Sequence[Row], metric: str, limit: int, *, baseline: str, kind: Metric | None = None
) -> list[Choice]:
    """The images of one set to show: in turn, where the models differ most and where the best gains least.

    Args:
        rows: of one set.
        metric: name of the column.
        limit: at most so many images.
        baseline: the model that the gain is measured from.
        kind: what the metric is; None: as its name says.
    """
    kind = kind or metric_of(metric)
    values: dict[str, list[float]] = {}
    base: dict[str, float] = {}
    for row in rows:
        value = (-1 if kind.lower_better else 1) * min(row.metrics.get(metric, math.nan), 100.0)  # identical beyond
        if row.model == baseline and not math.isnan(value):
            base[row.image] = value
        elif not math.isnan(value):
            values.setdefault(row.image, []).append(value)
    spread = {image: max(own) - min(own) for image, own in values.items()}
    gain = {image: max(own) - base[image] for image, own in values.items() if image in base}
    apart = [
        Choice(image, f"the models differ by {kind.with_unit(f'{spread[image]:.2f}')}")
        for image in sorted(spread, key=lambda image: -spread[image])
        if spread[image] > 0
    ]
    hard = [
        Choice(image, f"the best model gains only {kind.with_unit(f'{gain[image]:.2f}')} over {baseline}")
        for image in sorted(gain, key=lambda image: gain[image])
    ]
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
    gone: list[tuple[str, str]] = []
    for model, arms in results.models.items():
        run = arms[0].runs[0]
        place = origin(run)
        try:
            if model == BICUBIC:
                found[model, 1.0] = _by(bicubic(protocol.scale))
            elif place is None:
                gone.append((model, str(run.record.get("path", "its file"))))
            elif place.is_dir():
                found[model, 1.0] = _from_folder(place)
            else:
                network, way = load_network(place, key=run.record.get("key")), ("runtime", "precision")
                known = Model(model, network, **{name: run.record[name] for name in way if name in run.record})
                for width in (arm.width for arm in arms):
                    upscaler = upscaler_at(known, width, device=device, self_ensemble=protocol.self_ensemble)
                    found[model, width] = _by(with_upscaler(upscaler))
        except InputError as error:
            again = any(note.endswith(str(error)[-60:]) for note in notes)  # the same plugin, say
            notes.append(f"There are no pictures of {model}{' either.' if again else f': {error}'}")
    if gone:
        (model, path), *others = gone
        also, are = (f" and {len(others)} other models", "and theirs are") if others else ("", "is")
        notes.append(f"There are no pictures of {model}{also}: {path} {are} not there any more.")
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


def _scene(
    results: Gathered,
    test_set: TestSet,
    choice: Choice,
    protocol: Protocol,
    painters: dict[tuple[str, float], Painter],
    notes: list[str],
) -> Scene:
    sample = protocol.sample(*test_set.read(list(test_set.images).index(choice.image)), choice.image)
    gt = _rgb(sample.gt)
    metric = results.metric(results.headline)
    made: list[tuple[str, str, float, RGB8]] = []  # name, label, value, picture
    for arm in results.arms:
        row = arm.runs[0].rows.get((test_set.name, choice.image))
        if row is None or (arm.name, arm.width) not in painters:
            continue
        then = row.metrics.get(results.headline, math.nan)
        sr = painters[arm.name, arm.width](choice.image, sample)
        made.append((arm.name, results.label(arm), then, _rgb(sr)))
        if protocol.name == results.protocol["name"]:
            now = protocol.score(sr, sample.gt)[results.headline]
            if abs(now - then) > _TOLERANCE:  # two infinite values differ by NaN, which is not above
                notes.append(
                    f"{arm.name} is not what was measured: on {test_set.name}/{choice.image} it has now "
                    f"{now:.3f} dB, and had {then:.3f} dB. Its pictures show what it is now."
                )
    # what is worth seeing is where the best model is better than the baseline
    base = next((difference(picture, gt) for name, _, _, picture in made if name == results.baseline), None)
    others = [(value, picture) for name, _, value, picture in made if name != results.baseline]
    worth = base if base is not None else np.zeros(gt.shape[:2])
    if others:
        _, best = (min if metric.lower_better else max)(others, key=lambda one: one[0])
        worth = difference(best, gt) if base is None else np.maximum(base - difference(best, gt), 0)
    view = best_window(worth, VIEW, align=protocol.scale)
    errors = [difference(cut(picture, view), cut(gt, view)) for _, _, _, picture in made]
    peak = max(8, *(math.ceil(np.percentile(own, 99)) for own in errors)) if errors else 8
    shots = [Shot("", "LR", "the input", cut(enlarged(_rgb(sample.lq), protocol.scale), view))]
    for (name, label, value, picture), own in zip(made, errors, strict=True):
        text = metric.text(value) if math.isinf(value) else metric.with_unit(metric.text(value))
        shots.append(Shot(name, label, text, cut(picture, view), heat(own, peak)))
    shots.append(Shot("", "ground truth", "the reference", cut(gt, view)))
    detail = best_window(cut(worth, view), DETAIL, align=protocol.scale)
    size = gt.shape[0], gt.shape[1]
    return Scene(
        test_set.name, choice.image, choice.reason, size, view, detail, peak, data_uri(_small(gt), exact=False), shots
    )


def _rgb(array: NDArray[Any]) -> RGB8:
    """A picture, or a luma plane as grey."""
    levels = np.clip(np.floor(array + 0.5), 0, 255).astype(np.uint8) if array.dtype.kind == "f" else array
    return levels if levels.ndim == 3 else np.repeat(levels[..., None], 3, axis=2)


def _small(image: RGB8) -> RGB8:
    height, width = image.shape[:2]
    shrink = min(1.0, _THUMBNAIL / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
