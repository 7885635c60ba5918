"""Large blocks of memory stay with the process: on Linux the C library would give them back and fault them in again."""

from __future__ import annotations

import ctypes
import functools
import os
import sys

SWITCH = "SRKD_MALLOPT"
"""Environment variable; 0 leaves the allocator as it is."""

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4
_TOP_PAD = 256 * 2**20


@functools.cache
def tune_allocator() -> bool:
    """Tell glibc to keep freed blocks and to grow its heap in large steps; returns whether it was done.

    By default every activation of a megabyte or more is mapped, zeroed page by page, used once and unmapped. On a CPU
    that takes a third to a half of the time of a training step or a large image. The price: the process keeps the
    most memory it ever needed. It changes the whole process, so the library does not do it by itself. The command line
    does; programs call this function before their first tensor.

    Other systems and C libraries, `SRKD_MALLOPT=0`, and an environment that tunes glibc itself (`GLIBC_TUNABLES`) are
    left alone.
    """
    if not sys.platform.startswith("linux") or os.environ.get(SWITCH) == "0" or "GLIBC_TUNABLES" in os.environ:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt  # absent from musl
    except (AttributeError, OSError):
        return False
    options = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, -1), (_M_TOP_PAD, _TOP_PAD))
    return all(mallopt(option, value) == 1 for option, value in options)
