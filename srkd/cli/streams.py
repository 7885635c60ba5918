"""Output that never breaks: a terminal or a file of any encoding, or none at all."""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata
from typing import Any

_TEXT = """× x · . … ... – - — - − - ± +/- → -> ≤ <= ≥ >= ≈ ~ ’ ' ‘ ' “ " ” " √ sqrt ∞ inf σ sigma µ u μ u • *"""
_SIGNS = _TEXT.split()
_PLAIN = str.maketrans(dict(zip(_SIGNS[::2], _SIGNS[1::2], strict=True)))


def prepare_streams() -> None:
    """Let standard output and error take any text: what their encoding lacks is written in ASCII.

    A stream that was closed before we began, or whose reader goes away (`srkd list | head`), swallows what is written
    to it: the work goes on, and the exit status is the work's.
    """
    codecs.register_error("srkd", _in_ascii)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w")  # noqa: SIM115, PTH123
        # a handler that the user chose by PYTHONIOENCODING stays
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape", "backslashreplace"):
            stream.reconfigure(errors="srkd")
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):  # not one of a test
            stream = _ReaderMayGo(stream)
        setattr(sys, name, stream)


class _ReaderMayGo:
    """A pipe that nobody may read any more; else the stream itself."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """As the stream's."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            return self._let_go() or len(text)

    def flush(self) -> None:
        """As the stream's."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._let_go()

    def _let_go(self) -> None:
        """What is still buffered, and all that comes, goes nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def plain(text: str) -> str:
    """`text` in ASCII: × as x, ─ as -, é as e, bytes of a file name that are no UTF-8 as \\xe9, anything else as ?."""
    return "".join(_plain(sign) for sign in text)


def _plain(sign: str) -> str:
    if "\udc80" <= sign <= "\udcff":  # a byte that is no UTF-8, as `os.fsdecode` says it
        return f"\\x{ord(sign) - 0xDC00:02x}"
    shown = unicodedata.normalize("NFKD", sign.translate(_PLAIN))
    return shown.encode("ascii", "ignore").decode("ascii") or "?"


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)  # nothing is read through these streams
    return plain(error.object[error.start : error.end]), error.end
