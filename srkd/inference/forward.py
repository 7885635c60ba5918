"""Images of any kind through a network: RGB or Y, grey and alpha, 8 bits, 16 bits and floating point."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from srkd import tf32
from srkd.data.parcels import to_tensor, to_unit
from srkd.imaging.color import rgb_to_ycbcr, ycbcr_to_rgb
from srkd.imaging.resize import imresize
from srkd.inference.transfer import to_device, to_host
from srkd.types import InputError, WorkError

Image = NDArray[Any]
"""uint8, uint16, or floating point in [0, 1]."""

_FLOAT_REACH = 2.0  # resampled images overshoot [0, 1] a little; one in 0..255 is a mistake


def takes_luma(network: nn.Module) -> bool:
    """Whether the network is a Y-channel one (one input channel) and not an RGB one."""
    return getattr(network, "num_in_ch", 3) == 1


@contextmanager
def exact_convolutions() -> Generator[None]:
    """GPUs would round fp32 to 10 bits on the way, and search the fastest convolution anew for each size of image.

    These are switches of the process: the first of several threads sets them, the last puts them back.
    """
    global _inside
    with _switching:
        if not _inside:
            _switched.enter_context(tf32.convolutions(tf32=False))
            _switched.callback(setattr, torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
            torch.backends.cudnn.benchmark = False
        _inside += 1
    try:
        yield
    finally:
        with _switching:
            _inside -= 1
            if not _inside:
                _switched.close()


_inside, _switching, _switched = 0, threading.Lock(), ExitStack()


@torch.inference_mode()
def upscale_plane(network: nn.Module, plane: NDArray[np.float64], *, width: float = 1.0) -> NDArray[np.float64]:
    """Upscale a luma plane [h, w] in [0, 1] to [s·h, s·w] with a Y-channel network; not clipped."""
    x = torch.from_numpy(plane.astype(np.float32))[None, None].to(_device(network))
    with exact_convolutions():
        return finite(network(x, width))[0, 0].cpu().numpy().astype(np.float64)


def finite(sr: Tensor) -> Tensor:
    """`sr`, if every value in it is a number.

    Raises:
        WorkError: one is infinite or not a number; in a picture it would be black.
    """
    if not torch.isfinite(sr.sum()) and not torch.isfinite(sr).all():  # the sum is quick, and may overflow by itself
        raise WorkError(
            "the network's output is infinite or not a number (nan). In fp16 a value may have become too large: take "
            "fp32 (--precision fp32); else its weights are spoilt, or the image is far outside [0, 1]."
        )
    return sr


def upscale_image(network: nn.Module, image: Image, *, width: float = 1.0) -> Image:
    """Upscale one image, see `upscale_images`."""
    return upscale_images(network, [image], width=width)[0]


@torch.inference_mode()
def upscale_images(network: nn.Module, images: Sequence[Image], *, width: float = 1.0) -> list[Image]:
    """Upscale images of one kind and size in one batch, where the network's parameters are.

    Grey goes through the network as RGB with equal channels; the result is the mean of the three, taken before
    rounding. A Y-channel network upscales the luma; Cb and Cr, and alpha of RGBA images, are resized bicubically.

    Args:
        network: called as `network(x, width)`; put into eval mode by the caller.
        images: uint8, uint16 or floating point in [0, 1]; [h, w] grey, [h, w, 3] RGB or [h, w, 4] RGBA.
        width: fraction of the channels.

    Returns:
        The same kind and depth, s times the size; floating point is clipped to [0, 1].

    Raises:
        InputError: an image is of another kind, or they differ.
        WorkError: the network's output is not finite.
    """
    for image in images:
        _check_kind(image)
        if (image.shape, image.dtype) != (images[0].shape, images[0].dtype):
            raise InputError("images of one batch have one size, one kind and one depth.")
    grey, dtype = images[0].ndim == 2, images[0].dtype
    rgb = np.stack([np.repeat(image[..., None], 3, axis=2) if grey else image[..., :3] for image in images])
    if takes_luma(network):
        sr = torch.cat([_luma_and_chroma(network, one, width) for one in rgb])
    else:
        with exact_convolutions():
            sr = finite(network(_to_batch(rgb, _device(network)), width))
    results = _from_batch(sr.mean(dim=1, keepdim=True) if grey else sr, dtype)
    if grey:
        return [result[..., 0] for result in results]
    if images[0].shape[2] == 3:
        return list(results)
    alphas = (imresize(image[..., 3], size=results.shape[1:3]) for image in images)
    if dtype.kind == "f":
        alphas = (np.clip(alpha, 0, 1) for alpha in alphas)
    return [np.dstack([result, alpha]) for result, alpha in zip(results, alphas, strict=True)]


def _check_kind(image: Image) -> None:
    known = image.dtype.name in ("uint8", "uint16") or image.dtype.kind == "f"
    if not known or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,), (4,)) or not image.size:
        raise InputError(
            "an image is uint8, uint16 or floating point in [0, 1], and [h, w], [h, w, 3] or [h, w, 4]; this is "
            f"{image.dtype} {list(image.shape)}."
        )
    if image.dtype.kind == "f" and not (reach := float(np.abs(image).max())) <= _FLOAT_REACH:
        raise InputError(f"a floating-point image lies in [0, 1]; this one reaches {reach:g}: divide it by its range.")


def _peak(dtype: np.dtype[Any]) -> int:
    return 1 if dtype.kind == "f" else int(np.iinfo(dtype).max)


def _to_batch(images: Image, device: torch.device) -> Tensor:
    """[N, h, w, C] -> float32 [N, C, h, w] in [0, 1], channels-last in memory: that is how the array lies already."""
    if images.dtype.kind == "f":
        images = images.astype(np.float32, copy=False)
    x = to_device(to_tensor(images), device)  # integers travel as such: a quarter of the bytes
    return x if x.is_floating_point() else to_unit(x)


def _from_batch(x: Tensor, dtype: np.dtype[Any]) -> Image:
    """[N, C, h, w] -> [N, h, w, C], clipped to [0, 1] and rounded to the levels of `dtype`."""
    x = x.detach().clamp(0, 1)
    if dtype.kind != "f":
        x = x.mul_(_peak(dtype)).round_()
    if dtype == np.uint8:
        x = x.to(torch.uint8)  # with all threads, which NumPy would not use
    return to_host(x.permute(0, 2, 3, 1).contiguous()).numpy().astype(dtype, copy=False)


def _luma_and_chroma(network: nn.Module, rgb: Image, width: float) -> Tensor:
    ycbcr = rgb_to_ycbcr(rgb / _peak(rgb.dtype))
    luma = upscale_plane(network, ycbcr[..., 0], width=width)
    chroma = imresize(ycbcr[..., 1:], size=luma.shape)
    return torch.from_numpy(ycbcr_to_rgb(np.dstack([luma, chroma])))[None].permute(0, 3, 1, 2)


def _device(network: nn.Module) -> torch.device:
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
