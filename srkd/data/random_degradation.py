"""Low-resolution images as cameras and the web leave them: random blur, noise and JPEG, another draw for each patch.

A network that saw only clean bicubic images draws the block edges of a JPEG as hard lines.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from srkd.data.degradation import RGB8, jpeg
from srkd.imaging.resize import imresize, mod_crop

MCU = 16
"""Side of the blocks of a JPEG with halved chroma: a patch is compressed on the grid of its whole image."""

_BEYOND = 4  # low-resolution pixels around a patch that blur may bring in; JPEG takes whole blocks

Range = tuple[float, float]


@dataclass(frozen=True)
class RandomDegradation:
    """MATLAB's bicubic, then blur, noise and JPEG, each with probability `p` and a strength from its range.

    Attributes:
        type: `random`.
        blur: lowest and highest σ of a Gaussian, in low-resolution pixels; None: no blur.
        noise: of white Gaussian noise, in levels of 255; None: no noise.
        jpeg: lowest and highest quality; None: no JPEG.
        p: probability of each of them, drawn one by one; at 0.8 one patch of 125 stays clean where all three are given.
        seed: of whole images (validation); patches follow the data set's order.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    type: Literal["random"]
    blur: Range | None = None
    noise: Range | None = None
    jpeg: Range | None = None
    p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {"blur": (0, 4), "noise": (0, 255), "jpeg": (1, 100)}
        given = {name: getattr(self, name) for name in limits if getattr(self, name) is not None}
        if not given:
            raise ValueError(
                "type random needs at least one of `blur`, `noise` and `jpeg`, for example jpeg: [40, 95]."
            )
        for name, (low, high) in given.items():
            least, most = limits[name]
            if not least <= low <= high <= most:
                raise ValueError(f"`{name}` (=[{low:g}, {high:g}]) is [lowest, highest], from {least} to {most}.")
        if not 0 < self.p <= 1:
            raise ValueError(f"`p` (={self.p:g}) is a probability, above 0 and at most 1.")

    def __str__(self) -> str:
        values = ", ".join(f"{each.name} {getattr(self, each.name)}" for each in fields(self)[1:])
        return f"random ({values})"


@dataclass(frozen=True)
class _Drawn:
    """What happens to one image: 0 and None mean nothing."""

    blur: float
    noise: float
    quality: int | None


def degrade_image(gt: RGB8, how: RandomDegradation, *, scale: int, name: str) -> RGB8:
    """The low-resolution image of `gt`, the same one whenever it is asked for by this `name`."""
    small = imresize(mod_crop(gt, scale), scale=1 / scale)
    words = _words(f"{how.seed} {name}".encode())
    return _apply(small, _draw(how, words), words)


def degrade_patch(lq: RGB8, how: RandomDegradation, *, top: int, left: int, side: int, u: float) -> RGB8:
    """A square of the clean low-resolution image `lq` [h, w, 3] as if the whole image had been degraded.

    Args:
        lq: the whole image, made by bicubic.
        how: what may happen.
        top, left, side: the square.
        u: uniform in [0, 1): decides everything.
    """
    words = _words(np.float64(u).tobytes())
    first = [max(0, (at - _BEYOND) // MCU * MCU) for at in (top, left)]
    last = [
        min(size, -(-(at + side + _BEYOND) // MCU) * MCU) for size, at in zip(lq.shape[:2], (top, left), strict=True)
    ]
    window = lq[first[0] : last[0], first[1] : last[1]]
    top, left = top - first[0], left - first[1]
    return _apply(window, _draw(how, words), words)[top : top + side, left : left + side]


def _draw(how: RandomDegradation, words: np.random.Philox) -> _Drawn:
    chance = _uniform(words, 6)

    def strength(at: int, values: Range | None) -> float | None:
        if values is None or chance[at] >= how.p:
            return None
        return values[0] + chance[at + 1] * (values[1] - values[0])

    quality = strength(4, how.jpeg)
    return _Drawn(
        strength(0, how.blur) or 0.0, strength(2, how.noise) or 0.0, None if quality is None else round(quality)
    )


def _apply(image: RGB8, drawn: _Drawn, words: np.random.Philox) -> RGB8:
    pixels = image.astype(np.float32)
    if drawn.blur > 0.05:  # below that nothing changes by half a level
        pixels = cv2.GaussianBlur(pixels, (0, 0), drawn.blur, borderType=cv2.BORDER_REPLICATE)
    if drawn.noise:
        pixels = pixels + drawn.noise * ndtri(_uniform(words, image.size)).reshape(image.shape)
    rounded = np.clip(np.floor(pixels + 0.5), 0, 255).astype(np.uint8)
    return rounded if drawn.quality is None else jpeg(rounded, drawn.quality)


def _words(key: bytes) -> np.random.Philox:
    return np.random.Philox(key=np.frombuffer(hashlib.sha256(key).digest()[:16], "<u8"))


def _uniform(words: np.random.Philox, count: int) -> NDArray[np.float64]:
    """Raw words, as NumPy promises to keep them; never 0 or 1, where the normal distribution has no end."""
    return ((words.random_raw(count) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
