"""Validation during training: every set at every width, pictures if asked, and which iteration was best."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from srkd.data.paired_image import PairedImageDataset
from srkd.engine.checkpoint import Best
from srkd.engine.logging import RunLog
from srkd.imaging.crops import best_window, cut, difference, side_by_side
from srkd.imaging.files import write_image
from srkd.imaging.resize import imresize
from srkd.inference.forward import upscale_image
from srkd.methods.base import STUDENT
from srkd.types import InputError

log = logging.getLogger(__name__)

STRIP = (192, 192)
"""Height and width of what TensorBoard shows of an image."""


@dataclass(frozen=True)
class Metric:
    """A metric with its options bound: (sr, gt), both uint8 [H, W, 3] -> value."""

    measure: Callable[[np.ndarray, np.ndarray], float]
    better: Literal["higher", "lower"] = "higher"


@dataclass(frozen=True)
class Validator:
    """Measures a network on whole images; TensorBoard, where it is on, sees a part of the first one of each set.

    The best iteration is the one with the best mean over the widths of the first metric on the first set.

    Args:
        datasets: by name; `pair(i)` gives whole images.
        metrics: by name.
        widths: the widths to measure.
        run_log: where the values go.
        folder: where pictures go, `<folder>/<image>/<image>_<iter>[_w<width>].png`; None saves none.
        suffix: replaces the iteration in the pictures' names.
    """

    datasets: Mapping[str, PairedImageDataset]
    metrics: Mapping[str, Metric]
    widths: Sequence[float]
    run_log: RunLog
    folder: Path | None = None
    suffix: str | None = None
    _first: list[float] = field(default_factory=list[float], init=False)

    def __call__(self, network: nn.Module, iteration: int, best: Best, of: str = STUDENT) -> bool:
        """Validate; updates `best` and says whether this iteration is it: never for another network than the student.

        Another's rows are of the kind `val_NAME`, and its pictures end in `_NAME`.
        """
        self._first.clear()
        beside = "" if of == STUDENT else f"_{of}"
        for name in self.datasets:
            lines = [f"Validation {name}{beside and f', {of}'}"]
            for width in self.widths:
                means = self._measure(network, name, width, iteration, beside)
                self.run_log.scalars(f"val{beside}", iteration, {"set": name, "width": width, **means})
                for metric, value in means.items():
                    record = self._record(best, f"{name}/{metric}@{width:g}{beside}", value, metric, iteration)
                    label = metric if len(self.widths) == 1 else f"{metric} @ width {width:g}"
                    lines.append(f"\t # {label}: {value:.4f}\tBest: {record[0]:.4f} @ {record[1]:.0f} iter")
                if name == next(iter(self.datasets)) and means:
                    self._first.append(next(iter(means.values())))
            log.info("\n".join(lines))
        if not self._first or beside:
            return False
        score = sum(self._first) / len(self._first)
        direction = next(iter(self.metrics.values())).better
        if best.value is not None and not _better(score, best.value, direction):
            return False
        best.value, best.iter = score, iteration
        return True

    def rehearse(self, network: nn.Module) -> dict[str, float]:
        """Every width and metric on the smallest image of each set, by `set/metric@width`; nothing is written.

        Raises:
            InputError: a metric cannot measure it.
        """
        found: dict[str, float] = {}
        for name, dataset in self.datasets.items():
            sizes = getattr(dataset, "sizes", None) or [(0, 0)]
            smallest = min(range(len(sizes)), key=lambda index: min(sizes[index]))
            for width in self.widths:
                values = self._score(network, name, smallest, width)[3]
                found |= {f"{name}/{metric}@{width:g}": value for metric, value in values.items()}
        return found

    def _measure(
        self, network: nn.Module, set_name: str, width: float, iteration: int, beside: str
    ) -> dict[str, float]:
        dataset = self.datasets[set_name]
        values: dict[str, list[float]] = {name: [] for name in self.metrics}
        for index in range(len(dataset)):
            lq, sr, gt, scores = self._score(network, set_name, index, width)
            for name, value in scores.items():
                values[name].append(value)
            image = Path(dataset.names[index]).stem
            if index == 0 and self.run_log.takes_images:
                self.run_log.image(f"{set_name}/{image}_w{width:g}{beside}", iteration, before_after(lq, sr, gt))
            if self.folder:
                at = f"_w{width:g}" if len(self.widths) > 1 else ""
                self._write(self.folder / image / f"{image}_{self.suffix or iteration}{at}{beside}.png", sr)
        return {name: float(np.mean(found)) for name, found in values.items()}

    def _score(
        self, network: nn.Module, set_name: str, index: int, width: float
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], dict[str, float]]:
        dataset = self.datasets[set_name]
        lq, gt = dataset.pair(index)
        sr = upscale_image(network, lq, width=width)
        scores: dict[str, float] = {}
        for name, metric in self.metrics.items():
            try:
                scores[name] = float(metric.measure(sr, gt))
            except (TypeError, ValueError) as error:
                at = f"{dataset.names[index]} of datasets.{set_name} ({gt.shape[0]}×{gt.shape[1]}, height×width)"
                raise InputError(f"val.metrics.{name}: {at} cannot be measured: {error}") from None
        return lq, sr, gt, scores

    def _write(self, path: Path, picture: NDArray[np.uint8]) -> None:
        try:
            write_image(path, picture)
        except OSError as error:  # a full disk: a picture is not worth a training
            log.error("%s cannot be written (%s). Training goes on.", path, error.strerror or error)

    def _record(self, best: Best, key: str, value: float, metric: str, iteration: int) -> list[float]:
        if key not in best.records or _better(value, best.records[key][0], self.metrics[metric].better):
            best.records[key] = [value, iteration]
        return best.records[key]


def before_after(lq: NDArray[np.uint8], sr: NDArray[np.uint8], gt: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bicubic, SR and ground truth side by side, in the window where bicubic is worst: the same at every iteration.

    Args:
        lq: RGB [h, w, 3].
        sr: RGB [s·h, s·w, 3].
        gt: likewise.
    """
    bicubic = imresize(lq, size=gt.shape[:2])
    window = best_window(difference(bicubic, gt), STRIP)
    return side_by_side([cut(picture, window) for picture in (bicubic, sr, gt)])


def _better(value: float, than: float, direction: Literal["higher", "lower"]) -> bool:
    return value > than if direction == "higher" else value < than
