"""What a teacher makes of whole training images, made once and cut with the patches.

One PNG an image, `FOLDER/<teacher>/<image>.png`: the first name is the hash of the teacher's weights and of how it is
run, the second that of the low-resolution pixels. So a picture is found again whatever the files and folders of the
training set are called, and another teacher, or another degradation, never gets it. Pictures are clipped to [0, 1] and
rounded to 8 or 16 bits. Near the edges of a patch they are better than what the teacher gives for the patch alone,
because it saw the rest of the image. An iteration of a method that compares pictures then costs the student alone.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from srkd.atomic import atomic_path
from srkd.data.cache import Progress
from srkd.data.sources import home
from srkd.data.storage import RGB8
from srkd.imaging.files import read_image, write_image
from srkd.memory import available_memory
from srkd.types import Crop, InputError

Picture = NDArray[Any]
"""uint8 or uint16, [H, W, C] with 1 or 3 channels."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TeacherCache:
    """What is kept of a teacher, and how.

    Attributes:
        keep: `outputs`: its pictures of the whole training images; `features`: what is compared of its features, and
            its pictures where these are compared too; `off`: nothing.
        self_ensemble: pictures are the mean over the eight flips and rotations, which is stronger, costs eight times as
            much once, and turns exactly with the patch.
        bits: 8 or 16 of each value. 8 take half the memory; they move a value by a quarter of a grey level on average.
        path: the folder; None is `teachers` below `$SRKD_HOME`, or the user's cache folder.
        limit: what the features may take, in GB on disk and in memory; they are refused where they take more.
    """

    keep: Literal["off", "outputs", "features"] = "outputs"
    self_ensemble: bool = False
    bits: Literal[8, 16] = 8
    path: str | None = None
    limit: float = 4.0

    @property
    def root(self) -> Path:
        """The folder of all teachers."""
        return Path(self.path).expanduser() if self.path else home("teachers")


def flat_of(dataset: Any) -> Path | None:
    """The folder in which a data set maps what it has decoded; None: it does not."""
    backend: Any = getattr(dataset, "io_backend", None)
    return Path(backend.path).expanduser() if backend is not None and backend.path else None


