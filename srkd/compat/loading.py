"""Loading a network from any file: srkd's and BasicSR's own, and those that spandrel recognises."""

from __future__ import annotations

from pathlib import Path

from srkd.compat.spandrel import recognise
from srkd.networks.slim import Network
from srkd.networks.weights import Weights, network_of, read_weights
from srkd.types import InputError


def network_in(weights: Weights) -> Network:
    """The network that a file holds: the one it names, or else the one that spandrel recognises in it.

    Raises:
        InputError: the network is unknown, or the weights do not fit it.
    """
    if "network_g" in weights.meta:
        return network_of(weights)
    try:
        return network_of(weights)
    except InputError as unnamed:
        try:
            return recognise(weights)
        except InputError as unknown:
            raise InputError(f"{unnamed} Or, {unknown}") from None


def load_network(path: str | Path, *, key: str | None = None) -> Network:
    """Load a network from a file with no option file: ready for inference, on the CPU.

    Args:
        path: `.pth` or `.safetensors`, written by srkd, or of an architecture that spandrel recognises.
        key: `params` or `params_ema`; None takes `params_ema` if present.

    Raises:
        InputError: the file cannot be read, or does not tell which network it holds.
    """
    return network_in(read_weights(path, key)).eval()
