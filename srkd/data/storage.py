"""Where images lie: files in a folder, or the entries of an LMDB written by BasicSR's scripts."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from srkd.imaging.decode import image_size
from srkd.imaging.files import decode_image, list_images, read_image, to_rgb8
from srkd.missing import not_there
from srkd.types import InputError

RGB8 = NDArray[np.uint8]
"""An RGB image [H, W, 3], uint8."""

META_LINE = re.compile(r"^(?P<name>.+?)\s+\((?P<height>\d+),\s*(?P<width>\d+),\s*\d+\)")
"""A line of BasicSR's meta-information files: `0001_s001.png (480,480,3)`, in an LMDB followed by the PNG level."""


class StoredImage(Protocol):
    """One image that can be asked for its size without decoding it."""

    @property
    def where(self) -> str:
        """The file, or the LMDB and its key, for messages."""
        ...

    def size(self) -> tuple[int, int]:
        """Height and width, from the header alone; raises `InputError` where it cannot be read."""
        ...

    def read(self) -> RGB8:
        """Decode to RGB uint8 [H, W, 3]; raises `InputError` where that fails."""
        ...

    def identity(self) -> list[str | int]:
        """Values that change when the stored bytes do: place, byte size, modification time."""
        ...


@dataclass(frozen=True)
class ImageFile:
    """An image file."""

    path: Path

    @property
    def where(self) -> str:
        """The path."""
        return str(self.path)

    def size(self) -> tuple[int, int]:
        """Height and width from the file's header."""
        return image_size(self.path)

    def read(self) -> RGB8:
        """Decode the file."""
        return to_rgb8(read_image(self.path))

    def identity(self) -> list[str | int]:
        """Path, byte size and modification time."""
        status = self.path.stat()
        return [str(self.path.resolve()), status.st_size, status.st_mtime_ns]


@dataclass(frozen=True)
class LmdbImage:
    """One encoded image in an LMDB; `height` and `width` come from its `meta_info.txt`."""

    folder: Path
    key: str
    height: int
    width: int

    @property
    def where(self) -> str:
        """The LMDB and the key."""
        return f"{self.folder}[{self.key}]"

    def size(self) -> tuple[int, int]:
        """Height and width as `meta_info.txt` says."""
        return self.height, self.width

    def read(self) -> RGB8:
        """Decode the entry."""
        data = _lmdb_value(self.folder, self.key)
        if data is None:
            raise InputError(
                f"{self.folder} has no key {self.key!r} although its meta_info.txt lists it; write the LMDB again."
            )
        return to_rgb8(decode_image(data, self.where))

    def identity(self) -> list[str | int]:
        """Database file, key, byte size and modification time."""
        data = self.folder / "data.mdb"
        status = data.stat()
        return [str(data.resolve()), self.key, status.st_size, status.st_mtime_ns]


def is_lmdb(root: Path) -> bool:
    """An LMDB is recognised by its folder's suffix, as in BasicSR."""
    return root.suffix == ".lmdb"


def stored_images(root: Path) -> dict[str, StoredImage]:
    """All images in `root` (a folder, or an LMDB) by stem, in order of name.

    Raises:
        InputError: the folder is missing or empty, or two files differ only in their suffix.
    """
    if is_lmdb(root):
        return _lmdb_images(root)
    images: dict[str, StoredImage] = {}
    for path in list_images(root):
        known = images.get(path.stem)
        if known is not None:
            raise InputError(f"{known.where} and {path.name} differ only in the suffix; images are paired by stem.")
        images[path.stem] = ImageFile(path)
    return images


def meta_names(path: Path) -> list[str]:
    """Stems listed in a meta-information file, in its order; a size after the name is optional."""
    if not path.is_file():
        raise InputError(not_there(path, "meta-information file", wanted=lambda file: file.suffix == ".txt"))
    lines = (line.strip() for line in _lines(path))
    names = [Path(match["name"] if (match := META_LINE.match(line)) else line).stem for line in lines if line]
    if not names:
        raise InputError(f"meta-information file {path} lists no images.")
    return names


