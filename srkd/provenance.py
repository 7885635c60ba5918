"""Where a number comes from: versions, machine and commit, stored with every checkpoint and result."""

from __future__ import annotations

import functools
import hashlib
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from srkd import __version__


@functools.cache
def provenance() -> dict[str, str]:
    """`{version, git}` of this srkd; `git` is the commit of the checkout it runs from (`-dirty` if modified) or ''."""
    package = Path(__file__).resolve().parent
    command = ["git", "-C", str(package), "describe", "--always", "--dirty", "--abbrev=12", "--match", ""]
    if not (package.parent / ".git").exists():  # an installed srkd inside somebody else's repository
        return {"version": __version__, "git": ""}
    try:
        described = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        described = ""
    return {"version": __version__, "git": described}


@functools.cache
def sources() -> str:
    """Hash of the code that numbers of a benchmark rest on: an edited checkout has another one after each edit."""
    return hash_of_sources(Path(__file__).resolve().parent)


def hash_of_sources(package: Path) -> str:
    """`sources` of the package in that folder."""
    digest = hashlib.sha256()
    rooms = ("compat", "evaluation", "imaging", "inference", "metrics", "networks", "data/degradation.py")
    for place in (package / room for room in rooms):
        for file in [place] if place.is_file() else sorted(place.rglob("*.py")):
            digest.update(f"{file.relative_to(package)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def cpu_name() -> str:
    """The processor's marketing name where the system tells it, else its architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def environment(device: str) -> dict[str, str | int]:
    """What a reader needs to judge a figure: versions, processor or GPU, threads."""
    import torch

    hardware = torch.cuda.get_device_name(device) if device.startswith("cuda") else cpu_name()
    return {
        **{f"srkd_{key}": value for key, value in provenance().items()},
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "platform": platform.platform(),
        "device": device,
        "hardware": hardware,
        "threads": torch.get_num_threads(),
    }


def version_of(package: str) -> str | None:
    """The installed version of a package, or of its `-headless` twin, as opencv-python has; None: neither is there."""
    for name in (package, f"{package}-headless", f"{package}-contrib", f"{package}-contrib-headless"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None
