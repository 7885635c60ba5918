"""Metrics of images somebody else produced: pairing by name, then the protocol's score."""

from __future__ import annotations

import re
from pathlib import Path

from srkd.evaluation.protocols import Protocol
from srkd.evaluation.result import Failure, Result, Row, summarise
from srkd.evaluation.sets import find_set
from srkd.imaging.files import list_images, read_image, to_rgb8
from srkd.provenance import environment
from srkd.types import InputError

_SUFFIX = re.compile(r"_.+|x\d+.*", re.IGNORECASE)


def pair_names(sr: list[str], gt: list[str]) -> dict[str, str]:
    """For each name in `gt` its name in `sr`: equal, or followed by `_anything` or `x4`.

    A name that could belong to several goes to the longest: `a_1_x4` to `a_1` and not to `a`.

    Raises:
        InputError: a name has no partner, or several; all of them are listed.
    """
    partners: dict[str, list[str]] = {name: [] for name in gt}
    for name in sr:
        owners = [
            owner for owner in gt if name == owner or (name.startswith(owner) and _SUFFIX.fullmatch(name[len(owner) :]))
        ]
        if owners:
            partners[max(owners, key=len)].append(name)
    problems = [f"{name}: missing" for name, found in partners.items() if not found]
    problems += [f"{name}: {' or '.join(found)}" for name, found in partners.items() if len(found) > 1]
    if problems:
        raise InputError(
            f"{len(problems)} of {len(gt)} images have not exactly one result, named like the image or with a suffix "
            f"(_anything, x4): {'; '.join(problems)}."
        )
    return {name: found[0] for name, found in partners.items()}


def score_folder(sr_dir: str | Path, gt_dir: str, *, protocol: Protocol, name: str | None = None) -> Result:
    """Score the images of `sr_dir`, called `name` or as the folder, against `gt_dir` (a folder or a known set).

    Raises:
        InputError: names don't pair, or sizes are not those of the mod-cropped ground truth (all are listed).
    """
    if protocol.for_luma_networks:
        raise InputError(f"protocol {protocol.name} needs results in floating point; for image files use y or rgb.")
    truth = find_set(gt_dir)
    files = {path.stem: path for path in list_images(sr_dir)}
    pairs = pair_names(list(files), list(truth.images))
    name = name or Path(sr_dir).resolve().name
    result = Result(protocol.record(), [{"name": name, "path": str(sr_dir)}], dict(environment("cpu")))
    wrong: list[str] = []
    for index, image in enumerate(truth.images):
        try:
            gt = protocol.sample(truth.read(index)[0], None, image).gt
            sr = to_rgb8(read_image(files[pairs[image]]))
            if sr.shape != gt.shape:
                sizes = [f"{one.shape[0]}×{one.shape[1]}" for one in (sr, gt)]
                wrong.append(f"{files[pairs[image]].name} is {sizes[0]}, {image} is {sizes[1]}")
                continue
            result.rows.append(Row(truth.name, image, name, 1.0, protocol.score(sr, gt), None))
        except InputError as error:
            result.failures.append(Failure(truth.name, image, "", str(error)))
    if wrong:
        raise InputError(
            f"results must have the size of the ground truth cut to a multiple of {protocol.scale} (height×width): "
            f"{'; '.join(wrong)}."
        )
    result.summary.append(summarise(result.rows, truth.name, len(truth.images), name, 1.0))
    return result
