"""An exported graph with its convolutions in 8-bit integers, calibrated and measured on photographs.

onnxruntime's static quantisation (QDQ): weights with one scale an output channel, activations with one a tensor. What
lies between the convolutions stays in floating point, so the sum of residuals gathers no rounding. Which ranges are
taken, and whether the first and last convolution stay in floating point too, is tried and decided by PSNR on
photographs that the calibration did not see.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from srkd.imaging.color import rgb_to_ycbcr
from srkd.imaging.files import list_images, read_image, to_rgb8
from srkd.imaging.photographs import photograph
from srkd.imaging.resize import imresize, mod_crop
from srkd.inference.export.graph import quiet, run_onnxruntime
from srkd.metrics.psnr import psnr
from srkd.types import InputError, WorkError

LARGEST = 96
"""Rows and columns of the low-resolution middle of a photograph that is looked at, at most."""

FEWEST, MOST = 6, 45
"""Photographs; of more, as many are taken evenly. Every third is held out."""

# scikit-image's photographs: enough to try with; one's own are better.
PHOTOGRAPHS = (
    *("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png"),
    *("motorcycle_right.png", "retina.jpg", "rocket.jpg"),
)
_RANGES: dict[str, float | None] = {"largest values": None, "percentile 99.999": 99.999, "percentile 99.99": 99.99}
_SAME = 0.003  # dB: an integer convolution is worth more than such a gain

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Int8:
    """How a graph is quantised.

    Attributes:
        activations: bits of the activations; weights have 8.
        max_loss: dB of PSNR that may be lost on the photographs that are held out.
        photographs: high-resolution photographs, or the folder that holds them; None: scikit-image's.
    """

    activations: Literal[8, 16] = 8
    max_loss: float = 0.1
    photographs: Path | tuple[Path, ...] | None = None

    def __post_init__(self) -> None:
        if not self.max_loss >= 0:
            raise InputError(f"--max-loss is in dB and at least 0, not {self.max_loss:g}.")


@dataclass(frozen=True)
class Quantised:
    """What came of it.

    Attributes:
        psnr: of the graph in floating point and of the quantised one, on the held-out photographs, in dB.
        share: of the multiply-adds that are done in integers.
        ranges: how the activations' ranges were taken.
        kept: the convolutions that stay in floating point: first, last.
        images: how many photographs were held out.
    """

    psnr: tuple[float, float]
    share: float
    ranges: str
    kept: tuple[str, ...]
    images: int

    @property
    def loss(self) -> float:
        """PSNR lost, in dB."""
        return self.psnr[0] - self.psnr[1]

    def __str__(self) -> str:
        kept = f"{' and '.join(self.kept)} convolution in floating point" if self.kept else "all convolutions"
        return (
            f"{self.share:.0%} of the multiply-adds in integers ({self.ranges}; {kept}); PSNR {self.psnr[0]:.3f} → "
            f"{self.psnr[1]:.3f} dB on {self.images} photographs that were held out"
        )


@dataclass(frozen=True)
class Sample:
    """A photograph: the network's input [1, C, h, w] in [0, 1], and the original as bytes."""

    lq: NDArray[np.float32]
    gt: NDArray[np.uint8]


def quantise(graph: Path, path: Path, how: Int8, *, scale: int, channels: int) -> Quantised:
    """Write the ONNX file `graph` in integers to `path`.

    Args:
        graph: inputs `lq` [1, channels, h, w] of any size, output `sr`.
        path: the file to write.
        how: see `Int8`.
        scale: of the network.
        channels: of its images: 3, RGB; 1, luma.

    Raises:
        InputError: the photographs are too few or cannot be read.
        WorkError: more than `how.max_loss` is lost; `path` is not to be used.
    """
    samples = read_samples(how.photographs, scale=scale, channels=channels)
    held_out = samples[2::3]
    calibration = [sample for at, sample in enumerate(samples) if at % 3 != 2]
    before = _score(graph, held_out, scale)
    names, multi_adds = _convolutions(graph)
    ends = {"first": names[0], "last": names[-1]}

    def attempt(ranges: str, kept: tuple[str, ...]) -> Quantised:
        excluded = [ends[name] for name in kept]
        _write(graph, path, calibration, _RANGES[ranges], excluded, how.activations)
        share = 1 - sum(multi_adds[name] for name in set(excluded)) / sum(multi_adds.values())
        found = Quantised((before, _score(path, held_out, scale)), share, ranges, kept, len(held_out))
        log.info("int8: %s", found)
        return found

    tried = [attempt(ranges, ("first", "last")) for ranges in _RANGES]
    ranges = min(tried, key=lambda found: found.loss).ranges
    tried += [attempt(ranges, kept) for kept in (("first",), ("last",), ())]
    least = min(found.loss for found in tried)
    best = max((found for found in tried if found.loss <= least + _SAME), key=lambda found: found.share)
    if best.loss > how.max_loss:
        more = "" if how.activations == 16 else ", or --activations 16"
        raise WorkError(
            f"int8 loses {best.loss:.3f} dB ({best}); allowed is {how.max_loss:g} (--max-loss). Try photographs like "
            f"those the network is for, with --calibrate FOLDER{more}."
        )
    return attempt(best.ranges, best.kept)


