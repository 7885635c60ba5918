"""Unpack .zip and .tar archives from elsewhere: nothing lands outside the folder, or has its name half-unpacked.

Every name is examined before anything is written; absolute paths, `..`, links, devices, and more files or bytes than a
data set can have are refused. Only plain files are made, with ordinary permissions.
"""

from __future__ import annotations

import errno
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from srkd.atomic import atomic_folder
from srkd.data.download import disk_errors
from srkd.limits import ARCHIVE_BYTES, ARCHIVE_FILES, ARCHIVE_GROWTH, ARCHIVE_SMALL
from srkd.types import WorkError

Progress = Callable[[int, int], None]
"""Called with (bytes written, bytes in all)."""

_CHUNK = 1 << 20


class _Member(NamedTuple):
    """A plain file in an archive: its name there, its size as the archive says, and how to open it."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def unpack(
    archive: Path, target: Path, *, inside: str = "", only: Collection[str] = (), progress: Progress | None = None
) -> int:
    """Make the folder `target` of what the archive has below its folder `inside` (all of it if that is empty).

    Files are unpacked into a temporary folder beside `target`, which is renamed in the end.

    Args:
        archive: a .zip, or a .tar, compressed or not.
        target: must not exist.
        inside: for example `benchmark/Set5`.
        only: names below `inside`; all of them must be there. Empty: everything.
        progress: told how far it is.

    Returns:
        How many files there are.

    Raises:
        WorkError: it is no archive, is damaged or not safe, has nothing there, or the disk is full.
    """
    prefix = f"{inside.strip('/')}/" if inside.strip("/") else ""
    with disk_errors(target), _members(archive) as members:
        wanted = [(member, member.name.removeprefix(prefix)) for member in members if member.name.startswith(prefix)]
        if only:
            wanted = [(member, place) for member, place in wanted if place in only]
        if len(wanted) < max(len(only), 1):
            raise WorkError(f"{archive} has no files{f' in {inside}/' if inside else ''}: it is not what it should be.")
        total, written = sum(member.size for member, _ in wanted), 0
        with atomic_folder(target) as folder:
            for member, place in wanted:
                for size in _write(member, folder / place, archive):
                    written += size
                    if progress:
                        progress(written, total)
    return len(wanted)


@contextmanager
def _members(archive: Path) -> Generator[list[_Member]]:
    """All plain files of an archive, after every entry was examined."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                yield _examined(archive, _of_zip(opened, archive))
        else:
            with tarfile.open(archive) as opened:
                yield _examined(archive, _of_tar(opened, archive))
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, WorkError):
            raise
        raise WorkError(
            f"{archive} cannot be unpacked: {error}. Remove it and give the command again, to download it anew."
        ) from error


def _examined(archive: Path, members: Iterator[_Member]) -> list[_Member]:
    listed: list[_Member] = []
    size, most = 0, min(ARCHIVE_BYTES, max(ARCHIVE_GROWTH * archive.stat().st_size, ARCHIVE_SMALL))
    for member in members:
        listed.append(member)
        size += member.size
        if len(listed) > ARCHIVE_FILES:
            raise _unsafe(archive, f"has more than {ARCHIVE_FILES:,} files", member.name)
        if size > most:
            raise _unsafe(archive, f"would unpack to more than {most:,} bytes", member.name)
    return listed


def _of_zip(opened: zipfile.ZipFile, archive: Path) -> Iterator[_Member]:
    for info in opened.infolist():
        name = _safe(info.filename, archive)
        kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was made on Windows
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _unsafe(archive, "has a link or a device", info.filename)
        if not info.is_dir():
            yield _Member(name, info.file_size, lambda info=info: opened.open(info))


def _of_tar(opened: tarfile.TarFile, archive: Path) -> Iterator[_Member]:
    for info in opened:
        name = _safe(info.name, archive)
        if not (info.isreg() or info.isdir()):
            raise _unsafe(archive, "has a link or a device", info.name)
        if info.isreg():
            yield _Member(name, info.size, lambda info=info: _opened(opened, info))


def _opened(opened: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    file = opened.extractfile(info)
    assert file is not None, info.name  # it is a plain file
    return file


def _safe(name: str, archive: Path) -> str:
    """The name in plain form, `a/b.png`."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or re.match(r"[A-Za-z]:", name):
        raise _unsafe(archive, "has a name that leads out of its folder", name)
    return str(path)


def _unsafe(archive: Path, what: str, name: str) -> WorkError:
    return WorkError(f"{archive} is not unpacked: it {what} ({name!r}). An archive of images has no reason to.")


def _write(member: _Member, path: Path, archive: Path) -> Iterator[int]:
    """Write one file; yields the bytes of each piece."""
    left = member.size
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.open("xb")
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise
        raise _unsafe(archive, "has a name twice, or one that no folder can take", member.name) from None
    with made as file, member.open() as source:
        while piece := source.read(_CHUNK):
            left -= len(piece)
            if left < 0:
                raise _unsafe(archive, "has a file that is larger than it says", member.name)
            file.write(piece)
            yield len(piece)
    if left:
        raise WorkError(f"{archive} is damaged: {member.name} ends {left:,} bytes early.")
