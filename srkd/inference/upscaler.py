"""A loaded network with a current width: `up.width = 0.25` switches in place, at the speed of a smaller network."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from srkd.imaging.color import rgb_to_ycbcr, ycbcr_to_rgb
from srkd.imaging.resize import imresize
from srkd.inference.device import choose_device
from srkd.inference.forward import to_image, to_tensor
from srkd.networks.slim import Network, narrow
from srkd.networks.weights import load_network
from srkd.types import InputError

log = logging.getLogger(__name__)


def narrowed(network: Network, width: float) -> Network:
    """`narrow`, with a width that is not valid reported as the user's mistake."""
    try:
        return narrow(network, width)
    except ValueError as error:
        raise InputError(f"{type(network).__name__}: {error}") from None


def trained_at(network: Network, width: float) -> bool:
    """Whether training supervised `width`; True where the widths are unknown."""
    trained = network.trained_widths
    return trained is None or any(abs(width - own) < 1e-6 for own in trained)


def warn_untrained(network: Network, width: float) -> None:
    """Say in the log that a width was not trained: its output is noise."""
    if network.trained_widths and not trained_at(network, width):
        trained = ", ".join(f"{own:g}" for own in network.trained_widths)
        log.warning("width %g was not trained (trained: %s): expect noise.", width, trained)


def takes_luma(network: nn.Module) -> bool:
    """Whether the network is a Y-channel one (one input channel) and not an RGB one."""
    return getattr(network, "num_in_ch", 3) == 1


@torch.inference_mode()
def upscale_plane(network: nn.Module, plane: NDArray[np.float64], *, width: float = 1.0) -> NDArray[np.float64]:
    """Upscale a luma plane [h, w] in [0, 1] to [s·h, s·w] with a Y-channel network; not clipped."""
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    x = torch.from_numpy(plane.astype(np.float32))[None, None].to(device)
    return network(x, width)[0, 0].cpu().numpy().astype(np.float64)


@torch.inference_mode()
def upscale_image(network: nn.Module, image: NDArray[Any], *, width: float = 1.0) -> NDArray[Any]:
    """Upscale an image of any kind by a network on RGB or on Y, where the network's parameters are.

    Grey goes through the network as RGB with equal channels; the result is the mean of the three, taken before
    rounding. A Y-channel network upscales the luma; Cb and Cr, and alpha of RGBA images, are resized bicubically.

    Args:
        network: called as `network(x, width)`; put into eval mode by the caller.
        image: uint8 or uint16, [h, w] grey, [h, w, 3] RGB or [h, w, 4] RGBA.
        width: fraction of the channels.

    Returns:
        The same kind and depth, s times the size.
    """
    if (
        image.dtype.name not in ("uint8", "uint16")
        or image.ndim not in (2, 3)
        or image.shape[2:] not in ((), (3,), (4,))
    ):
        raise InputError(
            f"an image is uint8 or uint16, [h, w], [h, w, 3] or [h, w, 4]; this is {image.dtype} {list(image.shape)}."
        )
    grey = image.ndim == 2
    rgb = np.repeat(image[..., None], 3, axis=2) if grey else image[..., :3]
    sr = _luma_and_chroma(network, rgb, width) if takes_luma(network) else _rgb(network, rgb, width)
    depth = np.uint16 if image.dtype == np.uint16 else np.uint8
    result = to_image(sr.mean(dim=1, keepdim=True) if grey else sr, depth)
    if grey:
        return result[..., 0]
    if image.shape[2] == 4:
        alpha = imresize(image[..., 3], size=result.shape[:2])
        return np.dstack([result, alpha])
    return result


def _rgb(network: nn.Module, rgb: NDArray[Any], width: float) -> Tensor:
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    return network(to_tensor(rgb, device), width)


def _luma_and_chroma(network: nn.Module, rgb: NDArray[Any], width: float) -> Tensor:
    ycbcr = rgb_to_ycbcr(rgb / np.iinfo(rgb.dtype).max)
    luma = upscale_plane(network, ycbcr[..., 0], width=width)
    chroma = imresize(ycbcr[..., 1:], size=luma.shape)
    return torch.from_numpy(ycbcr_to_rgb(np.dstack([luma, chroma])))[None].permute(0, 3, 1, 2)


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
