"""The narrow networks of one network, ready to run: made once each, shared by an upscaler and its copies in threads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

import torch

from srkd.inference.forward import Image
from srkd.inference.memory import bytes_per_pixel, weight_bytes
from srkd.inference.precision import DTYPES, choose_precision
from srkd.inference.runtimes import through
from srkd.inference.widths import narrowed
from srkd.networks.slim import Network

log = logging.getLogger(__name__)

At = tuple[int, float]
"""A width: its channels, and the share of all channels that they are."""

_FEWEST_TAIL_ROWS, _TAIL_BYTES = 16, 20 * 64 * 4

_UNKNOWN_PER_PIXEL = 1024 * 2**20 / 512**2  # windows of some 500 pixels in the memory that is usual


class Prepared:
    """Narrow networks by width and the way they are run (`srkd.inference.runtimes`), and what turned out about them.

    Attributes:
        settled: the way of each width for which `auto` has been decided.
        running: held while a network runs that keeps things from one pass for the next.
        tile_that_fits: side of the windows, once the device ran out of memory.
        told_of_approximation: whether the log has said that windows are not exact.
    """

    def __init__(self, network: Network, device: torch.device) -> None:
        self._network, self._device = network, device
        self._narrow: dict[tuple[int, str], Network] = {}
        self._per_pixel: dict[tuple[int, str], float] = {}
        self._visited: set[int] = set()
        self._changing = threading.RLock()
        self.settled: dict[int, str] = {}
        self.running = threading.Lock()
        self.tile_that_fits: int | None = None
        self.told_of_approximation = False

    def __reduce__(self) -> tuple[type[Prepared], tuple[Network, torch.device]]:
        return Prepared, (self._network, self._device)  # locks are neither pickled nor copied: networks are made anew

    def is_new(self, channels: int) -> bool:
        """Whether this is the first time that somebody asks about these channels."""
        with self._changing:
            before = len(self._visited)
            self._visited.add(channels)
            return len(self._visited) > before

    def at(self, at: At, way: str) -> Network:
        """The narrow network of a width, on the device, or in another runtime."""
        key = (at[0], way)
        with self._changing:
            if key not in self._narrow and " " in way:
                self._narrow[key] = through(narrowed(self._network, at[1]).eval(), way)
            if key not in self._narrow:
                small = narrowed(self._network, at[1]).eval().to(self._device, DTYPES[way])
                small.tail_rows = tail_rows(small) * (1 if self._device.type == "cpu" else 8)  # no cache to stay in
                self._narrow[key] = small.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
            return self._narrow[key]

    def settle(self, at: At, ways: Sequence[str], image: Image) -> str:
        """The fastest way that is exact enough at a width, decided on its first image; others' networks go."""
        with self._changing:
            if at[0] not in self.settled:
                best = choose_precision(lambda tried: self.at(at, tried), ways, image)
                self.settled[at[0]] = best
                log.info("width %g computes in %s.", at[1], best)
                for key in [key for key in self._narrow if key[0] == at[0] and key[1] != best]:
                    del self._narrow[key]
            return self.settled[at[0]]

    def bytes_per_pixel(self, at: At, way: str) -> float:
        """Peak memory beside the images per low-resolution pixel, estimated from shapes alone."""
        key = (at[0], way)
        with self._changing:
            if key not in self._per_pixel:
                try:
                    self._per_pixel[key] = bytes_per_pixel(self.at(at, way), self._network.scale)
                except Exception as error:  # what looks at values fails in its own way
                    log.info("the memory of %s cannot be estimated: %s", type(self._network).__name__, error)
                    self._per_pixel[key] = _UNKNOWN_PER_PIXEL
            return self._per_pixel[key]

    def memory(self) -> dict[float, int]:
        """Bytes of weights held for each width."""
        held: dict[float, int] = {}
        with self._changing:
            for (channels, _), network in self._narrow.items():
                width = channels / self._network.channels(1.0)
                held[width] = held.get(width, 0) + weight_bytes(network)
        return held


def tail_rows(network: Network) -> int:
    """Rows that the upsampler takes at a time: 20 for 64 channels in fp32, more where features are smaller.

    So few keep the widest tensors of EDSR-baseline ×4 to a fifth; in a narrow network they would cost time, as the rows
    at the bands' edges are computed twice, and save little.
    """
    size = next(network.parameters()).element_size() * network.num_feat
    return max(_TAIL_BYTES // size, _FEWEST_TAIL_ROWS)
