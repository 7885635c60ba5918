"""Loading a network from any file: srkd's, those in a known dialect of its networks, and those spandrel recognises."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from srkd.compat.onnx_file import onnx_network
from srkd.compat.spandrel import recognise
from srkd.networks.slim import Network
from srkd.networks.weights import Weights, network_of, read_weights
from srkd.types import InputError


def network_in(weights: Weights, given: Mapping[str, Any] | None = None) -> Network:
    """The network that a file holds: the one it names or is a dialect of, or else the one that spandrel recognises.

    Args:
        weights: the file.
        given: options that a file of another code base does not hold (see `network_of`).

    Raises:
        InputError: the network is unknown, or the weights do not fit it.
    """
    if weights.described or weights.converted or given:
        return network_of(weights, given)
    try:
        return recognise(weights)
    except InputError as unknown:
        raise InputError(
            f"checkpoint {weights.path} does not say which network it holds (no 'network_g'). If it is one of "
            "srkd's or BasicSR's, name it in an option file (network_g and path.pretrain_network_g); another network's "
            f"own code becomes a plugin (docs/foreign_networks.md). Or, {unknown}"
        ) from None


def load_network(path: str | Path, *, key: str | None = None, network: Mapping[str, Any] | None = None) -> Network:
    """Load a network from its file alone, without an option file: ready for inference, on the CPU.

    Args:
        path: `.pth` or `.safetensors`, written by srkd, in a known dialect, or of an architecture that spandrel
            recognises; or `.onnx`, which onnxruntime runs (`srkd.compat.onnx_file` has OpenVINO too).
        key: `params` or `params_ema`; None takes `params_ema` if present.
        network: options that a file of another code base does not hold, such as `res_scale`.

    Raises:
        InputError: the file cannot be read, or does not tell which network it holds.
    """
    if Path(path).suffix.lower() == ".onnx":
        return onnx_network(path).eval()
    return network_in(read_weights(path, key), network).eval()