def _lines(path: Path) -> list[str]:
    """Of a text file, with or without a byte-order mark; names that are no UTF-8 stay those of the files."""
    data = path.read_bytes()
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{path} is UTF-16 text (as Windows' Notepad calls Unicode); save it as UTF-8.")
    return data.decode("utf-8-sig", "surrogateescape").splitlines()


def first_few(names: Iterable[str], limit: int = 3) -> str:
    """`a, b, c, …`: enough to find the fault without flooding the terminal."""
    listed = list(names)
    return ", ".join(listed[:limit]) + (", …" if len(listed) > limit else "")


def _lmdb_images(root: Path) -> dict[str, StoredImage]:
    meta = root / "meta_info.txt"
    data = root / "data.mdb"
    for file in (data, meta):
        if not file.is_file():
            raise InputError(f"{root} is not an LMDB as BasicSR's scripts write it: {file.name} is missing.")
    _look_at_lmdb(root)
    images: dict[str, StoredImage] = {}
    for number, line in enumerate(_lines(meta), start=1):
        if not line.strip():
            continue
        match = META_LINE.match(line)
        if match is None:
            raise InputError(f"{meta}, line {number}: {line!r} is not of the form 'baboon.png (480,500,3) 1'.")
        key = match["name"].rsplit(".", 1)[0]
        images[key] = LmdbImage(root, key, int(match["height"]), int(match["width"]))
    if not images:
        raise InputError(f"{meta} lists no images.")
    return images


_one_at_a_time = threading.Lock()

_PROBE = """
import os, sys, lmdb
with lmdb.open(sys.argv[1], readonly=True, lock=False, readahead=False, meminit=False) as environment:
    size = os.path.getsize(os.path.join(sys.argv[1], "data.mdb"))
    pages = environment.info()["last_pgno"] + 1
    if size < pages * environment.stat()["psize"]:
        sys.exit(f"it has {size:,} bytes of {pages * environment.stat()['psize']:,}")
    with environment.begin(buffers=True) as transaction:
        if any(len(value) > size for _, value in transaction.cursor()):
            sys.exit("an entry is longer than the file")
"""


@functools.cache
def _probe_lmdb(folder: Path, size: int, changed: int) -> None:
    """Walk through all keys in a process of its own: a truncated or damaged LMDB ends whoever reads it, by a signal.

    `size` and `changed` are those of its file: it is done again where they are others.

    Raises:
        InputError: it cannot be read.
    """
    del size, changed
    done = subprocess.run([sys.executable, "-c", _PROBE, folder], capture_output=True, text=True, check=False)
    if done.returncode:
        raise _damaged(folder, (done.stderr.strip().splitlines() or ["reading it ends the process"])[-1])


def _look_at_lmdb(folder: Path) -> None:
    """Walk through it if its file has changed, or was not walked through yet."""
    status = (folder / "data.mdb").stat()
    _probe_lmdb(folder, status.st_size, status.st_mtime_ns)


def _damaged(folder: Path, reason: object) -> InputError:
    if not (folder / "data.mdb").exists():
        return InputError(f"{folder} is gone: it was there when this run began.")
    return InputError(f"{folder} is a truncated or damaged LMDB: {reason}. Copy it again, or write it anew.")


def _lmdb_value(folder: Path, key: str) -> bytes | None:
    """The bytes under `key`.

    The environment is opened for every read: an open one can't be used after a fork, nor opened a second time.
    Beside decoding the image this takes no time. A file that has changed since it was walked through is walked through
    again: only one that is cut while a value of it is copied, or a disk that fails then, still ends the process.
    """
    import lmdb

    try:
        _look_at_lmdb(folder)
        with (
            _one_at_a_time,
            lmdb.open(str(folder), readonly=True, lock=False, readahead=False, meminit=False) as environment,
            environment.begin() as transaction,
        ):
            value = transaction.get(key.encode("utf-8", "surrogateescape"))
        _look_at_lmdb(folder)  # it may have been cut meanwhile: then keys are missing, and values are zeros
    except (FileNotFoundError, lmdb.Error) as error:  # it may be cut after it was walked through, before it is opened
        raise _damaged(folder, error) from None
    return value
