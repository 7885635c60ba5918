"""What is evaluated: networks from checkpoints at their widths, and bicubic interpolation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from srkd.compat.foreign import Foreign
from srkd.compat.loading import network_in
from srkd.compat.onnx_file import onnx_network
from srkd.data.download import checked
from srkd.evaluation.protocols import Protocol
from srkd.evaluation.result import BICUBIC
from srkd.imaging.resize import imresize
from srkd.inference.forward import takes_luma, upscale_image, upscale_plane
from srkd.inference.memory import bytes_per_pixel, weight_bytes
from srkd.inference.precision import Precision, check_precision
from srkd.inference.runtimes import Runtime, computes_in
from srkd.inference.tiling import upscale_tiled
from srkd.inference.upscaler import Upscaler
from srkd.inference.widths import narrowed, trained_at
from srkd.metrics.cost import multi_adds, parameters
from srkd.networks.slim import Network
from srkd.networks.weights import Weights, origin_of, read_weights
from srkd.types import InputError

log = logging.getLogger(__name__)

Upscale = Callable[[NDArray[Any]], NDArray[Any]]
"""`Sample.lq` -> what `Protocol.score` takes: images of 8 bits, or luma planes in 0..255."""


@dataclass(frozen=True)
class Model:
    """A network and where it came from; no network is bicubic interpolation.

    Attributes:
        name: the word in tables.
        network: the network at full width.
        origin: what a result file says of it: path, sha256, key, iter, method; and seed, start and
            data order of its training, where its file records them.
        only: the widths it is evaluated at whatever is asked for, such as the full one of a teacher or an `.onnx` file.
        precision: what it computes in; an `.onnx` file keeps its own.
        runtime: what runs it; `torch` is onnxruntime for an `.onnx` file.
    """

    name: str
    network: Network | None = None
    origin: dict[str, Any] = field(default_factory=dict[str, Any])
    only: tuple[float, ...] | None = None
    precision: Precision = "fp32"
    runtime: Runtime = "torch"

    @property
    def runs_in(self) -> tuple[str, str]:
        """The runtime and the precision that it has in the end, such as onnxruntime and int8."""
        own = self.network.config if self.network else {}
        if "runtime" not in own:
            return self.runtime, self.precision
        return own["runtime"] if self.runtime == "torch" else self.runtime, own["precision"]

    def trained_widths(self) -> tuple[float, ...]:
        """Widths to evaluate unless others are asked for: those that were trained, else the full one."""
        return (self.network and self.network.trained_widths) or (1.0,)

    def widths(self, asked: Sequence[float] | None) -> tuple[float, ...]:
        """Widths to evaluate where `asked` were asked for (None: none in particular), each once."""
        return tuple(dict.fromkeys(self.only or asked or self.trained_widths()))


@dataclass(frozen=True)
class Candidate:
    """A model at one width, ready to run.

    Attributes:
        model: its name, with a plus where it is run with self-ensemble.
        width: share of the channels.
        upscale: runs it.
        costs: `params` at this width; `multi_adds` of one pass for a 1280 × 720 output; `peak_bytes`: weights, and
            tensors alive at once while such an image is made in one piece. None: it cannot be counted.
        bounded: whether windows of an image give what the whole image gives.
    """

    model: str
    width: float
    upscale: Upscale
    costs: Mapping[str, int | None]
    bounded: bool = True


def load_models(paths: Sequence[str | Path]) -> list[Model]:
    """Read checkpoints and `.onnx` files; the word `bicubic` is skipped, as bicubic is evaluated always.

    Raises:
        InputError: a checkpoint cannot be read, or does not say which network it holds.
    """
    different = [Path(path) for path in dict.fromkeys(map(str, paths)) if path != BICUBIC]
    names = [short_name(path) for path in different]
    models: list[Model] = []
    for path, name in zip(different, names, strict=True):
        if names.count(name) > 1:
            name = path.name if sum(path.name == other.name for other in different) == 1 else str(path)
        if path.suffix.lower() == ".onnx":
            network = onnx_network(path)
            models.append(Model(name, network, {"path": str(path), "sha256": checked(path)}, only=(1.0,)))
        else:
            weights = read_weights(path)
            models.append(model_of(network_in(weights), weights, name=name))
    return models


def in_ways(
    models: Sequence[Model], runtimes: Sequence[Runtime], precisions: Sequence[Precision], device: torch.device
) -> list[Model]:
    """Every model in each runtime and precision, which stand in its name where they are not the usual ones.

    `.onnx` files keep their precision. What a runtime does not compute in is left out.

    Raises:
        InputError: a runtime or a precision is unknown or not possible here, or a runtime has none of the precisions.
    """
    for precision in precisions:
        check_precision(precision, device)
    if wrong := [runtime for runtime in runtimes if runtime not in get_args(Runtime)]:
        raise InputError(f"runtime {wrong[0]!r} is not known; allowed: {', '.join(get_args(Runtime))}.")
    ways = [pair for pair in product(runtimes, precisions) if computes_in(*pair)]
    if none := [runtime for runtime in runtimes if runtime not in dict(ways)]:
        raise InputError(f"runtime {none[0]} does not compute in {' or '.join(precisions)}: add fp32.")
    found = (
        (model, replace(model, runtime=runtime, precision=precision))
        for model, (runtime, precision) in product(models, ways)
    )
    return [*{(usual.name, *one.runs_in): _named(one, usual.runs_in) for usual, one in found}.values()]


def _named(model: Model, usual: tuple[str, str]) -> Model:
    runtime, precision = ("" if own == other else own for own, other in zip(model.runs_in, usual, strict=True))
    way = " ".join(filter(None, (runtime, precision)))
    own, of, students = model.name.partition(" (teacher of ")
    return replace(model, name=f"{own} ({way}){of}{students}" if way else model.name)


def model_of(network: Network, weights: Weights, *, name: str) -> Model:
    """A network with the origin of its weights."""
    origin = {
        "path": str(weights.path),
        "sha256": checked(weights.path),
        "key": weights.key,
        "iter": weights.meta.get("iter"),
        "method": weights.meta.get("method"),
        **origin_of(weights),
    }
    return Model(name, network, origin)


def short_name(path: Path) -> str:
    """`<experiment>` for the latest checkpoint of an experiment, `<experiment>/5000` for another, else the stem."""
    if path.parent.name != "models":
        return path.stem
    experiment, tag = path.parent.parent.name, path.stem.removeprefix("net_g_")
    return experiment if tag == "latest" else f"{experiment}/{tag}"


def common_scale(models: Sequence[Model], wanted: int | None) -> int:
    """The scale to evaluate at: `wanted`, which every network must have, or theirs.

    Raises:
        InputError: a network has another scale, or there is neither a network nor `wanted`.
    """
    scales = {model.name: model.network.scale for model in models if model.network}
    if wanted is None and not scales:
        raise InputError("the scale is not known: bicubic alone needs --scale.")
    scale = wanted if wanted is not None else next(iter(scales.values()))
    wrong = [f"{name} is a ×{own} network" for name, own in scales.items() if own != scale]
    if wrong:
        asked = f"--scale is {scale}" if wanted is not None else f"{next(iter(scales))} is a ×{scale} network"
        raise InputError(f"{asked}, but {', '.join(wrong)}; one benchmark has one scale.")
    return scale


def candidates(
    models: Sequence[Model],
    protocols: Sequence[Protocol],
    *,
    widths: Sequence[float] | None,
    device: torch.device,
    tile: int | Literal["auto"] = 0,
) -> list[Candidate]:
    """Bicubic, then every model at each of `widths` (None: those it was trained for), narrow and on the device.

    Args:
        models: those without a network are left out.
        protocols: of one scale, all with self-ensemble or all without.
        widths: for every model but those that have their own (`Model.only`).
        device: where networks run.
        tile: see `Upscaler`; unlike there, networks see whole images unless told otherwise.

    Raises:
        InputError: a width or the tile is not valid, or a protocol is not for a network.
    """
    first = protocols[0]
    found = [Candidate(BICUBIC, 1.0, bicubic(first.scale), {"params": 0, "multi_adds": 0})]
    black = first.prepare(np.zeros((8 * first.scale, 8 * first.scale, 3), np.uint8)).lq
    for model in models:
        if model.network is None:
            continue
        refused = [protocol.name for protocol in protocols if protocol.for_luma_networks]
        if refused and not takes_luma(model.network):
            raise InputError(
                f"protocol {refused[0]} is defined for bicubic and Y-channel networks; {model.name} is an RGB "
                "network: use protocol y."
            )
        for width in model.widths(widths):
            upscaler = upscaler_at(model, width, device=str(device), tile=tile, self_ensemble=first.self_ensemble)
            upscale = with_upscaler(upscaler)
            upscale(black)  # the first call pays for allocation and the choice of algorithms
            at = upscaler.network
            memory = peak_bytes(upscaler.ready(black), 720 * 1280 / at.scale**2)
            costs = {"params": parameters(at), "multi_adds": multi_adds_720p(at), "peak_bytes": memory}
            found.append(Candidate(tabled_name(model, first), width, upscale, costs, at.receptive_field is not None))
    return found


def upscaler_at(
    model: Model, width: float, *, device: str, tile: int | Literal["auto"] = 0, self_ensemble: bool = False
) -> Upscaler:
    """A model's network at a width; fp32 is the only precision that gives the same numbers on every machine."""
    assert model.network is not None
    narrow, runtime = narrowed(model.network, width), model.runtime
    precision = "fp32" if "runtime" in narrow.config else model.precision  # whose name in a way is fp32, whatever it is
    return Upscaler(narrow, device=device, precision=precision, tile=tile, self_ensemble=self_ensemble, runtime=runtime)


