"""A physically smaller network as a file of its own, equal to the sliced forward: `.pth`, `.safetensors`, graphs.

The file is run back and compared with the network it came from before it takes its final name.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from srkd import __version__
from srkd.atomic import atomic_path
from srkd.inference.export.graph import (
    OPSET,
    describe_onnx,
    fix_size,
    record,
    require_onnx,
    run_onnx,
    run_pt2,
    write_onnx,
    write_pt2,
)
from srkd.inference.export.int8 import Int8, Quantised, quantise
from srkd.inference.export.mobile import mobile_form
from srkd.inference.export.parity import INT8, LIMITS, Forward, Parity, check_images, compare
from srkd.inference.widths import narrowed, warn_untrained
from srkd.networks import neutral_rcan
from srkd.networks.dialects import to_dialect
from srkd.networks.pretrained import resolve
from srkd.networks.slim import Network
from srkd.networks.weights import history_of, load_network, network_of, read_weights, save_network
from srkd.types import InputError, WorkError

SUFFIXES = (".pth", ".safetensors", ".onnx", ".pt2")
DIALECT_SUFFIXES = (".pth", ".pt")
GRAPHS = (".onnx", ".pt2")


@dataclass(frozen=True)
class Source:
    """A network, and what is known of how it was made.

    Attributes:
        network: the network at full width.
        path: its file; None where it never was in one.
        method: name of the training objective.
        iter: training iterations done.
        training_set: name of the training data.
        data_licence: under which these data may be used.
        origin: where its training began (`srkd.networks.weights.origin_of`).
    """

    network: Network
    path: Path | None = None
    method: str | None = None
    iter: int | None = None
    training_set: str | None = None
    data_licence: str | None = None
    origin: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Form:
    """How the graph of an `.onnx` or `.pt2` file is made.

    Attributes:
        mobile: fold what can be folded into the weights (`srkd.inference.export.mobile`).
        conv_transpose: of the mobile form, with PixelShuffle as transposed convolution.
        size: height and width of the only input the file takes; None: any.
        int8: of an `.onnx` file, how its convolutions are made ones of integers; None: they are not.
    """

    mobile: bool = False
    conv_transpose: bool = False
    size: tuple[int, int] | None = None
    int8: Int8 | None = None

    def __post_init__(self) -> None:
        if self.conv_transpose and not self.mobile:
            raise InputError("--conv-transpose is an option of the mobile form: add --mobile.")
        if self.size is not None and min(self.size) < 1:
            raise InputError(f"--size is at least 1x1 pixel, not {self.size[0]}x{self.size[1]}.")


@dataclass(frozen=True)
class Written:
    """A file that passed.

    Attributes:
        path: the file.
        width: the fraction of the channels it has.
        network: the ordinary network of that width.
        parity: its difference from the sliced forward, for each runtime that ran it.
        seconds: writing and checking.
        quantised: what int8 changed; None where the file is in floating point.
    """

    path: Path
    width: float
    network: Network
    parity: Mapping[str, Parity]
    seconds: float
    quantised: Quantised | None = None

    def __str__(self) -> str:
        opset = f", ONNX opset {OPSET}" if self.path.suffix == ".onnx" else ""
        int8 = f"int8: {self.quantised}. " if self.quantised else ""
        differences = "; ".join(f"{found} ({runtime})" for runtime, found in self.parity.items())
        return (
            f"{self.path}: {self.path.stat().st_size / 1e6:.2f} MB, width {self.width:.4g}{opset}, "
            f"{self.seconds:.1f} s. {int8}"
            f"Largest difference from the sliced network (images in 0..1), PSNR: {differences}."
        )


def open_source(
    path: str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    training_set: str | None = None,
    data_licence: str | None = None,
) -> Source:
    """Read a checkpoint for export.

    Args:
        path: the checkpoint.
        options: what a checkpoint of another code base does not say of its network, such as `res_scale`.
        training_set, data_licence: take the place of what the checkpoint says.

    Raises:
        InputError: the checkpoint is not valid.
    """
    weights = read_weights(path)
    told = history_of(weights)
    told["training_set"] = training_set or told["training_set"]
    told["data_licence"] = data_licence or told["data_licence"]
    return Source(network_of(weights, options), Path(path), **told)


def export(
    model: str | Path | Network | Source,
    path: str | Path,
    *,
    width: float = 1.0,
    form: Form = Form(),
    dialect: str | None = None,
    images: str | Path | None = None,
) -> Written:
    """Write `model` at `width` to `path` as an ordinary network, and check the file against the sliced forward.

    `.pth` and `.safetensors` are what `load_network` reads; a `.pth` of an EDSR is BasicSR's too. `.onnx` and `.pt2`
    are single files for inputs [1, C, height, width] in [0, 1], with scale, range, colour order, width and training set
    in their metadata. With `dialect` the file is another code base's (`srkd.networks.dialects`).

    Args:
        model: a checkpoint, a network, or a network with its history.
        path: the file; its suffix chooses the format. An older file is replaced only by one that passed.
        width: fraction of the channels.
        form: how a graph is made.
        dialect: `edsr-pytorch`, `torchsr`, `csd` or `spandrel`; None writes srkd's own file.
        images: folder of images to compare on; None: scikit-image's photographs.

    Raises:
        InputError: the suffix, the width, the form or the checkpoint is not valid, the packages for ONNX are missing,
            or the dialect cannot express the network.
        WorkError: the file's output is not the network's (`parity.LIMITS`), or int8 loses more than allowed; nothing
            is written.
    """
    path, began = Path(path), time.perf_counter()
    _check_request(path, form, dialect)
    source = model if isinstance(model, Source) else Source(model) if isinstance(model, Network) else open_source(model)
    if source.path is not None and path.exists() and path.samefile(resolve(source.path)):
        raise InputError(f"{path} would be replaced by its own copy; choose another file.")
    network = source.network
    small = narrowed(network, width).cpu().eval()
    warn_untrained(network, width)
    if network.trained_widths:
        small.trained_widths = tuple(at / width for at in network.trained_widths if at <= width + 1e-9)
    inputs = check_images(network.num_in_ch, size=form.size, folder=images)
    reference = sliced_forward(network, width)
    limit = INT8 if form.int8 else LIMITS.get(path.suffix, LIMITS[".pth"])
    quantised = None
    with atomic_path(path) as temporary:
        if form.int8:
            runtimes, quantised = _write_int8(temporary, small, source, form.int8, width=width, form=form)
        else:
            runtimes = _write(temporary, small, source, width=width, form=form, dialect=dialect)
        parity = {name: compare(reference, forward, inputs) for name, forward in runtimes.items()}
        for name, found in parity.items():
            if not limit.met_by(found):
                raise WorkError(
                    f"{path} is not written: its output differs from the network's at width {width:g} by up to "
                    f"{found.max_difference:.2e} (PSNR {found.psnr:.1f} dB) when {name} runs it; allowed is "
                    f"{limit.max_difference:.0e}."
                )
    return Written(path, width, small, parity, time.perf_counter() - began, quantised)


def sliced_forward(network: Network, width: float) -> Forward:
    """The forward of `network` at `width` on the CPU in eval mode; the network is left as it is."""
    copy = narrowed(network, 1.0).cpu().eval()
    return lambda x: copy(x, width)


def metadata(source: Source, width: float, form: Form) -> dict[str, str]:
    """What `.onnx` and `.pt2` files say of themselves."""
    return {
        "scale": str(source.network.scale),
        "range": "0..1",
        "colour_order": colour_order(source.network),
        "width": f"{width:g}",
        "receptive_field": str(source.network.receptive_field or "unbounded"),
        "network": type(source.network).__name__,
        "form": "mobile" if form.mobile else "as trained",
        "training_set": source.training_set or "not recorded",
        "data_licence": source.data_licence or "not recorded",
        "srkd_version": __version__,
        "torch_version": torch.__version__,
    }


def colour_order(network: Network) -> str:
    """RGB, or Y for networks of one channel."""
    return "Y" if network.num_in_ch == 1 else "RGB"


def _check_request(path: Path, form: Form, dialect: str | None) -> None:
    allowed = DIALECT_SUFFIXES if dialect else SUFFIXES
    if path.suffix not in allowed:
        raise InputError(f"cannot export to {path}: the suffix chooses the format; allowed: {', '.join(allowed)}.")
    if form.int8 and path.suffix != ".onnx":
        raise InputError(f"cannot export to {path}: --int8 writes .onnx files.")
    if form != Form() and path.suffix not in GRAPHS:
        raise InputError(f"cannot export to {path}: --mobile and --size are for {' and '.join(GRAPHS)} files.")
    if path.suffix == ".onnx":
        require_onnx()


def _write(
    path: Path, small: Network, source: Source, *, width: float, form: Form, dialect: str | None
) -> Mapping[str, Forward]:
    """Write the file; returns what runs it back."""
    if dialect:
        return {"PyTorch": _write_dialect(small, path, dialect)}
    if path.suffix not in GRAPHS:
        history = {name: value for name, value in vars(source).items() if name not in ("network", "path")}
        save_network(path, small, **history)
        return {"PyTorch": load_network(path)}
    graph = record(mobile_form(small, conv_transpose=form.conv_transpose) if form.mobile else small, size=form.size)
    about = metadata(source, width, form)
    if path.suffix == ".pt2":
        write_pt2(path, graph, about)
        return {"PyTorch": run_pt2(path)}
    write_onnx(path, graph, about)
    return run_onnx(path)


def _write_int8(
    path: Path, small: Network, source: Source, int8: Int8, *, width: float, form: Form
) -> tuple[Mapping[str, Forward], Quantised]:
    """Write the file in integers, of the mobile form where there is one: what runs it back, and what it lost."""
    plain = path.with_name(f"{path.stem}.fp32.onnx")
    try:
        write_onnx(plain, record(_mobile(small, form)), {})
        found = quantise(plain, path, int8, scale=small.scale, channels=small.num_in_ch)
    finally:
        plain.unlink(missing_ok=True)
    if form.size:
        fix_size(path, form.size)
    describe_onnx(path, {**metadata(source, width, form), "int8": str(found)})
    return run_onnx(path), found


def _mobile(small: Network, form: Form) -> Network:
    """The mobile form if it is asked for, or, for integers, if the network has one: it has fewer operations."""
    try:
        return mobile_form(small, conv_transpose=form.conv_transpose)
    except InputError:
        if form.mobile:
            raise
        return small


def _write_dialect(network: Network, path: Path, dialect: str) -> Network:
    """Write the file, and read it back with what it cannot say."""
    try:
        torch.save(to_dialect(network, dialect), path)
    except ValueError as error:
        raise InputError(f"cannot export: {error}") from None
    silent = {name: network.config[name] for name in ("res_scale", "img_range", "rgb_mean")}
    if dialect == "spandrel":  # an RCAN on [0, 255], whatever the network is
        silent |= {"res_scale": 1.0, "img_range": neutral_rcan.RANGE}
    return load_network(path, network=silent)
