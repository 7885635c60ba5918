"""How a number is made: a protocol prepares the low-resolution image and scores the result, and says so in one line.

Figures of two protocols don't compare: RGB and Y are 1.9 dB apart, `y` and `paper-y` up to 0.02 dB.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from srkd.data.degradation import PAPER_SIGMA, Degradation, degrade
from srkd.imaging.color import rgb_to_y
from srkd.imaging.files import to_rgb8
from srkd.imaging.resize import imresize, mod_crop
from srkd.metrics.metric import Metric, metric_of
from srkd.metrics.psnr import psnr, psnr_from_arrays
from srkd.metrics.ssim import ssim, ssim_from_arrays
from srkd.registry import METRICS
from srkd.types import InputError, did_you_mean

Array = NDArray[Any]


class Sample(NamedTuple):
    """A test image ready for any number of models: uint8 RGB [H, W, 3], or for `paper-y` Y planes [H, W] in 0..255."""

    gt: Array
    lq: Array


@dataclass(frozen=True)
class Protocol:
    """A named way of evaluating at one `scale`: this one on 8-bit images.

    Attributes:
        scale: the upscaling factor.
        self_ensemble: whether networks are run on eight flips and rotations and averaged, as rows with a plus are.
        degradation: what makes the low-resolution images; None: bicubic.
    """

    scale: int
    self_ensemble: bool = field(default=False, kw_only=True)
    degradation: Degradation | None = field(default=None, kw_only=True)
    name: ClassVar[str]
    for_luma_networks: ClassVar[bool] = False
    """Whether only Y-channel networks (and bicubic) can be evaluated."""
    test_y_channel: ClassVar[bool] = True
    """Whether PSNR and SSIM are of Y, or else of RGB."""

    def prepare(self, gt: NDArray[np.uint8], lq: NDArray[np.uint8] | None = None) -> Sample:
        """Mod-crop a ground truth, RGB [H, W, 3], and shrink it with rounding to 8 bits where `lq` is not given.

        Raises:
            InputError: `lq` is not exactly `scale` times smaller than the mod-cropped `gt`.
        """
        gt = mod_crop(gt, self.scale)
        size = (gt.shape[0] // self.scale, gt.shape[1] // self.scale)
        if lq is not None and lq.shape[:2] != size:
            raise InputError(
                f"the LR image is {lq.shape[0]}×{lq.shape[1]} (height×width); at scale {self.scale} it must be "
                f"{size[0]}×{size[1]} for an HR image of {gt.shape[0]}×{gt.shape[1]}."
            )
        return Sample(gt, imresize(gt, size=size) if lq is None else lq)

    def sample(self, gt: NDArray[np.uint8], lq: NDArray[np.uint8] | None, name: str) -> Sample:
        """`prepare`, where `lq` is not given with that of the degradation for the image called `name`.

        A grey file's `gt` is [H, W]; protocols other than `paper-y` take it as RGB.
        """
        gt = gt if self.for_luma_networks else to_rgb8(gt)
        if lq is None and self.degradation:
            lq = degrade(gt, self.degradation, scale=self.scale, name=name)
        return self.prepare(gt, lq)

    def score(self, sr: Array, gt: Array) -> dict[str, float]:
        """Metrics by name of a result against `Sample.gt`; an infinite PSNR is `math.inf`."""
        both = {"psnr": psnr, "ssim": ssim}.items()
        return {name: of(sr, gt, crop_border=self.scale, test_y_channel=self.test_y_channel) for name, of in both}

    def describe(self) -> str:
        """One line that belongs under every table."""
        images = f"LR {self.lr_words()} of the mod-cropped HR, LR and SR rounded to 8 bits"
        channels = "Y of BT.601" if self.test_y_channel else "RGB channels"
        return f"{self.name}: ×{self.scale}, {channels}, crop border {self.scale}, {images}, {self._ensemble()}"

    def columns(self) -> list[str]:
        """Names of the metrics."""
        return ["psnr", "ssim"]

    def kinds(self) -> dict[str, Metric]:
        """What those columns are that their names don't say."""
        return {}

    def unlike_tables(self) -> list[str]:
        """What papers' tables do otherwise, a sentence each; empty where the numbers are made like theirs."""
        return []

    def record(self) -> dict[str, Any]:
        """What a result file says of the protocol."""
        fields = dataclasses.asdict(self)
        if self.degradation is None:
            del fields["degradation"]  # as in files from before there was one
        return {"name": self.name, **fields, "description": self.describe()}

    def lr_words(self) -> str:
        """How the low-resolution images are made."""
        made = self.degradation
        if made is None:
            return "MATLAB bicubic"
        if made.type == "JPEG":
            return f"JPEG (MATLAB bicubic, then JPEG of quality {made.quality})"
        sigma = made.sigma or PAPER_SIGMA[made.type]
        if made.type == "DN":
            return f"DN (MATLAB bicubic, then noise of σ {sigma:g}, seed {made.seed})"
        return f"BD (Gaussian blur of σ {sigma:g}, then one pixel of every {self.scale} × {self.scale})"

    def _ensemble(self) -> str:
        return "with self-ensemble" if self.self_ensemble else "without self-ensemble"


@dataclass(frozen=True)
class Y(Protocol):
    """What tables quote today: BT.601 Y (16..235, not rounded) of 8-bit images, crop border = scale, float64."""

    name: ClassVar[str] = "y"


