"""Which low-resolution image belongs to which high-resolution one: BasicSR's and EDSR's layouts, by stem."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from srkd.data.storage import StoredImage, first_few, meta_names, stored_images
from srkd.types import InputError


@dataclass(frozen=True)
class Pair:
    """One pair; `lq` is None where it is to be made from `gt`. `size` is the lq height and width."""

    name: str
    gt: StoredImage
    lq: StoredImage | None
    size: tuple[int, int]


def find_pairs(
    roots_gt: Sequence[Path],
    roots_lq: Sequence[Path] | None,
    *,
    scale: int,
    filename_tmpl: str = "{}",
    meta_info_files: Sequence[Path | None] = (),
) -> list[Pair]:
    """Pair the images of each gt root with those of the lq root beside it (None: lq is made from gt).

    `meta_info_files` holds the file that chooses a gt root's images, or None, for each of them; empty chooses nowhere.

    Raises:
        InputError: unequal lists, a missing or empty folder, an unpaired image, or sizes that are not `scale` apart.
    """
    if not roots_gt:
        raise InputError("dataroot_gt is an empty list; it takes a folder, an .lmdb, or a list of them.")
    if roots_lq is not None and len(roots_gt) != len(roots_lq):
        raise InputError(
            f"dataroot_gt lists {len(roots_gt)} folders and dataroot_lq {len(roots_lq)}; "
            "they are paired in order, so both need the same number."
        )
    if filename_tmpl.count("{}") != 1:
        raise InputError(f"filename_tmpl is {filename_tmpl!r}; it must contain '{{}}' once, for the stem of the GT.")
    pairs: list[Pair] = []
    for number, root_gt in enumerate(roots_gt):
        gts, meta_info_file = stored_images(root_gt), meta_info_files[number] if meta_info_files else None
        if meta_info_file is not None:
            gts = _restrict(gts, meta_info_file, root_gt)
        if roots_lq is None:
            lqs = dict.fromkeys(gts)
        else:
            lqs = _match(
                gts, (root_gt, roots_lq[number]), scale=scale, template=filename_tmpl, subset=meta_info_file is not None
            )
        pairs += [_sized(name, gt, lqs[name], scale) for name, gt in gts.items()]
    return pairs


def _restrict(gts: dict[str, StoredImage], meta_info_file: Path, root: Path) -> dict[str, StoredImage]:
    names = meta_names(meta_info_file)
    missing = [name for name in names if name not in gts]
    if missing:
        raise InputError(
            f"{meta_info_file} lists {len(names)} images of which {len(missing)} are not in {root} "
            f"({len(gts)} images): {first_few(missing)}."
        )
    return {name: gts[name] for name in names}


def _match(
    gts: dict[str, StoredImage], roots: tuple[Path, Path], *, scale: int, template: str, subset: bool
) -> dict[str, StoredImage]:
    """The lq image of every gt stem. `subset`: lq may hold more than the gt asks for."""
    root_gt, root_lq = roots
    stored = stored_images(root_lq)
    first = next(iter(gts))
    if template == "{}" and first not in stored and f"{first}x{scale}" in stored:
        template = f"{{}}x{scale}"  # EDSR's layout, LR_bicubic/X4/babyx4.png
    names = {name: template.format(name) for name in gts}
    if template == "{}" and first not in stored:
        names = _low_names(list(gts), stored) or names
    counts = f"dataroot_gt {root_gt} has {len(gts)} images, dataroot_lq {root_lq} has {len(stored)}"
    lonely_gt = [name for name, lq_name in names.items() if lq_name not in stored]
    if lonely_gt:
        raise InputError(
            f"{counts}, paired by filename_tmpl {template!r}: {len(lonely_gt)} GT images have no LQ image: "
            f"{first_few(lonely_gt)} (looked for {names[lonely_gt[0]]!r} with any image suffix). "
            f"The LQ images are called {first_few(stored)}.{_template_for(lonely_gt[0], stored)}"
        )
    prefix, suffix = template.split("{}")
    wanted = set(names.values())
    lonely_lq = [name for name in stored if name not in wanted and name.startswith(prefix) and name.endswith(suffix)]
    if lonely_lq and not subset:
        raise InputError(
            f"{counts}: {len(lonely_lq)} LQ images have no GT image: {first_few(lonely_lq)}. "
            "Remove them, or list the wanted images in a meta_info_file."
        )
    return {name: stored[lq_name] for name, lq_name in names.items()}


def _low_names(gts: Sequence[str], stored: Container[str]) -> dict[str, str]:
    """LQ names by GT name where a word in them tells the two apart, as in SelfExSR's `img_001_SRF_4_HR` and `…_LR`.

    Nothing where the first GT image has no LQ image of such a name.
    """
    for high, low in (("HR", "LR"), ("GT", "LQ"), ("GT", "LR"), ("HR", "LQ")):
        if _low_name(gts[0], high, low) in stored:
            return {name: _low_name(name, high, low) for name in gts}
    return {}


def _low_name(name: str, high: str, low: str) -> str:
    """`a_HR` → `a_LR`, `a_hr` → `a_lr`: the last time that `high` stands in a name as a word of its own."""
    found = list(re.finditer(rf"(?<![A-Za-z]){high}(?![A-Za-z])", name, re.IGNORECASE))
    if not found:
        return name
    word = low if found[-1][0].isupper() else low.lower()
    return name[: found[-1].start()] + word + name[found[-1].end() :]


def _template_for(name: str, stored: Iterable[str]) -> str:
    """A sentence with the filename_tmpl that would find the LQ image of `name`; empty where none has its name."""
    found = next((lq_name for lq_name in stored if name in lq_name), None)
    return f" filename_tmpl: '{found.replace(name, '{}', 1)}' would find {found!r}." if found else ""


def _sized(name: str, gt: StoredImage, lq: StoredImage | None, scale: int) -> Pair:
    gt_height, gt_width = gt.size()
    size = (gt_height // scale, gt_width // scale)
    if min(size) < 1:
        raise InputError(f"{gt.where} is {gt_height}×{gt_width} (height×width), smaller than the scale {scale}.")
    if lq is not None and lq.size() != size:
        lq_height, lq_width = lq.size()
        raise InputError(
            f"{gt.where} is {gt_height}×{gt_width} (height×width) and {lq.where} is {lq_height}×{lq_width}: "
            f"at scale {scale} the LQ image must be {size[0]}×{size[1]} "
            f"(the GT may be up to {scale - 1} pixels larger than a multiple of the scale)."
        )
    return Pair(name, gt, lq, size)
