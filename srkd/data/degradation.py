"""How low-resolution images are made other than by bicubic: blur-down, noise, JPEG.

BI, BD and DN are the papers' names; BD and DN are reported at ×3. Blurring is kornia's, shrinking is MATLAB's
`imresize` as everywhere in srkd. JPEG is not kornia's: its `jpeg_codec_differentiable` is made for gradients, and gives
pixels that no file holds (37 dB from OpenCV's at quality 10, 44 at 75; it keeps 0.5 to 0.8 dB more of the image).
Networks meet the JPEGs of real encoders, so the image goes through OpenCV's (libjpeg, chroma halved) and back.

Papers: BD and DN: K. Zhang et al., "Learning deep CNN denoiser prior for image restoration", CVPR 2017 (BD); Y. Zhang
et al., "Residual dense network for image super-resolution", CVPR 2018 (both, with the names).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from srkd.imaging.resize import imresize, mod_crop

RGB8 = NDArray[np.uint8]

PAPER_SIGMA = {"BD": 1.6, "DN": 30.0}


@dataclass(frozen=True)
class Degradation:
    """What becomes of a high-resolution image.

    Attributes:
        type: `BI` bicubic; `BD` Gaussian blur, then every s-th pixel; `DN` bicubic, then Gaussian noise; `JPEG`
            bicubic, then JPEG.
        sigma: of the blur in high-resolution pixels (BD; the papers' 1.6), or of the noise in levels of 255 (DN; 30).
        quality: of the JPEG, 1 to 100.
        seed: which noise.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}  # a misspelt key is an error

    type: Literal["BI", "BD", "DN", "JPEG"]
    sigma: float | None = None
    quality: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sigma is not None and self.type not in PAPER_SIGMA:
            raise ValueError(
                f"`sigma` (={self.sigma}) belongs to types {' and '.join(PAPER_SIGMA)}, not to {self.type}."
            )
        if self.sigma is not None and not 0 < self.sigma <= 255:
            raise ValueError(f"`sigma` (={self.sigma}) must be above 0 and at most 255.")
        if self.type == "JPEG" and not (self.quality is not None and 1 <= self.quality <= 100):
            raise ValueError(f"`quality` (={self.quality}) must be given for type JPEG, from 1 to 100.")
        if self.type != "JPEG" and self.quality is not None:
            raise ValueError(f"`quality` (={self.quality}) belongs to type JPEG, not to {self.type}.")


BICUBIC = Degradation("BI")


def degrade(gt: RGB8, degradation: Degradation, *, scale: int, name: str) -> RGB8:
    """Make the low-resolution image of `gt` cut to a multiple of the scale; the same one whenever it is asked for.

    Args:
        gt: [H, W, 3] uint8.
        degradation: which one.
        scale: how much smaller.
        name: of the image: each has noise of its own.

    Returns:
        [H // scale, W // scale, 3] uint8.
    """
    gt = mod_crop(gt, scale)
    sigma = degradation.sigma or PAPER_SIGMA.get(degradation.type, 0.0)
    if degradation.type == "BD":
        return blur_down(gt, scale, sigma=sigma)
    small = imresize(gt, scale=1 / scale)
    if degradation.type == "DN":
        return add_noise(small, sigma, seed=degradation.seed, name=name)
    return small if degradation.quality is None else jpeg(small, degradation.quality)


def blur_down(image: RGB8, scale: int, *, sigma: float = 1.6) -> RGB8:
    """BD: convolve with a Gaussian, edges repeated, and keep the middle pixel of every scale × scale block.

    The kernel's size is that of the authors' scripts (RDN, RCAN): 7 × 7 at ×3 with σ 1.6, else ±3σ, and even where the
    scale is, since the middle of the block then lies between pixels: without that every image would be shifted.

    Args:
        image: [H, W, 3] uint8, H and W multiples of the scale.
        scale: every how many pixels one is kept.
        sigma: of the Gaussian, in pixels.
    """
    import torch
    from kornia.filters import filter2d_separable, get_gaussian_kernel1d

    size = 7 if (scale, sigma) == (3, 1.6) else 2 * int(np.ceil(3 * sigma)) + 1 + (scale % 2 == 0)
    kernel = get_gaussian_kernel1d(size, sigma, force_even=size % 2 == 0, dtype=torch.float64)
    pixels = torch.from_numpy(np.array(image, dtype=np.float64)).permute(2, 0, 1)[None]
    blurred = filter2d_separable(pixels, kernel, kernel, border_type="replicate")[0].permute(1, 2, 0).numpy()
    first = (scale - 1) // 2
    return _rounded(blurred[first::scale, first::scale])


def add_noise(image: RGB8, sigma: float, *, seed: int, name: str) -> RGB8:
    """DN's second half: white Gaussian noise of `sigma` levels on every value, rounded and clipped to uint8.

    The noise is a function of seed, name and size, and stays the same in later versions of NumPy, which promises that
    for raw words alone.
    """
    key = hashlib.sha256(f"{seed} {name}".encode("utf-8", "surrogateescape")).digest()
    words = np.random.Philox(key=np.frombuffer(key[:16], "<u8")).random_raw(image.size)
    uniform = (
        (words >> np.uint64(11)).astype(np.float64) + 0.5
    ) * 2.0**-53  # never 0 or 1, where the normal has no end
    return _rounded(image + sigma * ndtri(uniform).reshape(image.shape))


def jpeg(image: RGB8, quality: int) -> RGB8:
    """Encode as JPEG and decode."""
    ok, data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert ok, image.shape
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None, image.shape
    return np.ascontiguousarray(decoded[..., ::-1], dtype=np.uint8)


def _rounded(values: NDArray[np.float64]) -> RGB8:
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8)
