"""The models once more on a few images, for pictures: result files hold numbers only."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from srkd.compat.loading import network_in
from srkd.data.degradation import Degradation
from srkd.evaluation.crops import (
    RGB8,
    Choice,
    Window,
    best_window,
    choose_images,
    cut,
    difference,
    enlarged,
    heat,
)
from srkd.evaluation.gather import Gathered
from srkd.evaluation.models import Upscale, bicubic, with_upscaler
from srkd.evaluation.protocols import PROTOCOLS, Protocol, Sample, protocol_of
from srkd.evaluation.result import BICUBIC
from srkd.evaluation.scoring import pair_names
from srkd.evaluation.sets import TestSet, find_set
from srkd.imaging.files import list_images, read_image, to_rgb8
from srkd.inference.upscaler import Upscaler
from srkd.inference.widths import narrowed
from srkd.networks.weights import read_weights
from srkd.types import InputError

VIEW = (144, 192)
"""Height and width of the part of an image that is shown, in pixels of the ground truth."""
DETAIL = (48, 64)
"""Height and width of the part of it that is enlarged."""
_THUMBNAIL = 240
_TOLERANCE = 0.02  # dB that another machine's arithmetic may change

Contender = tuple[str, float]
Run = Callable[[str, Sample], NDArray[Any]]
"""(image's name, sample) -> what `Protocol.score` takes."""


@dataclass(frozen=True)
class Shot:
    """One picture of a scene.

    Attributes:
        name: what it is, where it is no model's.
        model: of the result file; empty for the low-resolution image and the ground truth.
        width: of the model.
        pixels: the view, uint8 RGB [H, W, 3].
        value: the headline metric of the whole image, as the result file has it.
        note: what a picture is that has no value.
        errors: |picture - ground truth| as colours, of the same size; None for the ground truth and the LR image.
    """

    name: str
    model: str
    width: float
    pixels: RGB8
    value: float | None = None
    note: str = ""
    errors: RGB8 | None = None


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
        thumbnail: the whole image, small.
        shots: LR, every model, ground truth.
    """

    set: str
    image: str
    reason: str
    size: tuple[int, int]
    view: Window
    detail: Window
    peak: int
    thumbnail: RGB8
    shots: list[Shot]


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
    protocol = _protocol(results)
    notes: list[str] = []
    runs = _runs(results, protocol, device, notes)
    scenes: list[Scene] = []
    for name in results.sets:
        try:
            test_set = _set(name, results.folders.get(name), roots)
        except InputError as error:
            notes.append(f"There are no pictures of {name}: {error} --sets-root names the folder that holds it.")
            continue
        rows = [row for row in results.rows if row.set == name]
        kind = results.metric(results.headline)
        for choice in choose_images(rows, results.headline, limit, baseline=results.baseline, kind=kind):
            on_scene(f"{name}/{choice.image}")
            try:
                scenes.append(_scene(results, test_set, choice, protocol, runs, notes))
            except (InputError, RuntimeError, ValueError) as error:  # RuntimeError: out of memory, for one
                notes.append(f"There is no picture of {name}/{choice.image}: {error}")
    return scenes, list(dict.fromkeys(notes))


def origin(record: dict[str, Any]) -> Path | None:
    """Where a model of a result file is: as recorded, or from the folders above the result file."""
    if not isinstance(record.get("path"), str):
        return None
    result = Path(record["result"]).resolve()
    places = (base / record["path"] for base in (Path(), result.parent, result.parent.parent))
    return next((place for place in places if place.exists()), None)


def _protocol(results: Gathered) -> Protocol:
    record = results.protocol
    name = record["name"] if record["name"] in PROTOCOLS else "y"  # which prepares images as all others do
    made = record.get("degradation")
    return protocol_of(
        name,
        record["scale"],
        self_ensemble=record.get("self_ensemble") is True,
        degradation=Degradation(**made) if made else None,
    )


def _set(name: str, folder: str | None, roots: Sequence[Path]) -> TestSet:
    """The set below one of `roots`, where it was, or where known sets are."""
    places = [root / name for root in roots] + ([Path(folder)] if folder else [])
    found = next((str(place) for place in places if place.is_dir()), name)
    return replace(find_set(found), name=name)


def _runs(results: Gathered, protocol: Protocol, device: str, notes: list[str]) -> dict[Contender, Run]:
    runs: dict[Contender, Run] = {}
    gone: list[tuple[str, str]] = []
    for model, record in results.models.items():
        if model == BICUBIC:
            runs[model, 1.0] = _by(bicubic(protocol.scale))
            continue
        place = origin(record)
        if place is None:
            gone.append((model, str(record.get("path", "its file"))))
            continue
        try:
            if place.is_dir():
                runs[model, 1.0] = _from_folder(place)
                continue
            network = network_in(read_weights(place, record.get("key")))
            for width in results.widths(model):
                upscaler = Upscaler(
                    narrowed(network, width),
                    device=device,
                    precision="fp32",
                    tile=0,
                    self_ensemble=protocol.self_ensemble,
                )
                runs[model, width] = _by(with_upscaler(upscaler))
        except InputError as error:
            notes.append(f"There are no pictures of {model}: {error}")
    if gone:
        (model, path), *others = gone
        also, are = (f" and {len(others)} other models", "and theirs are") if others else ("", "is")
        notes.append(f"There are no pictures of {model}{also}: {path} {are} not there any more.")
    return runs


def _by(upscale: Upscale) -> Run:
    return lambda image, sample: upscale(sample.lq)


def _from_folder(folder: Path) -> Run:
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
    runs: dict[Contender, Run],
    notes: list[str],
) -> Scene:
    sample = protocol.sample(*test_set.read(list(test_set.images).index(choice.image)), choice.image)
    measured = {
        (row.model, row.width): row.metrics.get(results.headline, math.nan)
        for row in results.rows
        if (row.set, row.image) == (test_set.name, choice.image)
    }
    pictures: dict[Contender, RGB8] = {}
    for contender in (one for one in results.contenders if one in runs and one in measured):
        sr = runs[contender](choice.image, sample)
        pictures[contender] = _rgb(sr)
        if protocol.name == results.protocol["name"]:
            now, then = protocol.score(sr, sample.gt)[results.headline], measured[contender]
            if abs(now - then) > _TOLERANCE:  # two infinite values differ by NaN, which is not above
                notes.append(
                    f"{contender[0]} is not what was measured: on {test_set.name}/{choice.image} it has now "
                    f"{now:.3f} dB, and had {then:.3f} dB. Its pictures show what it is now."
                )
    gt = _rgb(sample.gt)
    lower_better = results.metric(results.headline).lower_better
    worth = _worth_seeing(pictures, gt, measured, (results.baseline, 1.0), lower_better)
    view = best_window(worth, VIEW, align=protocol.scale)
    errors = {one: difference(cut(picture, view), cut(gt, view)) for one, picture in pictures.items()}
    peak = max(8, *(math.ceil(np.percentile(own, 99)) for own in errors.values())) if errors else 8
    lq = enlarged(_rgb(sample.lq), protocol.scale)
    return Scene(
        set=test_set.name,
        image=choice.image,
        reason=choice.reason,
        size=(gt.shape[0], gt.shape[1]),
        view=view,
        detail=best_window(cut(worth, view), DETAIL, align=protocol.scale),
        peak=peak,
        thumbnail=_thumbnail(gt),
        shots=[
            Shot("LR", "", 1.0, cut(lq, view), note="the input"),
            *(
                Shot(one[0], *one, cut(pictures[one], view), measured[one], errors=heat(errors[one], peak))
                for one in pictures
            ),
            Shot("ground truth", "", 1.0, cut(gt, view), note="the reference"),
        ],
    )


def _worth_seeing(
    pictures: dict[Contender, RGB8], gt: RGB8, measured: dict[Contender, float], baseline: Contender, lower_better: bool
) -> NDArray[np.float64]:
    """Where the best model is better than the baseline: the baseline's error less the best one's, nowhere below 0."""
    others = [one for one in pictures if one != baseline]
    if not others:
        return difference(pictures[baseline], gt) if baseline in pictures else np.zeros(gt.shape[:2])
    best = (min if lower_better else max)(others, key=lambda one: measured[one])
    own = difference(pictures[best], gt)
    return np.maximum(difference(pictures[baseline], gt) - own, 0) if baseline in pictures else own


def _rgb(array: NDArray[Any]) -> RGB8:
    """A picture, or a luma plane as grey."""
    levels = np.clip(np.floor(array + 0.5), 0, 255).astype(np.uint8) if array.dtype.kind == "f" else array
    return levels if levels.ndim == 3 else np.repeat(levels[..., None], 3, axis=2)


def _thumbnail(image: RGB8) -> RGB8:
    height, width = image.shape[:2]
    shrink = min(1.0, _THUMBNAIL / max(height, width))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