def peak_bytes(ready: Network, pixels: float) -> int | None:
    """Weights, and tensors alive at once while an image of so many pixels is upscaled in one piece, from shapes.

    None for a foreign network that cannot run without values.
    """
    per_pixel = counted(ready, lambda net: bytes_per_pixel(net, net.scale))
    return None if per_pixel is None else round(weight_bytes(ready) + pixels * per_pixel)


def tabled_name(model: Model, protocol: Protocol) -> str:
    """The name in tables and result files: with a plus, as papers write it, where self-ensemble is on."""
    return f"{model.name}+" if model.network and protocol.self_ensemble else model.name


def untrained_widths(models: Sequence[Model], widths: Sequence[float] | None) -> list[str]:
    """A line for each model that is to be evaluated at widths its training did not supervise."""
    lines: list[str] = []
    for model in models:
        trained = model.network.trained_widths if model.network else None
        odd = [at for at in model.widths(widths) if model.network and not trained_at(model.network, at)]
        if odd and trained:
            lines.append(
                f"{model.name} was not trained at width {', '.join(f'{at:g}' for at in odd)} "
                f"(trained: {', '.join(f'{at:g}' for at in trained)})."
            )
    return lines


def bicubic(scale: int) -> Upscale:
    """MATLAB's bicubic interpolation."""
    return lambda lq: imresize(lq, scale=scale)


