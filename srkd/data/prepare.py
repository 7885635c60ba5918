"""Write what training from a folder of high-resolution images may want: LR images, sub-images, meta information.

Names and places are BasicSR's: from `DIV2K_train_HR/0001.png` come `DIV2K_train_LR_bicubic/X2/0001x2.png`, and as
sub-images `DIV2K_train_HR_sub/0001_s001.png` with `DIV2K_train_LR_bicubic/X2_sub/0001_s001.png`. `HR` gives
`LR_bicubic/X2` (EDSR's layout).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from srkd.atomic import atomic_write_text
from srkd.data.storage import RGB8, ImageFile, StoredImage, stored_images
from srkd.imaging.files import write_image
from srkd.imaging.resize import imresize, mod_crop
from srkd.types import InputError

Progress = Callable[[int, int], None]
"""Called with (images done, images in all)."""

NOTE = ".prepared.json"
"""In every folder that is written: what it was made from and how, so that another call goes on or is refused."""


@dataclass(frozen=True)
class Preparation:
    """What to write.

    Attributes:
        source: folder of high-resolution images.
        out: where the new folders go.
        scales: of the LR images, each at least 2.
        sub_images: side of the sub-images; None: none.
        step: from one sub-image to the next.
    """

    source: Path
    out: Path
    scales: Sequence[int]
    sub_images: int | None = None
    step: int = 240

    def __post_init__(self) -> None:
        if not self.scales or min(self.scales) < 2 or len(set(self.scales)) < len(self.scales):
            raise InputError(f"--scale is {list(self.scales)}; it takes different whole numbers from 2 up.")
        size = self.sub_images
        if size is not None and (size < 1 or self.step < 1 or size % self.multiple or self.step % self.multiple):
            raise InputError(
                f"--sub-images {size} and --step {self.step} must be multiples of {self.multiple}, so that the pieces "
                f"of all scales ({', '.join(map(str, self.scales))}) lie on each other."
            )

    @property
    def multiple(self) -> int:
        """What sizes must be multiples of to serve all scales."""
        return math.lcm(*self.scales)

    @property
    def hr_sub(self) -> Path:
        """The folder of the HR sub-images."""
        return self.out / f"{self.source.resolve().name}_sub"

    def lr(self, scale: int, *, sub: bool = False) -> Path:
        """The folder of the LR images (or sub-images) of a scale."""
        name = self.source.resolve().name
        stem = name.removesuffix("HR") if name.endswith("HR") else f"{name}_"
        return self.out / f"{stem}LR_bicubic" / (f"X{scale}_sub" if sub else f"X{scale}")


def prepare(preparation: Preparation, progress: Progress | None = None) -> tuple[int, int]:
    """Write LR images and sub-images; those that are there already, from the same call, are left as they are.

    Args:
        preparation: what to write.
        progress: called after every image.

    Returns:
        How many images there are, and how many of them had to be worked on.

    Raises:
        InputError: an image cannot be read, two have one stem, or a folder holds something else already.
    """
    images = stored_images(preparation.source)
    _claim_folders(preparation)
    made = 0
    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, 16))
    try:
        tasks = [pool.submit(_prepare_image, image, name, preparation) for name, image in images.items()]
        for done, task in enumerate(as_completed(tasks), start=1):
            made += task.result()
            if progress:
                progress(done, len(images))
    finally:  # after an error or Ctrl-C: not the rest
        pool.shutdown(wait=True, cancel_futures=True)
    return len(images), made


def write_meta_info(folder: Path, file: Path) -> int:
    """Write BasicSR's list of the images in `folder`, `0001_s001.png (480,480,3)` a line; returns how many there are.

    Raises:
        InputError: the folder has no images, or there is another file of that name.
    """
    lines: list[str] = []
    for image in stored_images(folder).values():
        assert isinstance(image, ImageFile), folder  # folders hold files
        height, width = image.size()
        lines.append(f"{image.path.name} ({height},{width},3)")
    text = "\n".join(lines) + "\n"
    if file.exists() and file.read_text(encoding="utf-8") != text:
        raise InputError(f"{file} is there and lists other images than {folder}: move it away.")
    atomic_write_text(file, text, errors="surrogateescape")  # the bytes of the files' names
    return len(lines)


def places(length: int, *, size: int, step: int) -> list[int]:
    """Where sub-images begin along one axis: every `step`, and one that ends at the edge, as in BasicSR.

    An axis shorter than `size` has one, at 0.
    """
    if length <= size:
        return [0]
    starts = list(range(0, length - size + 1, step))
    return starts if starts[-1] + size == length else [*starts, length - size]


def sub_images(image: RGB8, *, size: int, step: int) -> list[RGB8]:
    """Overlapping square pieces of [H, W, 3], row by row: views. Smaller images give smaller pieces."""
    return [
        image[top : top + size, left : left + size]
        for top in places(image.shape[0], size=size, step=step)
        for left in places(image.shape[1], size=size, step=step)
    ]


def _claim_folders(preparation: Preparation) -> None:
    """Refuse folders that hold something else, before anything is written into any of them."""
    source = str(preparation.source.resolve())
    size, step, multiple = preparation.sub_images, preparation.step, preparation.multiple
    notes: dict[Path, dict[str, Any]] = {}
    for scale in preparation.scales:
        notes[preparation.lr(scale)] = {"from": source, "scale": scale}
        if size is not None:
            pieces = {"sub_images": size, "step": step, "multiple": multiple}
            notes[preparation.hr_sub] = {"from": source, **pieces}
            notes[preparation.lr(scale, sub=True)] = {"from": source, "scale": scale, **pieces}
    for folder, note in notes.items():
        found = _note_in(folder)
        if found is None and folder.is_dir() and any(folder.iterdir()):
            raise InputError(
                f"{folder} is there and not from srkd data prepare: choose another folder (-o), or move it away."
            )
        if found is not None and found != note:
            raise InputError(
                f"{folder} was prepared differently: {_words(found)}; now asked for: {_words(note)}. "
                "Choose another folder (-o), or move it away."
            )
    for folder, note in notes.items():
        atomic_write_text(folder / NOTE, json.dumps(note) + "\n")


def _note_in(folder: Path) -> dict[str, Any] | None:
    try:
        return json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {"a note that cannot be read": str(folder / NOTE)}


def _words(note: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in note.items())


def _prepare_image(image: StoredImage, name: str, preparation: Preparation) -> bool:
    """Write everything of one image that is missing; False where nothing was."""
    size, step = preparation.sub_images, preparation.step
    height, width = image.size()
    if min(height, width) < preparation.multiple:
        raise InputError(f"{image.where} is {height}×{width} (height×width), smaller than {preparation.multiple}.")
    common = [length - length % preparation.multiple for length in (height, width)]
    count = 0 if size is None else math.prod(len(places(length, size=size, step=step)) for length in common)
    pieces = [f"{name}_s{number:03d}.png" for number in range(1, count + 1)]
    folders = [preparation.hr_sub, *(preparation.lr(scale, sub=True) for scale in preparation.scales)] if pieces else []
    targets = [preparation.lr(scale) / f"{name}x{scale}.png" for scale in preparation.scales]
    targets += [folder / piece for folder in folders for piece in pieces]
    if all(target.exists() for target in targets):
        return False
    hr = image.read()
    todo = [imresize(mod_crop(hr, scale), scale=1 / scale) for scale in preparation.scales]
    if size is not None:
        whole = hr[: common[0], : common[1]]
        # The LR pieces are cut from the LR image of the whole: their edges are inside it, not edges of an image.
        cut = [lr[: common[0] // s, : common[1] // s] for s, lr in zip(preparation.scales, todo, strict=True)]
        for factor, picture in zip((1, *preparation.scales), (whole, *cut), strict=True):
            todo += sub_images(picture, size=size // factor, step=step // factor)
    for target, picture in zip(targets, todo, strict=True):
        if not target.exists():
            write_image(target, picture)
    return True
