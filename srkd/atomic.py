"""Atomic writes: a reader never sees half a file, and a crash never loses the old one."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_path(path: str | Path) -> Generator[Path]:
    """Yield a temporary path beside `path`; on success it is flushed to disk and renamed to `path`, else removed.

    The temporary name keeps the suffix of `path`, so that writers which choose the format by suffix work unchanged.
    Missing parent folders are created.
    """
    path = Path(path)
    temporary = _beside(path)
    try:  # before there is a file: Ctrl-C comes at any time
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # safetensors makes private files; results are ordinary ones
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Generator[Path]:
    """Yield a temporary folder beside `path`; on success it is renamed to `path`, else removed with its content."""
    temporary = _beside(path)
    try:
        temporary.mkdir()
        yield temporary
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _beside(path: Path) -> Path:
    """A name that nobody else has, in the folder that `path` will be in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.stem[:40]}.{secrets.token_hex(4)}{path.suffix}")


def atomic_write_text(path: str | Path, text: str, *, errors: str = "backslashreplace") -> None:
    """Write `text` (UTF-8) to `path` atomically.

    Names of files that are no UTF-8 come with lone surrogates in place of their bytes (`os.fsdecode`). They are written
    as `\\udce9`: what JSON calls them, so that they read back the same, and legible anywhere else. `errors`: another
    way, as `str.encode` knows them.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors=errors)
