"""Whether numbers compare with those in papers' tables: what is done otherwise, said in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from srkd.evaluation.protocols import Protocol
from srkd.evaluation.result import BICUBIC, Result
from srkd.evaluation.sets import usual_size
from srkd.imaging.resize import imresize, mod_crop
from srkd.metrics.psnr import psnr

SAME_LR = 60.0
"""dB that a given LR image is at least from MATLAB's bicubic one where only ties are rounded otherwise: one pixel in 16
off by one level is 60 dB. On Set5 OpenCV's bicubic is at 22 to 40 dB, Pillow's, which rounds between the axes, at 48 to
57."""

RE_DERIVED = 3
"""LR images of a set that are derived again to compare."""


def lr_likeness(gt: NDArray[np.uint8], lq: NDArray[np.uint8], scale: int) -> float:
    """PSNR in dB of a given LR image [h, w, 3] against MATLAB's bicubic shrinking of the mod-cropped `gt`."""
    return psnr(lq, imresize(mod_crop(gt, scale), size=lq.shape[:2]))


def reservations(
    result: Result, protocol: Protocol, *, likeness: Mapping[str, float], approximate: Sequence[str]
) -> list[str]:
    """Why numbers of `result` don't compare with papers' tables; a sentence each, empty where they do.

    Args:
        result: with its summary.
        protocol: how its numbers were made.
        likeness: lowest `lr_likeness` by set, of sets whose LR images were given.
        approximate: models whose result depends on the windows it was made in.
    """
    found = protocol.unlike_tables()
    if protocol.degradation:
        found.append(f"LR images are made by {protocol.lr_words()}: numbers compare with those of the same only.")
    if protocol.self_ensemble:
        found.append("Models with a plus are run with self-ensemble: compare them with rows so marked (EDSR+) only.")
    for entry in result.sets:
        name, images, usual = entry["name"], entry["images"], usual_size(entry["name"])
        if usual not in (None, images):
            found.append(f"{name} has {images} images here; tables have the mean over {usual}.")
    for name in dict.fromkeys(failure.set for failure in result.failures):
        short = [summary for summary in result.summary if summary.set == name and summary.n < summary.n_expected]
        fewest = min((summary.n for summary in short), default=0)
        if short:
            found.append(f"{name} is without images that failed: means are over {fewest} of {short[0].n_expected}.")
    for name, decibels in likeness.items():
        if decibels < SAME_LR:
            found.append(
                f"The LR images of {name} are not MATLAB's bicubic ones (as little as {decibels:.1f} dB from them)."
            )
    if approximate:
        found.append(
            f"{', '.join(approximate)}: the network sees the whole image, in windows (tile {result.tile}) its numbers "
            "are approximations."
        )
    return found


def below_bicubic(result: Result, trained: Mapping[str, Sequence[float]]) -> list[str]:
    """Models whose PSNR is below bicubic interpolation's, as when weights are given another range than their own.

    Args:
        result: with its summary.
        trained: widths by the model's name that training supervised; others are expected to be poor.
    """
    plain = {item.set: item.metrics.get("psnr", -np.inf) for item in result.summary if item.model == BICUBIC}
    worse: dict[str, list[str]] = {}
    for item in result.summary:
        own, other = item.metrics.get("psnr", np.inf), plain.get(item.set, -np.inf)
        if own < other and any(abs(item.width - width) < 1e-6 for width in trained.get(item.model, ())):
            worse.setdefault(item.model, []).append(f"{item.set} {own:.2f} < {other:.2f} dB")
    return [
        f"{model} is below bicubic ({', '.join(places[:3])}): wrong input range (0..1 or 0..255), or hardly trained?"
        for model, places in worse.items()
    ]
