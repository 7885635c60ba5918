"""Whether an exported file computes what the network computes: both on real photographs, the difference measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from srkd.imaging.color import rgb_to_ycbcr
from srkd.imaging.files import list_images, read_image, to_rgb8
from srkd.imaging.photographs import photograph
from srkd.imaging.resize import imresize

Forward = Callable[[Tensor], Tensor]
"""[1, C, h, w] in [0, 1] -> [1, C, s·h, s·w]."""

TRACED = (32, 48)
"""Height and width of the image that a graph is recorded with."""

# Photographs of scikit-image and the sizes they are reduced to; none is the traced size, one is a pixel larger.
_PHOTOGRAPHS = {"astronaut": (64, 40), "coffee": (33, 49), "chelsea": (47, 31)}


@dataclass(frozen=True)
class Parity:
    """How far a file's output is from the network's, images in [0, 1].

    Attributes:
        max_difference: the largest absolute difference of a value; 0 where they are equal.
        psnr: of the file's output against the network's, in dB; infinite where they are equal.
    """

    max_difference: float
    psnr: float

    def __str__(self) -> str:
        return "equal" if self.max_difference == 0 else f"{self.max_difference:.1e}, {self.psnr:.1f} dB"


@dataclass(frozen=True)
class Limit:
    """What a file of a format may differ: PyTorch's own formats by rounding, other runtimes by their algorithms."""

    max_difference: float
    psnr: float = 0.0

    def met_by(self, parity: Parity) -> bool:
        """Whether the file is kept; never where a value is not a number."""
        return parity.max_difference <= self.max_difference and parity.psnr >= self.psnr


INT8 = Limit(1.0, psnr=25.0)  # that the runtimes agree; what is lost is measured against the original (`int8.py`)
LIMITS = {
    ".pth": Limit(1e-5),
    ".safetensors": Limit(1e-5),
    ".pt2": Limit(1e-5),
    ".onnx": Limit(1e-3, psnr=80.0),
}


@torch.inference_mode()
def compare(reference: Forward, other: Forward, images: Iterable[Tensor]) -> Parity:
    """Run two forwards on the same images [1, C, h, w], and measure the difference over all of them."""
    errors = torch.cat([(other(x).double() - reference(x).double()).flatten() for x in images])
    mse = float(errors.square().mean())
    return Parity(float(errors.abs().max()), float(-10 * np.log10(mse)) if mse else float("inf"))


def check_images(
    channels: int, *, size: tuple[int, int] | None = None, folder: str | Path | None = None
) -> list[Tensor]:
    """Images to compare on, [1, channels, h, w] in [0, 1]; with one channel they are luma.

    Args:
        channels: 1: Y in [16, 235]/255; 3: RGB; any other number: R, G and B in turn.
        size: (height, width) that each image is resized to by MATLAB's bicubic, for files that take nothing else.
        folder: whose images are taken, at their own size; None: three photographs that scikit-image brings along,
            reduced to different sizes.

    Raises:
        InputError: the folder is missing or empty, or an image cannot be read.
    """
    if folder is None:
        photographs = [
            (to_rgb8(read_image(photograph(f"{name}.png"))), size or own) for name, own in _PHOTOGRAPHS.items()
        ]
    else:
        photographs = [(to_rgb8(read_image(path)), size) for path in list_images(folder)]
    return [
        _to_input(image if target is None else imresize(image, size=target), channels) for image, target in photographs
    ]


def _to_input(image: NDArray[np.uint8], channels: int) -> Tensor:
    pixels = image / 255
    pixels = rgb_to_ycbcr(pixels)[..., :1] if channels == 1 else pixels[..., [at % 3 for at in range(channels)]]
    return torch.from_numpy(pixels).float()[None].permute(0, 3, 1, 2).contiguous()
