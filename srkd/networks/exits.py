"""Exits of a network: what its first blocks have found becomes an image through a tail of its own."""

from __future__ import annotations

from typing import Any

from torch import nn

from srkd.networks.slim import Network
from srkd.networks.taps import body_of
from srkd.types import InputError

SHARED = ("shift", "conv_first", "body")
"""What an exit has in common with its network; the rest is its tail."""


def exit_at(network: Network, blocks: int) -> Network:
    """A network of the same kind with the first `blocks` blocks (groups) of `network`: the very same, not copies.

    Its tail is its own, and begins as a copy. Saved, it is an ordinary network with fewer blocks.

    Raises:
        InputError: the network has no such exit.
    """
    kind = type(network).__name__
    if not all(hasattr(network, name) for name in ("joined", "image")):
        raise InputError(f"{kind} has no exits; EDSR and RCAN have.")
    body = body_of(network)
    if not 0 < blocks < len(body):
        raise InputError(f"{kind} has {len(body)} blocks: no exit after {blocks}; from 1 to {len(body) - 1}.")
    option = "num_group" if "num_group" in network.config else "num_block"
    found: Any = type(network)(**{**network.config, option: blocks}).to(next(network.parameters()).device)
    found.load_state_dict({name: value for name, value in network.state_dict().items() if name in found.state_dict()})
    found.shift, found.conv_first, found.body = network.shift, network.conv_first, body[:blocks]
    return found


def tail_of(found: Network) -> nn.ModuleDict:
    """What an exit has for itself."""
    return nn.ModuleDict({name: child for name, child in found.named_children() if name not in SHARED})
