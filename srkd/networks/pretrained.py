"""The networks that come with the package: names that stand for files wherever a checkpoint is asked for."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from srkd.types import InputError

PRETRAINED = {"switchable-x2": 2, "switchable-x4": 4}
"""Their scales by name, the usual one first. What they are is in the `.md` file beside each."""


def pretrained(scale: int = 2) -> Path:
    """The file of the network that the package has for a scale: EDSR with widths 1, 0.75, 0.5 and 0.25.

    Raises:
        InputError: there is none for this scale.
    """
    for name, its_scale in PRETRAINED.items():
        if its_scale == scale:
            return resolve(name)
    raise InputError(f"no network for ×{scale} comes with the package; there are {', '.join(PRETRAINED)}.")


def resolve(path: str | Path) -> Path:
    """The file that is meant by a checkpoint's name: one of `PRETRAINED`, unless there is a file of that name."""
    if str(path) not in PRETRAINED or Path(path).exists():
        return Path(path)
    folder = resources.files("srkd").joinpath("pretrained")
    assert isinstance(folder, Path)  # the package is installed as files
    return folder / f"{path}.safetensors"
