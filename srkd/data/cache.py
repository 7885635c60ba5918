"""Image pairs decoded once, so that a random crop is a slice: in memory, or in a memory-mapped file.

The file is one line of JSON followed by the pixels, uint8 RGB, lq then gt of each pair, rows without padding:
`head -1` shows what it holds. Every process that maps it shares the same pages of memory.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from srkd.atomic import atomic_path
from srkd.data.storage import RGB8
from srkd.memory import available_memory
from srkd.types import InputError

Progress = Callable[[int, int], None]
"""Called with (pairs done, pairs in all)."""

VERSION = 1
"""Rises when the decoding or the layout changes, so that older files are built again."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """What a cache holds and how to make it.

    Attributes:
        names: what lies at which position; with `scale` and `sizes` they decide the name of the cache file.
        identity: values that change when any source file does.
        sizes: lq height and width of every pair; the gt is `scale` times that.
        decode: gives the pair at an index, lq [h, w, 3] and gt [s·h, s·w, 3], of these sizes; called from threads.
    """

    names: Sequence[str]
    identity: Any
    sizes: Sequence[tuple[int, int]]
    scale: int
    decode: Callable[[int], tuple[RGB8, RGB8]]

    @property
    def num_bytes(self) -> int:
        """Size of all pixels."""
        return sum(height * width for height, width in self.sizes) * 3 * (1 + self.scale**2)

    def header(self) -> bytes:
        """The first line of a cache file. Equal headers mean equal pixels."""
        fields = {
            "srkd_pairs": VERSION,
            "scale": self.scale,
            "identity": _digest(self.identity),
            "lq_sizes": self.sizes,
            "names": self.names,
        }
        return json.dumps(fields).encode("ascii") + b"\n"

    def file(self, folder: Path) -> Path:
        """Where its file lies in `folder`. The name survives changes of the images: a new cache replaces the old."""
        return folder / f"pairs_x{self.scale}_{_digest([self.names, self.sizes])[:16]}.cache"


class PairCache:
    """Decoded pairs, one after another in one flat array.

    It is one array, not a list, because forked loader workers share it by copy-on-write, and counting references to
    many small objects would copy their pages.

    Attributes:
        pixels: uint8 [N], the array.
    """

    def __init__(self, pixels: RGB8, recipe: Recipe) -> None:
        self.pixels = pixels
        self._scale = recipe.scale
        self._sizes = np.array(recipe.sizes, dtype=np.int64).reshape(-1, 2)
        lengths = self._sizes.prod(axis=1) * 3 * (1 + recipe.scale**2)
        self._starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])

    def pair(self, index: int) -> tuple[RGB8, RGB8]:
        """lq [h, w, 3] and gt [s·h, s·w, 3]: views, not copies."""
        start, height, width = self.place(index)
        middle, end = start + height * width * 3, int(self._starts[index + 1])
        s = self._scale
        lq = self.pixels[start:middle].reshape(height, width, 3)
        return lq, self.pixels[middle:end].reshape(s * height, s * width, 3)

    def place(self, index: int) -> tuple[int, int, int]:
        """Where lq begins in `pixels`, and its height and width; gt follows."""
        height, width = self._sizes[index].tolist()
        return int(self._starts[index]), height, width


def in_memory(recipe: Recipe, progress: Progress | None = None) -> PairCache:
    """Decode everything into memory.

    Raises:
        InputError: it would not fit, or an image cannot be decoded.
    """
    available = available_memory()
    if recipe.num_bytes > available:
        raise InputError(
            f"{len(recipe.names)} decoded pairs need {_gigabytes(recipe.num_bytes)} of memory and "
            f"{_gigabytes(available)} are available. Set io_backend to {{type: cache, path: FOLDER}} for a "
            "memory-mapped file on a fast disk, or to {type: disk}, which decodes the images at every use."
        )
    pixels = np.empty(recipe.num_bytes, np.uint8)
    _fill(pixels, recipe, "memory", progress)
    return _reader(pixels, recipe)


def in_file(recipe: Recipe, folder: Path, progress: Progress | None = None) -> PairCache:
    """Map the cache file in `folder`; it is built first unless it is there and up to date.

    Processes that build at once each write a temporary file of their own; the last one renamed stays.

    Raises:
        InputError: an image cannot be decoded, or the file cannot be written.
    """
    file, header = recipe.file(folder), recipe.header()
    try:
        if not _is_current(file, header, recipe.num_bytes):
            with atomic_path(file) as temporary:
                with temporary.open("wb") as output:
                    output.write(header)
                    output.truncate(len(header) + recipe.num_bytes)
                pixels = np.memmap(temporary, np.uint8, "r+", len(header), (recipe.num_bytes,))
                _fill(pixels, recipe, str(file), progress)
                pixels.flush()
        return _reader(np.asarray(np.memmap(file, np.uint8, "r", len(header), (recipe.num_bytes,))), recipe)
    except OSError as error:
        raise InputError(
            f"the cache {file} ({_gigabytes(recipe.num_bytes)}) cannot be written or mapped: {error.strerror}. "
            "io_backend.path must be a folder that can be written, with enough space."
        ) from error


def _fill(pixels: RGB8, recipe: Recipe, where: str, progress: Progress | None) -> None:
    total = len(recipe.names)
    log.info("decoding %d pairs (%s) into %s", total, _gigabytes(recipe.num_bytes), where)
    started = time.monotonic()
    cache = PairCache(pixels, recipe)

    def decode(index: int) -> None:
        for place, image in zip(cache.pair(index), recipe.decode(index), strict=True):
            place[:] = image

    pool = ThreadPoolExecutor(_usable_cores())
    try:
        for done, future in enumerate(as_completed([pool.submit(decode, index) for index in range(total)]), start=1):
            future.result()
            if progress:
                progress(done, total)
    finally:  # after an error or Ctrl-C: don't decode the rest
        pool.shutdown(wait=True, cancel_futures=True)
    log.info("decoded %d pairs in %.1f s", total, time.monotonic() - started)


def _reader(pixels: RGB8, recipe: Recipe) -> PairCache:
    pixels.flags.writeable = False  # a caller that changed its pair in place would change it for the whole run
    return PairCache(pixels, recipe)


def _is_current(file: Path, header: bytes, num_bytes: int) -> bool:
    try:
        if file.stat().st_size != len(header) + num_bytes:
            return False
        with file.open("rb") as stored:
            return stored.read(len(header)) == header
    except FileNotFoundError:
        return False


def _usable_cores() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 16)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode("utf-8")).hexdigest()


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB"