@dataclass(frozen=True)
class RGB(Protocol):
    """As `y`, with metrics on RGB."""

    name: ClassVar[str] = "rgb"
    test_y_channel: ClassVar[bool] = False

    def unlike_tables(self) -> list[str]:
        """RGB in place of Y."""
        return ["PSNR and SSIM are of RGB; papers' tables print those of Y (BT.601), on Set5 about 1.9 dB higher."]


@dataclass(frozen=True)
class PaperY(Protocol):
    """How the tables of papers were made in MATLAB: only an 8-bit Y plane is resized, the LR one is not rounded."""

    name: ClassVar[str] = "paper-y"
    for_luma_networks: ClassVar[bool] = True

    def prepare(self, gt: NDArray[np.uint8], lq: NDArray[np.uint8] | None = None) -> Sample:
        """Mod-crop, Y rounded to 8 bits, and that shrunk in floating point.

        The values of a grey file, `gt` [H, W], are its Y as they are: MATLAB's scripts convert only files with colours.
        """
        if lq is not None:
            raise InputError("protocol paper-y makes the low-resolution Y plane itself; with LR images use protocol y.")
        gt = mod_crop(gt, self.scale)
        plane = _rounded(rgb_to_y(gt)) if gt.ndim == 3 else gt.astype(np.float64)
        return Sample(plane, imresize(plane, scale=1 / self.scale))

    def score(self, sr: Array, gt: Array) -> dict[str, float]:
        """PSNR and SSIM of the Y planes, rounded to 8 bits."""
        sr = _rounded(sr)
        return {"psnr": psnr_from_arrays(sr, gt, self.scale), "ssim": ssim_from_arrays(sr, gt, self.scale)}

    def describe(self) -> str:
        """One line."""
        return (
            f"paper-y: ×{self.scale}, only the 8-bit Y plane of BT.601 (of grey files: their values) is resized, "
            f"crop border {self.scale}, LR MATLAB bicubic in floating point, SR rounded to 8 bits, {self._ensemble()}"
        )


@dataclass(frozen=True)
class Chosen(Protocol):
    """Registered metrics with options of their own, as an option file names them.

    Args:
        metrics: by the name of its column, the registered metric and its options.
        better: which way a column gets better, where that is said.
    """

    name: ClassVar[str] = "chosen"
    metrics: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict[str, Any])
    better: Mapping[str, str] = field(default_factory=dict[str, str])

    def columns(self) -> list[str]:
        """As the option file names them."""
        return list(self.metrics)

    def kinds(self) -> dict[str, Metric]:
        """As the registered metrics say, or the option file."""
        found: dict[str, Metric] = {}
        for name, (kind, _) in self.metrics.items():
            metric = metric_of(name, METRICS.get(kind))
            is_lower = metric.lower_better or self.better.get(name) == "lower"
            found[name] = dataclasses.replace(metric, lower_better=is_lower)
        return found

    def record(self) -> dict[str, Any]:
        """Without what decides about no number."""
        record = super().record()
        del record["better"]
        return record

    def score(self, sr: Array, gt: Array) -> dict[str, float]:
        """Every metric."""
        return {name: float(METRICS.get(kind)(sr, gt, **args)) for name, (kind, args) in self.metrics.items()}

    def describe(self) -> str:
        """One line."""
        calls = (
            f"{name} = {kind}({', '.join(f'{key}={value}' for key, value in args.items())})"
            for name, (kind, args) in self.metrics.items()
        )
        return f"×{self.scale}, {'; '.join(calls)}; 8-bit images, {self._ensemble()}"

    def unlike_tables(self) -> list[str]:
        """Columns whose options are not those of papers' tables."""
        wanted = {"crop_border": self.scale, "test_y_channel": True}
        odd = [name for name, (_, args) in self.metrics.items() if not wanted.items() <= args.items()]
        tables = f"papers' tables, which have crop_border: {self.scale} and test_y_channel: true"
        return [f"{', '.join(odd)}: not comparable with {tables}."] if odd else []


_PROTOCOLS: dict[str, type[Protocol]] = {kind.name: kind for kind in (Y, PaperY, RGB)}
PROTOCOLS = tuple(_PROTOCOLS)


def protocol_of(
    name: str, scale: int, *, self_ensemble: bool = False, degradation: Degradation | None = None
) -> Protocol:
    """The protocol called `name` (one of `PROTOCOLS`) at `scale`.

    Raises:
        InputError: there is none of that name, it has no degradations, or `scale` is below 1.
    """
    if name not in _PROTOCOLS:
        raise InputError(f"unknown protocol {name!r}.{did_you_mean(name, PROTOCOLS)} Known: {', '.join(PROTOCOLS)}.")
    if scale < 1:
        raise InputError(f"the scale is a whole number of at least 1, not {scale}.")
    if degradation and name == PaperY.name:
        raise InputError("protocol paper-y makes the low-resolution Y plane itself; with a degradation use protocol y.")
    return _PROTOCOLS[name](scale, self_ensemble=self_ensemble, degradation=degradation)


def degradation_of(text: str) -> Degradation:
    """`BD`, `BD:1.6` (σ), `DN:50` (σ), `JPEG:40` (quality).

    Raises:
        InputError: it is none of these.
    """
    kind, colon, value = text.partition(":")
    try:
        if kind == "JPEG":
            return Degradation(kind, quality=int(value))
        if kind in ("BD", "DN"):
            return Degradation(kind, sigma=float(value) if colon else None)
    except ValueError:
        pass
    raise InputError(
        f"there is no degradation {text!r}: BD and DN, with another σ than the papers' as in BD:1.6 and DN:50 (up to "
        "255), and JPEG:40 (its quality, 1 to 100)."
    )


def _rounded(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(np.floor(plane + 0.5), 0, 255)
