"""Download one file: what has arrived survives an interruption, and nothing unchecked gets the file's name.

`weights.pth` is `weights.pth.part` until all of it has arrived and its size and SHA-256 are right. Beside it stands
`weights.pth.part.of`: the address, and the version (ETag or modification date) that the server gave. The next call asks
the server to go on from there *if it still has that version* (RFC 9110, `Range` with `If-Range`); a server that has
another one, or cannot do that, sends everything, and the part is begun anew.

requests does the HTTP. pooch, which looks as if it did the rest, does not resume and compares whole hashes only, where
most authors of weights publish the first 8 digits.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import requests

from srkd import __version__
from srkd.types import WorkError

log = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]
"""Called with the bytes that have arrived and the size of the file (None: not known)."""

_CHUNK = 1 << 16


class NotThereError(WorkError):
    """The server is there, the file is not."""


class MismatchError(Exception):
    """A file is not the expected one; the message says in what."""


class _TryAgainError(Exception):
    """This attempt ended early, another one may go further."""


def silent(arrived: int, total: int | None) -> None:
    """A `Progress` that shows nothing."""


def download(
    url: str,
    target: Path,
    *,
    sha256_prefix: str = "",
    md5: str = "",
    size: int | None = None,
    progress: Progress = silent,
    retries: int = 3,
    pause: float = 1.0,
    timeout: float = 30.0,
) -> str:
    """Fetch `url` to `target`, going on from an earlier attempt; returns the file's SHA-256.

    Args:
        url: http or https; a server asked by https may not redirect to http.
        target: where the file goes; its folder is made.
        sha256_prefix: what the SHA-256 must begin with (empty: anything).
        md5: what the MD5 must be (empty: anything).
        size: what the size must be, in bytes.
        progress: told how far it is.
        retries: attempts after the first one that may end without bringing the file further.
        pause: seconds before the first of them; each later one waits twice as long.
        timeout: seconds without an answer or a byte after which an attempt is given up.

    Raises:
        NotThereError: the server has no such file.
        WorkError: the network, the server, the disk, the size or the checksum; it says what is kept.
    """
    part = _Part(target, url)
    failures, farthest = 0, 0
    with disk_errors(target), _session(url) as session:
        target.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                _attempt(session, part, size=size, progress=progress, timeout=timeout)
                break
            except _TryAgainError as error:
                arrived = part.size()
                failures = 0 if arrived > farthest else failures + 1
                farthest = max(farthest, arrived)
                if failures > retries:
                    raise WorkError(f"{url} could not be downloaded: {error}. {part.kept()}{_ADVICE}") from None
                seconds = pause * 2 ** max(failures - 1, 0)
                log.warning("%s: %s; trying again in %g s.", target.name, error, seconds)
                time.sleep(seconds)
        try:
            digest = checked(part.path, sha256_prefix=sha256_prefix, md5=md5, size=size)
        except MismatchError as error:
            part.remove()
            raise WorkError(
                f"what came from {url} was removed: {error}. Give the command again; if that does not help, there is "
                "another file at that address now."
            ) from None
        part.become(target)
    return digest


def checked(path: Path, *, sha256_prefix: str = "", md5: str = "", size: int | None = None) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits.

    Raises:
        MismatchError: it does not begin as it must, or the MD5 or the size is wrong.
    """
    found = path.stat().st_size
    if size is not None and found != size:
        raise MismatchError(f"it has {found:,} bytes, expected {size:,}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(sha256_prefix):
        rest = "…" if len(sha256_prefix) < len(digest) else ""
        raise MismatchError(f"its SHA-256 is {digest}, expected {sha256_prefix}{rest}")
    if md5:
        with path.open("rb") as file:
            found_md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if found_md5 != md5:
            raise MismatchError(f"its MD5 is {found_md5}, expected {md5}")
    return digest


@contextmanager
def disk_errors(target: Path) -> Generator[None]:
    """Turn what the operating system says while `target` is written into a `WorkError`."""
    try:
        yield
    except OSError as error:
        remedy = ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            remedy = " Make room and give the command again, which goes on from what has arrived."
        raise WorkError(f"{target} could not be made: {error.strerror or error}.{remedy}") from None


_ADVICE = (
    "If there is no way to it from here: a copy in the folder that $SRKD_MIRROR names is looked at first (see "
    "srkd data --help), and its checksum is examined all the same."
)


class _Part:
    """What has arrived of a file, and which version of it that is."""

    def __init__(self, target: Path, url: str) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.of")
        self.url = url

    def size(self) -> int:
        """Bytes on the disk."""
        return self.path.stat().st_size if self.path.exists() else 0

    def resumable(self) -> tuple[int, str]:
        """The bytes to go on from and their version; 0 where the server could not tell whether they still fit."""
        try:
            url, _, version = self.note.read_text(encoding="utf-8").partition("\n")
        except (OSError, UnicodeDecodeError):
            return 0, ""
        return (self.size(), version) if url == self.url and version else (0, "")

    def begin(self, version: str) -> None:
        """Forget what has arrived and note which version arrives now."""
        self.remove()
        self.path.touch()
        self.note.write_text(f"{self.url}\n{version}", encoding="utf-8")

    def become(self, target: Path) -> None:
        """The file is whole: flush it and give it its name."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(target)
        self.note.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete both files."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def kept(self) -> str:
        """A sentence on what a next call finds."""
        arrived, _ = self.resumable()
        return f"{arrived:,} bytes are kept, and the same command goes on from there. " if arrived else ""


def _session(url: str) -> requests.Session:
    session = requests.Session()
    # A part continues bytes, so they must come as they are stored.
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": f"srkd/{__version__}"})
    if urlsplit(url).scheme == "https":
        del session.adapters["http://"]  # no redirect leads out of https: there is nothing to follow it with
    return session


def _attempt(session: requests.Session, part: _Part, *, size: int | None, progress: Progress, timeout: float) -> None:
    """One request: afterwards the part is whole, or it raises.

    Raises:
        _TryAgainError: another request may go further.
        WorkError: another request would not help.
    """
    arrived, version = part.resumable()
    condition = {"Range": f"bytes={arrived}-", "If-Range": version} if arrived else {}
    answered = False
    try:
        with session.get(part.url, headers=condition, stream=True, timeout=timeout) as response:
            answered = True
            total = _total(response)
            if arrived and response.status_code == 416 and total == arrived:
                return  # all of it had arrived already
            if arrived and response.status_code == 416:
                part.remove()
                raise _TryAgainError("the file is shorter now")
            _refuse(response, part.url)
            if size is not None and total is not None and total != size:
                raise WorkError(f"{part.url} has {total:,} bytes, expected {size:,}: it is another file now. {_ADVICE}")
            if response.status_code == 200:  # all of it, because nothing was there or there is another version now
                arrived = 0
                part.begin(_version(response))
            elif not arrived or _starts_at(response) != arrived:
                part.remove()
                raise _TryAgainError("the server sent another piece than it was asked for")
            progress(arrived, total)
            with part.path.open("ab") as file:
                for chunk in response.iter_content(_CHUNK):
                    file.write(chunk)
                    arrived += len(chunk)
                    progress(arrived, total)
    except requests.exceptions.RequestException as error:
        raise _explained(error, part.url, answered=answered, timeout=timeout) from None
    if total is not None and arrived != total:
        raise _TryAgainError(f"the connection ended after {arrived:,} of {total:,} bytes")


def _explained(error: Exception, url: str, *, answered: bool, timeout: float) -> Exception:
    """What a failure of the network means, as the exception to raise."""
    if isinstance(error, requests.exceptions.InvalidSchema):
        return WorkError(f"{url} could not be downloaded: it leads to an address that is not https. {_ADVICE}")
    if isinstance(error, requests.exceptions.SSLError) and not answered:
        return WorkError(f"{url} could not be downloaded: the server's certificate is not valid ({_root(error)}).")
    if isinstance(error, requests.exceptions.Timeout) or "timed out" in str(error):
        return _TryAgainError(f"nothing came for {timeout:g} s")
    if answered:
        return _TryAgainError("the connection broke")
    if isinstance(error, requests.exceptions.ConnectionError):
        return _TryAgainError(f"{urlsplit(url).netloc} cannot be reached ({_root(error)})")
    return WorkError(f"{url} could not be downloaded: {error}.")


def _refuse(response: requests.Response, url: str) -> None:
    status, named = response.status_code, f"{response.status_code} {response.reason}".strip()
    if status in (404, 410):
        raise NotThereError(f"{url} does not exist any more (the server says {named}). {_ADVICE}")
    if status in (401, 403):
        raise WorkError(f"{url} may not be downloaded from here (the server says {named}). {_ADVICE}")
    if status in (408, 425, 429) or status >= 500:
        raise _TryAgainError(f"the server says {named}")
    if status not in (200, 206):
        raise WorkError(f"{url} could not be downloaded: the server says {named}. {_ADVICE}")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise WorkError(f"{url} answers with a web page in place of the file: a login, or a notice. {_ADVICE}")


def _version(response: requests.Response) -> str:
    """What `If-Range` may hold: an ETag unless it is a weak one, which promises no equal bytes, or the date."""
    etag = response.headers.get("ETag", "")
    return response.headers.get("Last-Modified", "") if etag.startswith("W/") or not etag else etag


def _starts_at(response: requests.Response) -> int:
    """The first byte of the piece that the server sends, -1 where it does not say."""
    first = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(first) if first.isdecimal() else -1


def _total(response: requests.Response) -> int | None:
    """The size of the whole file in bytes, as the server has it."""
    whole = response.headers.get("Content-Length", "")
    if response.status_code in (206, 416):
        whole = response.headers.get("Content-Range", "").rpartition("/")[2]
    return int(whole) if whole.isdecimal() else None


def _root(error: BaseException) -> str:
    """The innermost reason: requests wraps what the operating system said three times."""
    while True:
        inner = (
            getattr(error, "reason", None)
            or error.__cause__
            or next((argument for argument in error.args if isinstance(argument, BaseException)), None)
        )
        if not isinstance(inner, BaseException):
            return str(getattr(error, "strerror", None) or error)
        error = inner