class Targets:
    """A teacher's pictures of all images of a data set.

    Args:
        folder: of this teacher.
        images: how many there are.
        lq: the low-resolution image at an index, [h, w, 3].
        scale: s.
        channels: of the teacher's pictures.
        bits: of each value.
        flat: a folder for the decoded pictures, memory-mapped and shared by all processes; None: in memory.
    """

    suffix = ".png"

    def __init__(
        self,
        folder: Path,
        images: int,
        lq: Callable[[int], RGB8],
        *,
        scale: int,
        channels: int,
        bits: Literal[8, 16],
        flat: Path | None = None,
    ) -> None:
        self.folder, self.scale, self.channels, self.bits, self.flat = folder, scale, channels, bits, flat
        self._lq = lq
        self.names: list[str] = []
        self._sizes: list[tuple[int, int]] = []
        for index in range(images):
            image = lq(index)
            self.names.append(hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).hexdigest()[:32])
            self._sizes.append((image.shape[0] * scale, image.shape[1] * scale))
        lengths = [height * width * channels for height, width in self._sizes]
        self._starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
        self._pixels: Picture | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pictures."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    @property
    def num_bytes(self) -> int:
        """Of all pictures, decoded."""
        return int(self._starts[-1]) * self.dtype.itemsize

    def file(self, index: int) -> Path:
        """Where the picture of an image lies."""
        return self.folder / f"{self.names[index]}{self.suffix}"

    def missing(self) -> list[int]:
        """The images whose pictures are still to be made; equal images share one."""
        first = {name: index for index, name in reversed(list(enumerate(self.names)))}
        return sorted(index for index in first.values() if not self.file(index).is_file())

    def render(self, draw: Callable[[RGB8], NDArray[Any]], progress: Progress | None = None) -> int:
        """Make the missing pictures; each is there as soon as it is made, so an interrupted call goes on.

        Args:
            draw: the teacher's picture [s·h, s·w, C] of a low-resolution image, floating point.
            progress: told (done, in all).

        Returns:
            How many were made.
        """
        missing = self.missing()
        for done, index in enumerate(missing, start=1):
            self.write(index, draw(self._lq(index)))
            if progress:
                progress(done, len(missing))
        return len(missing)

    def load(self) -> Picture:
        """All pictures in one flat array, read once.

        Raises:
            InputError: they do not fit into memory, or one cannot be read.
        """
        if self._pixels is None:
            self._pixels = self._mapped(self.flat) if self.flat else self._filled(self._in_memory())
            self._pixels.flags.writeable = False
        return self._pixels

    def picture(self, index: int) -> Picture:
        """The picture of an image, a view."""
        height, width = self.size(index)
        return self.load()[self._starts[index] : self._starts[index + 1]].reshape(height, width, self.channels)

    def start(self, index: int) -> int:
        """Where the picture of an image begins in the flat array."""
        return int(self._starts[index])

    def size(self, index: int) -> tuple[int, int]:
        """Height and width of a picture."""
        return self._sizes[index]

    def cut(self, crop: Crop, side: int) -> tuple[int, int, int, Crop]:
        """Where a patch of side × side low-resolution pixels is: picture, top, left, and how it is turned then."""
        height, width = self.size(crop.image)
        top, left = crop.corner(height // self.scale, width // self.scale, side)
        return crop.image, top * self.scale, left * self.scale, crop

    def write(self, index: int, picture: NDArray[Any]) -> None:
        """Keep the picture of an image."""
        write_image(self.file(index), self._rounded(picture))

    def read(self, index: int) -> Picture:
        """What was kept."""
        return read_image(self.file(index))

    def _rounded(self, picture: NDArray[Any]) -> Picture:
        peak = np.iinfo(self.dtype).max
        return np.rint(np.clip(picture, 0, 1) * peak).astype(self.dtype)[..., 0 if self.channels == 1 else slice(None)]

    def _in_memory(self) -> Picture:
        available = available_memory()
        if self.num_bytes > available:
            raise InputError(
                f"`teacher_cache`: the pictures of {len(self.names)} images need {self.num_bytes / 1e9:.2f} GB of "
                f"memory and {available / 1e9:.2f} GB are available. Set io_backend to {{type: cache, path: FOLDER}} "
                f"for a memory-mapped file{', or `bits: 8`' if self.bits == 16 else ''}."
            )
        return np.empty(int(self._starts[-1]), self.dtype)

    def _mapped(self, flat: Path) -> Picture:
        key = hashlib.sha256("\n".join([str(self.folder), *self.names]).encode("utf-8", "surrogateescape")).hexdigest()[
            :16
        ]
        file = flat / f"teacher_{self.folder.name}_{key}.cache"
        try:
            if not file.is_file() or file.stat().st_size != self.num_bytes:
                with atomic_path(file) as temporary:
                    with temporary.open("wb") as output:
                        output.truncate(self.num_bytes)
                    pixels = np.memmap(temporary, self.dtype, "r+", shape=(int(self._starts[-1]),))
                    self._filled(pixels)
                    pixels.flush()
            return np.asarray(np.memmap(file, self.dtype, "r", shape=(int(self._starts[-1]),)))
        except OSError as error:
            raise InputError(
                f"the cache {file} ({self.num_bytes / 1e9:.2f} GB) cannot be written or mapped: {error.strerror}."
            ) from error

    def _filled(self, pixels: Picture) -> Picture:
        for index, (height, width) in enumerate(self._sizes):
            picture = self.read(index)
            if picture.shape[:2] != (height, width) or picture.dtype != self.dtype:
                raise InputError(
                    f"{self.file(index)} is {list(picture.shape)} {picture.dtype}, not the teacher's picture of "
                    f"{height}×{width}: remove it, and it is made again."
                )
            pixels[self._starts[index] : self._starts[index + 1]] = picture.reshape(-1)
        return pixels
