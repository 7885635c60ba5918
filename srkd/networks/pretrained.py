"""The networks that come with the package: names that stand for files wherever a checkpoint is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from srkd.types import InputError


@dataclass(frozen=True)
class Shipped:
    """What a network of the package is for.

    Attributes:
        scale: how many times it enlarges.
        images: what it was trained on.
        superseded: an earlier network, kept for one release.
    """

    scale: int
    images: str = "clean photographs"
    superseded: bool = False


PRETRAINED = {
    "switchable-x2": Shipped(2),
    "switchable-x2-photo": Shipped(2, "photographs that went through JPEG"),
    "switchable-x3": Shipped(3),
    "switchable-x4": Shipped(4),
    "switchable-x2-2026-11": Shipped(2, superseded=True),
    "switchable-x4-2026-11": Shipped(4, superseded=True),
}
"""By name, the usual one first. What they are is in the `.md` file beside each."""

CURRENT = tuple(name for name, shipped in PRETRAINED.items() if not shipped.superseded)
"""Names to offer."""


def pretrained(scale: int = 2) -> Path:
    """The file of the usual network that the package has for a scale: EDSR with widths 1, 0.75, 0.5 and 0.25.

    Raises:
        InputError: there is none for this scale.
    """
    for name in CURRENT:
        if PRETRAINED[name].scale == scale:
            return resolve(name)
    raise InputError(f"no network for ×{scale} comes with the package; there are {', '.join(CURRENT)}.")


def fitting(files: Iterable[Path]) -> tuple[str, str]:
    """The network of the package for these images, and why: JPEG leaves block edges, which the usual one enlarges."""
    for file in files:
        if file.suffix.lower() in (".jpg", ".jpeg"):
            return "switchable-x2-photo", f"{file.name} is a JPEG"
    return CURRENT[0], "no image is a JPEG"


def resolve(path: str | Path) -> Path:
    """The file that is meant by a checkpoint's name: one of `PRETRAINED`, unless there is a file of that name."""
    if str(path) not in PRETRAINED or Path(path).exists():
        return Path(path)
    folder = resources.files("srkd").joinpath("pretrained")
    assert isinstance(folder, Path)  # the package is installed as files
    return folder / f"{path}.safetensors"