def through(network: nn.Module, width: float = 1.0) -> Upscale:
    """A network in eval mode as a function of arrays: 8-bit images, or luma planes in 0..255."""

    def upscale(lq: NDArray[Any]) -> NDArray[Any]:
        if lq.dtype.kind == "f":
            return upscale_plane(network, lq / 255, width=width) * 255
        return upscale_image(network, lq, width=width)

    return upscale


def with_upscaler(upscaler: Upscaler) -> Upscale:
    """An upscaler, in its windows and with its self-ensemble, as a function of arrays; see `through`."""

    def upscale(lq: NDArray[Any]) -> NDArray[Any]:
        if lq.dtype.kind != "f":
            return upscaler.upscale(lq)
        whole, tile = through(upscaler.current(lq)), upscaler.tile_for(*lq.shape)  # upscalers take no planes
        return upscale_tiled(whole, lq, scale=upscaler.scale, tile=tile, margin=upscaler.margin) if tile else whole(lq)

    return upscale


def multi_adds_720p(network: Network) -> int | None:
    """Multiply-adds for a 1280 × 720 output, as papers quote them; at ×3, where the input is not whole, scaled.

    None for a foreign network that cannot run without values.
    """
    whole = 720 % network.scale == 1280 % network.scale == 0
    shrink = network.scale if whole else 1
    count = counted(network, lambda net: multi_adds(net, height=720 // shrink, width_px=1280 // shrink))
    return count if whole or count is None else round(count / network.scale**2)


Count = TypeVar("Count")


def counted(network: Network, count: Callable[[Network], Count]) -> Count | None:
    """What `count` counts without computing; None for a foreign network that cannot run without values."""
    if not isinstance(network, Foreign):
        return count(network)
    try:
        return count(network)
    except Exception as error:  # foreign code that looks at values fails in its own way
        reason = str(error).strip().split("\n")[0][:160]
        kinds = type(network).__name__, type(error).__name__
        log.info("the multi-adds of %s cannot be counted (%s: %s).", *kinds, reason)
        return None
