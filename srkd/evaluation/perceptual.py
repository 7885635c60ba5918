"""LPIPS as a column of a benchmark: where its backbone is looked for, and what is said where it is not there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from srkd.data.download import MismatchError, checked
from srkd.data.sources import home, known_models
from srkd.metrics.perceptual import LPIPS, Backbone
from srkd.types import InputError

BACKBONES: dict[Backbone, str] = {"alex": "alexnet", "vgg": "vgg16"}
"""The name that `srkd data get-model` knows each by."""


@dataclass(frozen=True)
class PerceptualColumn:
    """The column `lpips`: with numbers where `metric` is there, else with the `reason` why not."""

    record: dict[str, Any]
    metric: LPIPS | None = None
    reason: str = ""


def perceptual_column(backbone: str, *, device: torch.device | str = "cpu") -> PerceptualColumn:
    """LPIPS with torchvision's weights from the models' folder of srkd or of torch hub, verified; never fetched.

    Raises:
        InputError: there is no such backbone, or a file has the name of the weights and is another.
    """
    if backbone not in ("alex", "vgg"):
        raise InputError(f"LPIPS has the backbones {' and '.join(BACKBONES)}, not {backbone!r}.")
    source = known_models()[BACKBONES[backbone]]
    record: dict[str, Any] = {"backbone": backbone, "version": "0.1", "file": source.file, "sha256": None}
    folders = (home("models"), Path(torch.hub.get_dir()) / "checkpoints")
    found = next((folder / source.file for folder in folders if (folder / source.file).is_file()), None)
    if found is None:
        return PerceptualColumn(record, reason=f"no weights: srkd data get-model {BACKBONES[backbone]}")
    try:
        digest = checked(found, sha256_prefix=source.sha256, size=source.size)
    except MismatchError as error:
        raise InputError(f"LPIPS: {found} is not what its name says: {error}. Remove it.") from None
    return PerceptualColumn({**record, "sha256": digest}, LPIPS(backbone, found, device=device))
