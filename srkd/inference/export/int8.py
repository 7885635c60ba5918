"""An exported graph with its convolutions in 8-bit integers, calibrated and measured on photographs.

onnxruntime's static quantisation (QDQ): weights with one scale an output channel, activations with one a tensor. What
lies between the convolutions stays in floating point, so the sum of residuals gathers no rounding. Nearly all of the
loss comes from the ends: a residual block adds a thousandth of a dB, but the first convolution, the one before the long
skip, the upsampler and the last one write 8-bit values that go into the picture as they are. So some of those stay in
floating point: the ones whose noise is large for the multiply-adds that they cost. Noise is the distance from the
pictures in floating point, of photographs that the calibration did not see; the ranges are chosen by it, too.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from srkd.compat.onnx_file import session
from srkd.imaging.color import rgb_to_ycbcr
from srkd.imaging.files import list_images, read_image, to_rgb8
from srkd.imaging.photographs import photograph
from srkd.imaging.resize import imresize, mod_crop
from srkd.inference.export.graph import quiet
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
_RANGES = {"largest values": 100.0, "percentile 99.999": 99.999}  # narrower ones cut what sharper pictures have
_WORTH = 0.05  # of the noise's power: a convolution that causes less of it is one of integers
_QUANTISED = ["Conv", "Relu"]  # a ReLU is the lower end of the range of the convolution before it
_SHARE = 0.8  # of the multiply-adds that are done in integers at least
_ENDS = 4  # the first convolution and so many of the last may stay in floating point

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
        noise: root of the mean squared difference of these two graphs, in levels of 0..255.
        share: of the multiply-adds that are done in integers.
        ranges: how the activations' ranges were taken.
        kept: the convolutions that stay in floating point, counted from 1 in the order of the graph.
        convolutions: how many there are.
        images: how many photographs were held out.
    """

    psnr: tuple[float, float]
    noise: float
    share: float
    ranges: str
    kept: tuple[int, ...]
    convolutions: int
    images: int

    @property
    def loss(self) -> float:
        """PSNR lost, in dB."""
        return self.psnr[0] - self.psnr[1]

    def __str__(self) -> str:
        kept = ", ".join(map(str, self.kept)) or "none"
        return (
            f"{self.share:.0%} of the multiply-adds in integers ({self.ranges}; in floating point of "
            f"{self.convolutions} convolutions: {kept}); PSNR {self.psnr[0]:.3f} → "
            f"{self.psnr[1]:.3f} dB, noise {self.noise:.2f} of 255, on {self.images} photographs that were held out"
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
    values, multi_adds = _calibrate(graph, calibration), _convolutions(graph)
    (before, exact), names, whole = _score(graph, held_out, scale), list(multi_adds), sum(multi_adds.values())

    def attempt(ranges: str, kept: Sequence[str]) -> Quantised:
        _write(graph, path, values[ranges], kept, how.activations)
        after, pictures = _score(path, held_out, scale)
        share = 1 - sum(map(multi_adds.__getitem__, kept)) / whole
        noise = 255 * float(np.square(pictures - exact).mean()) ** 0.5
        places = tuple(at for at, name in enumerate(names, 1) if name in kept)
        found = Quantised((before, after), noise, share, ranges, places, len(names), len(held_out))
        log.info("int8: %s", found)
        return found

    rounded = min((attempt(ranges, []) for ranges in _RANGES), key=lambda found: found.noise)
    ends = dict.fromkeys([names[0], *names[-_ENDS:]])
    gains = {name: 1 - (attempt(rounded.ranges, [name]).noise / rounded.noise) ** 2 for name in ends}
    kept, left = list[str](), (1 - _SHARE) * whole
    for name in sorted(gains, key=lambda name: gains[name] / multi_adds[name], reverse=True):
        if gains[name] > _WORTH and multi_adds[name] <= left:
            kept, left = [*kept, name], left - multi_adds[name]
    best = attempt(rounded.ranges, kept)
    if best.loss > how.max_loss:
        more = "" if how.activations == 16 else ", or --activations 16"
        raise WorkError(
            f"int8 loses {best.loss:.3f} dB ({best}); allowed is {how.max_loss:g} (--max-loss). Try photographs like "
            f"those the network is for, with --calibrate FOLDER{more}."
        )
    return best


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


def _score(path: Path, samples: Sequence[Sample], scale: int) -> tuple[float, NDArray[np.float32]]:
    """Mean PSNR of a graph, protocol `y` (or of the luma itself), in dB, and its pictures [n, h, w, C]."""
    forward, values = session(path, "onnxruntime"), list[float]()
    pictures = [forward(torch.from_numpy(each.lq))[0].permute(1, 2, 0).numpy().clip(0, 1) for each in samples]
    for picture, sample in zip(pictures, samples, strict=True):
        image = np.rint(picture * 255).astype(np.uint8)
        values.append(psnr(image, sample.gt, crop_border=scale, test_y_channel=image.shape[2] == 3))
    return float(np.mean(values)), np.stack(pictures)


def _convolutions(path: Path) -> dict[str, int]:
    """The graph's convolutions in order, each with how many multiply-adds fall to one pixel of the input."""
    import onnx

    graph = onnx.load(path).graph
    sizes = {weight.name: int(np.prod(weight.dims)) for weight in graph.initializer}
    pixels, found = 1, dict[str, int]()
    for node in graph.node:
        if node.op_type == "DepthToSpace":
            pixels *= next(attribute.i for attribute in node.attribute if attribute.name == "blocksize") ** 2
        elif node.op_type == "Conv":
            found[node.name] = pixels * sizes[node.input[1]]
    return found


def _calibrate(graph: Path, calibration: Sequence[Sample]) -> dict[str, Any]:
    """The ranges of what goes into a convolution or comes out of one, in each way."""
    from onnxruntime.quantization.calibrate import PercentileCalibrater

    found, inputs = dict[str, Any](), iter([{"lq": sample.lq} for sample in calibration])
    with TemporaryDirectory(prefix="srkd-int8-") as folder, quiet():
        # symmetric, its default, is twice too wide for what comes out of a ReLU
        calibrator: Any = PercentileCalibrater(graph, _QUANTISED, str(Path(folder, "values.onnx")), symmetric=False)
        calibrator.augment_graph()
        calibrator.create_inference_session()
        calibrator.collect_data(SimpleNamespace(get_next=lambda: next(inputs, None)))
        for name, calibrator.collector.percentile in _RANGES.items():
            found[name] = calibrator.compute_data()
    return found


def _write(graph: Path, path: Path, ranges: Any, kept: Sequence[str], activations: int) -> None:
    import onnx
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    model = onnx.shape_inference.infer_shapes(onnx.load(graph))
    kinds = QuantType.QInt8, QuantType.QUInt8 if activations == 8 else QuantType.QUInt16
    # the lower end of 16 bits stands for a ReLU too, but OpenVINO does not clip there
    options = {"QDQKeepRemovableActivations": activations == 16}
    per_channel, reduced = True, False
    with quiet():
        quantizer = QDQQuantizer(model, per_channel, reduced, *kinds, ranges, [], [*kept], _QUANTISED, options)
        quantizer.quantize_model()
    nodes = quantizer.model.model.graph.node
    integers = [node for node in nodes if node.op_type == "Conv" and node.name not in kept]
    written = {node.output[0] for node in integers}
    for node in nodes:
        for at, name in enumerate([] if node in integers else node.input):
            # the quantiser gives the 8 bits of a tensor to all who read it
            whole = name.removesuffix("_DequantizeLinear_Output")
            node.input[at] = name if whole in written else whole
    quantizer.model.save_model_to_file(str(path))  # which puts the nodes in order first
