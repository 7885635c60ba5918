"""Files that srkd knows by name, and where to get one: it is there, or in the mirror, or at its authors'."""

from __future__ import annotations

import logging
import os
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import platformdirs
from filelock import FileLock, Timeout

from srkd.atomic import atomic_path
from srkd.data.download import MismatchError, NotThereError, Progress, checked, disk_errors, download, silent
from srkd.types import InputError, WorkError, did_you_mean

log = logging.getLogger(__name__)

Kind = TypeVar("Kind")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file that somebody publishes.

    Attributes:
        what: what it is, for people.
        url: where its authors, or those who keep it for them, publish it.
        licence: what they state.
        file: its name, here and in a mirror; by default that of the address.
        sha256: what its SHA-256 begins with, 8 to 64 hexadecimal digits; empty: not published.
        md5: all 32 digits; empty: not known. It finds every accident, and nothing that was made to fit.
        size: in bytes; None: not published.
    """

    what: str
    url: str
    licence: str
    file: str = ""
    sha256: str = ""
    md5: str = ""
    size: int | None = None

    def __post_init__(self) -> None:
        if not self.file:
            object.__setattr__(self, "file", urlsplit(self.url).path.rpartition("/")[2])

    @property
    def verified_by(self) -> str:
        """What a file is verified by, in words; empty where there is nothing."""
        if not self.sha256:
            return "MD5" if self.md5 else ""
        return "SHA-256" if len(self.sha256) == 64 else f"{len(self.sha256)} digits of SHA-256"

    @property
    def megabytes(self) -> str:
        """The size in words; ? where it is not known."""
        return f"{self.size / 1e6:.{0 if self.size > 1e9 else 1}f} MB" if self.size else "?"


@dataclass(frozen=True)
class Fetched:
    """A file on the disk: its SHA-256, and what it was copied from (empty: it was there)."""

    path: Path
    sha256: str
    origin: str


def known_models() -> dict[str, Source]:
    """The weights of `models.toml` by name."""
    text = resources.files("srkd.data").joinpath("models.toml").read_text(encoding="utf-8")
    return {name: Source(**entry) for name, entry in tomllib.loads(text).items()}


def source_named(name: str, sources: Mapping[str, Kind]) -> Kind:
    """The source, or the set of images, of that name.

    Raises:
        InputError: there is none.
    """
    if name not in sources:
        raise InputError(f"{name!r} is not known.{did_you_mean(name, sources)} Known: {', '.join(sources)}.")
    return sources[name]


def home(kind: str) -> Path:
    """The folder that files of a kind (`models`) are kept in: below `$SRKD_HOME`, else the user's cache folder."""
    given = os.environ.get("SRKD_HOME")
    return (Path(given).expanduser() if given else platformdirs.user_cache_path("srkd", appauthor=False)) / kind


def mirror_of(kind: str) -> str:
    """Where `$SRKD_MIRROR` keeps files of a kind: a folder or an address; empty where there is no mirror.

    Raises:
        InputError: it is no folder and no http address.
    """
    given = os.environ.get("SRKD_MIRROR", "")
    if not given:
        return ""
    if _is_address(given):
        return f"{given.rstrip('/')}/{kind}"
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise InputError(
            f"SRKD_MIRROR={given} is neither a folder nor an address that begins with https:// or http://."
        )
    return str(folder / kind)


def fetch(source: Source, folder: Path, *, mirror: str = "", progress: Progress = silent) -> Fetched:
    """Make sure that `folder` has the file: size and checksum, where they are known, are examined wherever it is from.

    Args:
        source: which file.
        folder: where it goes.
        mirror: a folder or an address that may have it and is looked at first; see `mirror_of`.
        progress: told how far a download is.

    Raises:
        WorkError: it cannot be had, or is not what it should be.
    """
    target = folder / source.file
    if target.exists():
        return Fetched(target, _of_own(target, source), "")
    if mirror and not _is_address(mirror):
        original = Path(mirror) / source.file
        if original.is_file():
            return Fetched(target, _copied(original, target, source), str(original))
    elif mirror:
        address = f"{mirror}/{source.file}"
        try:
            return Fetched(target, _downloaded(address, target, source, progress), address)
        except NotThereError:
            pass  # a mirror need not have everything
    return Fetched(target, _downloaded(source.url, target, source, progress), source.url)


def _is_address(place: str) -> bool:
    return urlsplit(place).scheme in ("http", "https")


def _of_own(target: Path, source: Source) -> str:
    try:
        with disk_errors(target):
            return checked(target, sha256_prefix=source.sha256, md5=source.md5, size=source.size)
    except MismatchError as error:
        raise WorkError(
            f"{target} is there already but is another file: {error}. Move it away, or choose another folder (-o)."
        ) from None


def _copied(original: Path, target: Path, source: Source) -> str:
    try:
        with disk_errors(target), atomic_path(target) as temporary:
            shutil.copyfile(original, temporary)
            return checked(temporary, sha256_prefix=source.sha256, md5=source.md5, size=source.size)
    except MismatchError as error:
        raise WorkError(f"{original} of the mirror is not {source.url}: {error}. Replace it there.") from None


def _downloaded(url: str, target: Path, source: Source, progress: Progress) -> str:
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.parent / ".download.lock")  # two would append to one part
        try:
            lock.acquire(blocking=False)
        except Timeout:
            log.warning("Another process downloads to %s; waiting for it.", target.parent)
            lock.acquire()
    try:
        if target.exists():  # by the other one
            return _of_own(target, source)
        return download(url, target, sha256_prefix=source.sha256, md5=source.md5, size=source.size, progress=progress)
    finally:
        lock.release()