def read_samples(folder: Path | tuple[Path, ...] | None, *, scale: int, channels: int) -> list[Sample]:
    """Photographs with what a network sees of them, all of one size.

    Raises:
        InputError: they are fewer than `FEWEST`, or one is too small.
    """
    if folder is None:
        files = [photograph(name) for name in PHOTOGRAPHS]
    else:
        files = list_images(folder) if isinstance(folder, Path) else list(folder)
    where = folder if isinstance(folder, Path) else "the set of photographs"
    if len(files) < FEWEST:
        raise InputError(f"{where} has {len(files)} image{'s' * (len(files) != 1)}; at least {FEWEST} are needed.")
    chosen = [files[at * len(files) // min(len(files), MOST)] for at in range(min(len(files), MOST))]
    images = [mod_crop(to_rgb8(read_image(file)), scale) for file in chosen]
    height, width = (min(LARGEST, *(image.shape[axis] // scale for image in images)) for axis in (0, 1))
    if min(height, width) < 16:
        raise InputError(f"an image of {where} is smaller than 16 pixels after reduction by {scale}: remove it.")
    return [_sample(_middle(image, height * scale, width * scale), scale, channels) for image in images]


def _middle(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]


def _sample(gt: NDArray[np.uint8], scale: int, channels: int) -> Sample:
    lq = imresize(gt, scale=1 / scale) / 255
    if channels == 1:
        lq = rgb_to_ycbcr(lq)[..., :1]
        gt = np.rint(rgb_to_ycbcr(gt / 255)[..., :1] * 255).astype(np.uint8)
    return Sample(np.ascontiguousarray(lq.transpose(2, 0, 1)[None], dtype=np.float32), gt)


def _score(path: Path, samples: Sequence[Sample], scale: int) -> float:
    """Mean PSNR of a graph, protocol `y` (or of the luma itself), in dB."""
    forward, values = run_onnxruntime(path), list[float]()
    for sample in samples:
        sr = forward(torch.from_numpy(sample.lq))[0].permute(1, 2, 0).numpy()
        image = np.rint(sr.clip(0, 1) * 255).astype(np.uint8)
        values.append(psnr(image, sample.gt, crop_border=scale, test_y_channel=image.shape[2] == 3))
    return float(np.mean(values))


def _convolutions(path: Path) -> tuple[list[str], dict[str, int]]:
    """The graph's convolutions in order, and how many multiply-adds of each fall to one pixel of the input."""
    import onnx

    graph = onnx.load(path).graph
    sizes = {weight.name: int(np.prod(weight.dims)) for weight in graph.initializer}
    pixels, found = 1, dict[str, int]()
    for node in graph.node:
        if node.op_type == "DepthToSpace":
            pixels *= next(attribute.i for attribute in node.attribute if attribute.name == "blocksize") ** 2
        elif node.op_type == "Conv":
            found[node.name] = pixels * sizes[node.input[1]]
    return list(found), found


def _write(
    graph: Path,
    path: Path,
    calibration: Sequence[Sample],
    percentile: float | None,
    excluded: Sequence[str],
    activations: int,
) -> None:
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.samples: Iterator[Sample] = iter(calibration)

        def get_next(self) -> Any:
            sample = next(self.samples, None)
            return None if sample is None else {"lq": sample.lq}

    method = quantization.CalibrationMethod
    with quiet():
        quantization.quantize_static(
            graph,
            path,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=list(excluded),
            per_channel=True,
            weight_type=quantization.QuantType.QInt8,
            activation_type=quantization.QuantType.QUInt8 if activations == 8 else quantization.QuantType.QUInt16,
            calibrate_method=method.MinMax if percentile is None else method.Percentile,
            extra_options={} if percentile is None else {"CalibPercentile": percentile},
        )
