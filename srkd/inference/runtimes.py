"""What may run a network on this machine: PyTorch, or the network's ONNX graph in onnxruntime or OpenVINO.

A way to run is a word or two: `bf16` is PyTorch in that precision, `openvino fp32` another runtime.
"""

from __future__ import annotations

import hashlib
import json
import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

import torch

from srkd.atomic import atomic_path
from srkd.compat.onnx_file import OnnxRuntime, onnx_network
from srkd.data.sources import home
from srkd.inference.budget import fingerprint
from srkd.inference.export.graph import record, require_onnx, write_onnx
from srkd.inference.precision import Precision, check_precision, precisions
from srkd.networks.slim import Network
from srkd.types import InputError, WorkError

Runtime = Literal["torch", "onnxruntime", "openvino"]

_HINTS = {"fp32": "f32", "bf16": "bf16"}  # OpenVINO's words; onnxruntime computes in what the file has

log = logging.getLogger(__name__)


def ways(
    network: Network, runtime: Runtime | Literal["auto"], precision: Precision | Literal["auto"], device: torch.device
) -> list[str]:
    """The ways to run that are to be tried; the first is the one that the others have to agree with.

    Args:
        network: an `.onnx` file that was loaded is not run by torch: `torch` is what it was loaded with then.
        runtime: `auto` is every one that is installed; on a GPU, torch alone.
        precision: `auto` is every one that the device computes in hardware. An `.onnx` file keeps its own.
        device: where it runs.

    Raises:
        InputError: the runtime is unknown or not installed, or not possible with this device or precision.
    """
    allowed = ("auto", *get_args(Runtime))
    if runtime not in allowed:
        raise InputError(f"`runtime` (={runtime!r}) is one of {', '.join(allowed)}.")
    if precision != "auto":
        check_precision(precision, device)
    loaded = network.config.get("runtime")
    if device.type != "cpu":
        if runtime not in ("auto", "torch"):
            raise InputError(f"runtime {runtime} runs on the CPU here, not on {device}: add --device cpu.")
        runtime = "torch"
    if runtime == "auto":
        there = [name for name in get_args(OnnxRuntime) if find_spec(name) and (loaded or find_spec("onnxscript"))]
        names = there if loaded else ["torch", *there]
    else:
        names = [loaded or "torch"] if runtime == "torch" else [runtime]
    if missing := [name for name in names if find_spec(name) is None]:
        extra = "openvino" if missing == ["openvino"] else "export"
        raise InputError(f'runtime {missing[0]} is not installed: pip install -e ".[{extra}]"')
    possible = ["fp32"] if loaded else precisions(device) if precision == "auto" else [precision]
    pairs = [(name, kind) for name in names for kind in possible if computes_in(name, kind)]
    if not pairs:
        raise InputError(f"runtime {runtime} does not compute in {precision}; take fp32.")
    return [kind if name == "torch" else f"{name} {kind}" for name, kind in pairs]


def computes_in(runtime: str, precision: str) -> bool:
    """Whether a runtime has this precision, where the device has it."""
    return precision == "fp32" or runtime == "torch" or (runtime == "openvino" and precision in _HINTS)


def through(network: Network, way: str) -> Network:
    """A network, run by what `way` says; its graph is written once and kept in the user's cache folder.

    Raises:
        WorkError: the network cannot be written as a graph.
    """
    runtime, _, precision = way.rpartition(" ")
    file = Path(network.config["path"]) if "runtime" in network.config else _graph_of(network)
    return onnx_network(
        file, runtime="openvino" if runtime == "openvino" else "onnxruntime", precision=_HINTS[precision]
    )


def _graph_of(network: Network) -> Path:
    require_onnx()
    options = json.dumps([type(network).__name__, network.config], sort_keys=True, default=str)
    digest = hashlib.sha256(f"{options} {fingerprint(network)}".encode()).hexdigest()
    file = home("graphs") / f"{digest[:24]}.onnx"
    if not file.is_file():
        log.info("writing the graph of %s for other runtimes: %s", type(network).__name__, file)
        try:
            with atomic_path(file) as temporary:
                write_onnx(temporary, record(network), {"receptive_field": str(network.receptive_field or "unbounded")})
        except OSError:
            raise
        except Exception as error:  # whatever torch.export finds in a network that it does not understand
            reason = str(error).strip().split("\n")[0][:160]
            raise WorkError(f"{type(network).__name__} cannot be written as ONNX ({reason}).") from None
    return file
