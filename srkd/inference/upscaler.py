"""A loaded network with a current width: `up.width = 0.25` switches in place, at the speed of a smaller network."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, Self, overload

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor, nn

from srkd.compat.foreign import Foreign
from srkd.compat.loading import load_network
from srkd.imaging.files import read_image
from srkd.imaging.profiles import upright_and_profile
from srkd.inference.budget import Plan, make_plan
from srkd.inference.budget import fit as fit_plan
from srkd.inference.conversion import from_pillow, from_tensor, like_tensor
from srkd.inference.device import choose_device
from srkd.inference.ensemble import SelfEnsemble
from srkd.inference.forward import Image, upscale_images
from srkd.inference.memory import MIB, largest_tile
from srkd.inference.precision import Precision
from srkd.inference.prepared import Prepared
from srkd.inference.runtimes import Runtime, ways
from srkd.inference.tiling import APPROXIMATE_MARGIN, RESIZE_MARGIN, SMALLEST_TILE, upscale_tiled
from srkd.inference.widths import warn_untrained
from srkd.memory import available_memory
from srkd.networks.slim import Network
from srkd.types import InputError

log = logging.getLogger(__name__)

WORKING_MEMORY = 1024 * MIB
"""What the CPU may use beside the images unless `memory_mb` says otherwise; windows larger than that gain no speed."""


class Upscaler:
    """Upscales images with one network at a width that can be changed at any time.

    The narrow network of each width is made once, when it is first used, and kept: its weights are physically smaller
    and it runs as fast as a network trained at that size.

    Several threads may call one upscaler at once. Each call uses the width that is set when it begins. A thread that
    wants its own width takes a `copy`. Calls of a network that is not srkd's wait for each other.

    Args:
        model: a checkpoint, or a network; the network itself is never changed or moved.
        width: fraction of the channels to begin with.
        device: `auto` (cuda, then mps, then cpu), or a torch device.
        precision: `fp32`, `bf16`, `fp16`, or `auto`: for each width the fastest that stays 55 dB close to fp32,
            measured on tiles of its first image. Only `fp32` gives the same digits on every machine.
        tile: side of the windows in low-resolution pixels; 0 never cuts; `auto` cuts if memory is short.
        self_ensemble: average over the eight flips and rotations (×8 the time).
        memory_mb: MiB that activations may take, not counting the images; None: 1024 on the CPU, everything elsewhere.
        runtime: `torch`; `onnxruntime` or `openvino`, on the CPU: each width's graph is written once, which takes
            seconds, and kept; or `auto`: the fastest of those that are installed, chosen as the precision is. What an
            `.onnx` file computes in stays as it is; `torch` is onnxruntime there.

    Raises:
        InputError: the checkpoint, the width, the device, the precision or the runtime is not valid.
    """

    def __init__(
        self,
        model: str | Path | Network,
        *,
        width: float = 1.0,
        device: str = "auto",
        precision: Precision | Literal["auto"] = "auto",
        tile: int | Literal["auto"] = "auto",
        self_ensemble: bool = False,
        memory_mb: float | None = None,
        runtime: Runtime | Literal["auto"] = "torch",
    ) -> None:
        self.network = model if isinstance(model, Network) else load_network(model)
        self.device = choose_device(device)
        self._ways = ways(self.network, runtime, precision, self.device)
        if tile != "auto" and not (tile == 0 or tile >= SMALLEST_TILE):
            raise InputError(
                f"`tile` (={tile}) is auto, 0 for none, or at least {SMALLEST_TILE} low-resolution pixels."
            )
        if memory_mb is not None and not memory_mb > 0:
            raise InputError(f"`memory_mb` (={memory_mb}) must be above 0.")
        self.tile: int | Literal["auto"] = tile
        self.self_ensemble = self_ensemble
        self.memory_mb = memory_mb
        self._prepared = Prepared(self.network, self.device)
        self.width = width

    def copy(self) -> Self:
        """An upscaler with a width, tile and memory of its own, which shares the narrow networks of this one."""
        return copy.copy(self)

    @property
    def scale(self) -> int:
        """How many times larger the result is."""
        return self.network.scale

    @property
    def widths(self) -> tuple[float, ...]:
        """Widths the network was trained for; every valid one if that is unknown. Others work, but were not trained."""
        return self.network.trained_widths or self.network.widths

    @property
    def width(self) -> float:
        """The current width. Setting it takes microseconds once the width has been used."""
        return self._at[1]

    @width.setter
    def width(self, width: float) -> None:
        try:
            channels = self.network.channels(width)
        except ValueError as error:
            raise InputError(str(error)) from None
        if self._prepared.is_new(channels):
            warn_untrained(self.network, width)
        # the exact share: 0.33333333 and 1/3 are one width; and both at once, for other threads
        self._at = channels, channels / self.network.channels(1.0)
        if self.way != "auto":
            self._prepared.at(self._at, self.way)

    @property
    def way(self) -> str:
        """How the current width is run, such as `bf16` or `openvino fp32`; `auto` until its first image has decided."""
        return self._ways[0] if len(self._ways) == 1 else self._prepared.settled.get(self._at[0], "auto")

    @property
    def precision(self) -> str:
        """What the current width computes in; `auto` until its first image has decided."""
        return self.way.rpartition(" ")[2]

    @property
    def memory(self) -> dict[float, int]:
        """Bytes of weights held for each width used so far."""
        return self._prepared.memory()

    @overload
    def __call__(self, picture: Image | str | Path) -> Image: ...
    @overload
    def __call__(self, picture: Pillow.Image) -> Pillow.Image: ...
    @overload
    def __call__(self, picture: Tensor) -> Tensor: ...
    def __call__(self, picture: Image | str | Path | Pillow.Image | Tensor) -> Image | Pillow.Image | Tensor:
        """Upscale one picture.

        Args:
            picture: an array (uint8, uint16 or floating point in [0, 1]; [h, w] grey, [h, w, 3] RGB, [h, w, 4] RGBA),
                a file, a Pillow image, turned as its EXIF says (modes other than L, I;16, RGB and RGBA are converted
                to RGB or RGBA), or a tensor ([C, h, w] or [B, C, h, w], floating point in [0, 1], C being 1, 3 or 4).

        Returns:
            The same kind and depth, s times the size: a Pillow image for a Pillow image, a tensor where it was for a
            tensor, else an array.

        Raises:
            InputError: the picture is of another kind, or its file cannot be read.
        """
        if isinstance(picture, Pillow.Image):
            return Pillow.fromarray(self.upscale(from_pillow(picture)))
        if isinstance(picture, Tensor):
            return like_tensor(picture, self.batch(from_tensor(picture)))
        if isinstance(picture, str | Path):
            picture, _ = upright_and_profile(Path(picture), read_image(picture))
        return self.upscale(picture)

    def batch(self, images: Sequence[Image], *, size: int = 8) -> list[Image]:
        """Upscale arrays, up to `size` of equal shape and depth at a time; the results are in the order given."""
        return self.copy()._batch(images, size)

    def _batch(self, images: Sequence[Image], size: int) -> list[Image]:
        results: dict[int, Image] = {}
        kinds: dict[tuple[Any, ...], list[int]] = {}
        for index, image in enumerate(images):
            kinds.setdefault((image.shape, image.dtype), []).append(index)
        for alike in kinds.values():
            for part in (alike[at : at + size] for at in range(0, len(alike), size)):
                first = images[part[0]]
                together: list[Image] = []
                if not self.tile_for(*first.shape[:2]):
                    try:
                        together = self._run(self.current(first), [images[index] for index in part])
                    except RuntimeError as error:
                        if not _is_out_of_memory(error):
                            raise
                results.update(zip(part, together or [self.upscale(images[index]) for index in part], strict=True))
        return [results[index] for index in range(len(images))]

    def upscale(self, image: Image, *, out: Image | None = None) -> Image:
        """Upscale an array, in windows if memory is short.

        Args:
            image: as for calling the upscaler.
            out: [s·h, s·w, …] of the image's kind to write into, for example a memory-mapped file.
        """
        now = self.copy()  # another thread may set another width
        network = now.current(image)
        tile = now.tile_for(*image.shape[:2])
        while True:
            try:
                return now._upscale(network, image, tile, out)
            except RuntimeError as error:
                tile = (tile or max(image.shape[:2])) // 2
                if not _is_out_of_memory(error) or tile < SMALLEST_TILE or self.tile == 0:
                    raise
                torch.cuda.empty_cache()
                log.warning("The device ran out of memory: going on in windows of %d pixels.", tile)
                self._prepared.tile_that_fits = tile

    def tile_for(self, height: int, width_px: int) -> int | None:
        """Side of the windows in which an image of this size is upscaled at the current width; None: in one piece.

        Raises:
            InputError: `memory_mb` is too little for the smallest window.
        """
        if self.tile != "auto":
            return self.tile if 0 < self.tile < max(height, width_px) else None
        if fits := self._prepared.tile_that_fits:
            return fits if fits < max(height, width_px) else None
        if self.memory_mb is None and self.device.type != "cpu":
            return None
        budget = min(WORKING_MEMORY, available_memory() / 2) if self.memory_mb is None else self.memory_mb * MIB
        per_pixel = self.bytes_per_pixel()
        if height * width_px * per_pixel <= budget:
            return None
        tile = max(largest_tile(per_pixel, budget, self.margin), SMALLEST_TILE)
        least = math.prod(min(tile + 2 * self.margin, side) for side in (height, width_px)) * per_pixel
        if least > budget and self.memory_mb is not None:
            raise InputError(
                f"`memory_mb` (={self.memory_mb:g}) is too little for width {self.width:g}: the smallest window, "
                f"{SMALLEST_TILE} pixels and a margin of {self.margin} on each side, takes {least / MIB:.0f} MiB."
            )
        return tile

    @property
    def margin(self) -> int:
        """Low-resolution pixels that windows overlap on each side."""
        field = self.network.receptive_field
        return max(RESIZE_MARGIN, APPROXIMATE_MARGIN if field is None else field)

    def bytes_per_pixel(self) -> float:
        """Peak memory per low-resolution pixel at the current width, without the images, computed from shapes alone."""
        return self._prepared.bytes_per_pixel(self._at, self._ways[0] if self.way == "auto" else self.way)

    def plan(
        self, height: int, width_px: int, *, latency_ms: float | None = None, memory_mb: float | None = None
    ) -> Plan:
        """What each trained width costs for images of [height, width_px]; see `srkd.inference.budget.make_plan`."""
        return make_plan(self, height, width_px, latency_ms=latency_ms, memory_mb=memory_mb)

    def fit(
        self, height: int, width_px: int, *, latency_ms: float | None = None, memory_mb: float | None = None
    ) -> Plan:
        """Switch to the widest width that keeps the budget for images of [height, width_px]; returns the plan.

        Raises:
            InputError: no width keeps it.
        """
        return fit_plan(self, height, width_px, latency_ms=latency_ms, memory_mb=memory_mb)

    def _upscale(self, network: nn.Module, image: Image, tile: int | None, out: Image | None) -> Image:
        def whole(part: Image) -> Image:
            return self._run(network, [part])[0]

        if tile is None:
            result = whole(image)
            if out is None:
                return result
            out[...] = result
            return out
        if self.network.receptive_field is None and not self._prepared.told_of_approximation:
            self._prepared.told_of_approximation = True
            log.warning(
                "%s sees the whole image at once: in windows of %d pixels the result is an approximation.",
                type(self.network).__name__,
                tile,
            )
        return upscale_tiled(whole, image, scale=self.scale, tile=tile, margin=self.margin, out=out)

    def _run(self, network: nn.Module, images: list[Image]) -> list[Image]:
        with self._prepared.running if isinstance(self.network, Foreign) else nullcontext():
            return upscale_images(network, images)

    def settle(self, image: Image) -> str:
        """The way in which the current width is run; `auto` is decided on `image` if it has not been yet.

        `auto` is fp32 except for 8-bit images: others have finer steps than half precision.
        """
        if len(self._ways) == 1 or image.dtype != np.uint8:
            return self._ways[0]
        return self._prepared.settle(self._at, self._ways, image)

    def ready(self, image: Image) -> Network:
        """The network of the current width in its precision and runtime, decided on `image` if they are not yet."""
        return self._prepared.at(self._at, self.settle(image))

    def current(self, image: Image) -> nn.Module:
        """What upscales at the current width: `ready`, or its self-ensemble."""
        return SelfEnsemble(self.ready(image)) if self.self_ensemble else self.ready(image)


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Also where it is no `torch.OutOfMemoryError`: on MPS, and where no convolution finds room to work in."""
    words = ("out of memory", "unable to find an engine")
    return isinstance(error, torch.OutOfMemoryError) or any(word in str(error).lower() for word in words)
