"""A loaded network with a current width: `up.width = 0.25` switches in place, at the speed of a smaller network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from srkd.compat.loading import load_network
from srkd.inference.device import choose_device
from srkd.inference.forward import upscale_image
from srkd.inference.widths import narrowed, warn_untrained
from srkd.networks.slim import Network
from srkd.types import InputError


class Upscaler:
    """Upscales images with one network at a width that can be changed at any time.

    The narrow network of each width is made once, when it is first used, and kept: its weights are physically smaller
    and it runs as fast as a network trained at that size.

    Args:
        model: a checkpoint, or a network; the network itself is never changed or moved.
        width: fraction of the channels to begin with.
        device: `auto` (cuda, then mps, then cpu), or a torch device.

    Raises:
        InputError: the checkpoint, the width or the device is not valid.
    """

    def __init__(self, model: str | Path | Network, *, width: float = 1.0, device: str = "auto") -> None:
        self.network = model if isinstance(model, Network) else load_network(model)
        self.device = choose_device(device)
        self._narrow: dict[int, Network] = {}
        self.width = width

    @property
    def scale(self) -> int:
        """How many times larger the result is."""
        return self.network.scale

    @property
    def widths(self) -> tuple[float, ...]:
        """Widths the network was trained for; where unknown, every valid one. Others are valid but not supervised."""
        return self.network.trained_widths or self.network.widths

    @property
    def width(self) -> float:
        """The current width; setting it takes microseconds once the width has been used."""
        return self._width

    @width.setter
    def width(self, width: float) -> None:
        try:
            channels = self.network.channels(width)
        except ValueError as error:
            raise InputError(str(error)) from None
        if channels not in self._narrow:
            warn_untrained(self.network, width)
            self._narrow[channels] = narrowed(self.network, width).eval().to(self.device)
        self._current = self._narrow[channels]
        self._width = width

    def __call__(self, image: NDArray[Any]) -> NDArray[Any]:
        """Upscale a grey, RGB or RGBA image of 8 or 16 bits; see `upscale_image`."""
        return upscale_image(self._current, image)
