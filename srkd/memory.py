"""How much memory there is."""

from __future__ import annotations

from pathlib import Path

import psutil

_GROUP = Path("/sys/fs/cgroup")


def available_memory() -> int:
    """Bytes that this process may still take: of the machine, or of its container where that allows less."""
    free = psutil.virtual_memory().available
    try:
        limit, used = (int((_GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
        counts = dict(line.split() for line in (_GROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no container, or one without a limit (the word "max")
        return free
    cached = int(counts.get("active_file", 0)) + int(counts.get("inactive_file", 0))  # files: given back when needed
    return min(free, limit - used + cached)
