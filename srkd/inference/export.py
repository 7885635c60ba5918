"""A physically smaller network as a file of its own: `.pth`, `.safetensors` or `.onnx`, equal to the sliced forward.

The file is read back and compared with the network it came from before it takes its final name.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from srkd import __version__
from srkd.atomic import atomic_path
from srkd.imaging.resize import imresize
from srkd.inference.widths import narrowed, warn_untrained
from srkd.networks.dialects import to_dialect
from srkd.networks.slim import Network
from srkd.networks.weights import load_network, network_of, read_weights, save_network
from srkd.types import InputError, WorkError

SUFFIXES = (".pth", ".safetensors", ".onnx")
DIALECT_SUFFIXES = (".pth", ".pt")
OPSET = 18

_CHECK_SIZES = ((24, 40), (37, 19))  # none is the size an export is traced with
_EXACT, _CLOSE, _CLOSE_PSNR = 1e-5, 1e-3, 80.0

Forward = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Parity:
    """How far the file's output is from the sliced forward, images in [0, 1].

    Attributes:
        max_difference: the largest absolute difference of a value; 0 where they are equal.
        psnr: of the file's output against the sliced forward's, in dB; infinite where they are equal.
    """

    max_difference: float
    psnr: float


def export(
    model: str | Path | Network,
    path: str | Path,
    *,
    width: float = 1.0,
    options: Mapping[str, Any] | None = None,
    dialect: str | None = None,
) -> Parity:
    """Write `model` at `width` to `path` as an ordinary network, and check the file against the sliced forward.

    `.pth` and `.safetensors` are what `load_network` reads; a `.pth` of an EDSR is BasicSR's too. `.onnx` is a single
    file for inputs [1, C, height, width] of any size in [0, 1], with scale, range, colour order and width in its
    metadata. With `dialect` the file is another code base's (`srkd.networks.dialects`).

    Args:
        model: a checkpoint, or a network.
        path: the file; its suffix chooses the format. An older file is replaced only by one that passed.
        width: fraction of the channels.
        options: what a checkpoint of another code base does not say of its network, such as `res_scale`.
        dialect: `edsr-pytorch`, `torchsr` or `csd`; None writes srkd's own file.

    Raises:
        InputError: the suffix, the width or the checkpoint is not valid, the packages for ONNX are missing, or the
            dialect cannot express the network.
        WorkError: the file's output is not the network's; nothing is written.
    """
    path = Path(path)
    allowed = DIALECT_SUFFIXES if dialect else SUFFIXES
    if path.suffix not in allowed:
        raise InputError(f"cannot export to {path}: the suffix chooses the format; allowed: {', '.join(allowed)}.")
    if path.suffix == ".onnx":
        _require_onnx()
    if isinstance(model, Network):
        network, meta = model, {}
    else:
        weights = read_weights(model)
        network, meta = network_of(weights, options), weights.meta
    warn_untrained(network, width)
    small = narrowed(network, width).cpu().eval()
    if network.trained_widths:
        small.trained_widths = tuple(at / width for at in network.trained_widths if at <= width + 1e-9)
    with atomic_path(path) as temporary:
        if path.suffix == ".onnx":
            _write_onnx(small, temporary, width)
            written = _onnx_forward(temporary)
        elif dialect:
            written = _write_dialect(small, temporary, dialect)
        else:
            save_network(temporary, small, iter=meta.get("iter"), method=meta.get("method"))
            written = load_network(temporary)
        parity = compare(sliced_forward(network, width), written, channels=getattr(network, "num_in_ch", 3))
        exact = path.suffix != ".onnx"
        if not (parity.max_difference <= (_EXACT if exact else _CLOSE) and (exact or parity.psnr >= _CLOSE_PSNR)):
            raise WorkError(
                f"{path} is not written: its output differs from the network's at width {width:g} by up to "
                f"{parity.max_difference:.2e} (PSNR {parity.psnr:.1f} dB)."
            )
    return parity


def sliced_forward(network: Network, width: float) -> Forward:
    """The forward of `network` at `width` on the CPU in eval mode; the network is left as it is."""
    copy = narrowed(network, 1.0).cpu().eval()
    return lambda x: copy(x, width)


@torch.inference_mode()
def compare(reference: Forward, other: Forward, *, channels: int = 3) -> Parity:
    """Compare two forwards on a random photograph-like image and on a gradient, of different sizes."""
    errors = torch.cat([(other(x).double() - reference(x).double()).flatten() for x in _check_images(channels)])
    mse = float(errors.square().mean())
    return Parity(float(errors.abs().max()), float(-10 * np.log10(mse)) if mse else float("inf"))


def _check_images(channels: int) -> list[Tensor]:
    rng = np.random.default_rng(0)
    (height, width), (rows, columns) = _CHECK_SIZES
    coarse = imresize(rng.random((height // 8, width // 8, channels)), size=(height, width))  # soft shapes
    photo = np.clip(coarse + rng.normal(0, 0.03, coarse.shape), 0, 1)
    ramp = np.linspace(0, 1, rows)[:, None] * np.linspace(0, 1, columns)
    gradient = np.stack([ramp, 1 - ramp, ramp[::-1]][:channels], axis=2)
    return [torch.from_numpy(image).float()[None].permute(0, 3, 1, 2) for image in (photo, gradient)]


def _require_onnx() -> None:
    missing = [name for name in ("onnx", "onnxruntime", "onnxscript") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f'ONNX export needs {", ".join(missing)}: pip install "srkd[export]"')


def _write_dialect(network: Network, path: Path, dialect: str) -> Network:
    """Write the file, and read it back with what it cannot say."""
    try:
        torch.save(to_dialect(network, dialect), path)
    except ValueError as error:
        raise InputError(f"cannot export: {error}") from None
    return load_network(path, network={name: network.config[name] for name in ("res_scale", "img_range", "rgb_mean")})


class _OneInput(nn.Module):
    """The narrow network without its `width` argument, which an ONNX graph cannot have."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, lq: Tensor) -> Tensor:
        return self.network(lq)


def _write_onnx(network: Network, path: Path, width: float) -> None:
    import onnx

    channels = getattr(network, "num_in_ch", 3)
    example = torch.rand(1, channels, 32, 48)
    dynamic = {"lq": {2: torch.export.Dim("height"), 3: torch.export.Dim("width")}}
    with _quiet():
        torch.onnx.export(
            _OneInput(network),
            (example,),
            path,
            dynamo=True,
            external_data=False,
            dynamic_shapes=dynamic,
            input_names=["lq"],
            output_names=["sr"],
            opset_version=OPSET,
            verbose=False,
        )
    model = onnx.load(path)
    # The exporter notes where in which source file each node came from: paths of this machine, of no use elsewhere.
    for item in (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info):
        del item.metadata_props[:]
    onnx.helper.set_model_props(
        model,
        {
            "scale": str(network.scale),
            "range": "0..1",
            "colour_order": "Y" if channels == 1 else "RGB",
            "width": f"{width:g}",
            "network": type(network).__name__,
            "srkd_version": __version__,
        },
    )
    onnx.save(model, path)


def _onnx_forward(path: Path) -> Forward:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def forward(x: Tensor) -> Tensor:
        result: Any = session.run(None, {"lq": x.contiguous().numpy()})
        return torch.from_numpy(result[0])

    return forward


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """The exporter talks on stdout, through warnings and through loggers; none of it helps a user of srkd."""
    level = logging.root.manager.disable
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(level)
