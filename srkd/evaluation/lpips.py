"""LPIPS as a column of a benchmark: where its backbone is looked for."""

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
    """The column `lpips`: what a result file says of it, and what computes it."""

    record: dict[str, Any]
    metric: LPIPS


def perceptual_column(backbone: str, *, device: torch.device | str = "cpu") -> PerceptualColumn:
    """LPIPS with torchvision's weights from the models' folder of srkd or of torch hub, verified; never fetched.

    Raises:
        InputError: there is no such backbone, its weights are not there, or a file has their name and is another.
    """
    if backbone not in ("alex", "vgg"):
        raise InputError(f"LPIPS has the backbones {' and '.join(BACKBONES)}, not {backbone!r}.")
    source = known_models()[BACKBONES[backbone]]
    folders = (home("models"), Path(torch.hub.get_dir()) / "checkpoints")
    found = next((folder / source.file for folder in folders if (folder / source.file).is_file()), None)
    if found is None:
        raise InputError(
            f"LPIPS needs the weights {source.file}, which are neither in {folders[0]} nor in {folders[1]}: fetch them "
            f"with srkd data get-model {BACKBONES[backbone]}, or leave out --lpips."
        )
    try:
        digest = checked(found, sha256_prefix=source.sha256, size=source.size)
    except MismatchError as error:
        raise InputError(f"LPIPS: {found} is not what its name says: {error}. Remove it.") from None
    record = {"backbone": backbone, "version": "0.1", "file": source.file, "sha256": digest}
    return PerceptualColumn(record, LPIPS(backbone, found, device=device))
