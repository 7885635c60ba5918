"""Image sets that people publish, and how one gets from its address to a folder below `datasets/`."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from srkd.atomic import atomic_folder
from srkd.data import archives
from srkd.data.download import disk_errors
from srkd.data.sources import Source, fetch
from srkd.imaging.files import IMAGE_SUFFIXES
from srkd.types import InputError, WorkError

Progress = Callable[[str, int, int | None], None]
"""Called with what is being done, how far it is, and how far it will be (None: not known)."""


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """A set of images.

    Attributes:
        what, licence: what it is, and what its authors allow.
        folder: where it belongs below the folder of data sets.
        images: how many high-resolution images (of an LR set: low-resolution ones) it has.
        source: the archive it is in; None: it is in none.
        inside: the folder in the archive that becomes `folder`.
        files: the address of single images, with `{number}`.
        ask: where to ask for it, when nothing can be downloaded.
    """

    what: str
    licence: str
    folder: str
    images: int
    source: Source | None = None
    inside: str = ""
    files: str = ""
    ask: str = ""


def known_image_sets() -> dict[str, ImageSet]:
    """The sets of `sets.toml` by name."""
    table = tomllib.loads(resources.files("srkd.data").joinpath("sets.toml").read_text(encoding="utf-8"))
    return {
        name: ImageSet(**_with_source(entry, table["archives"], entry["licence"]))
        for name, entry in table["sets"].items()
    }


def get_set(
    wanted: ImageSet, root: Path, downloads: Path, *, mirror: str = "", progress: Progress | None = None
) -> tuple[Path, bool]:
    """Make sure that a set is in its folder below `root`.

    A folder that is there is left alone. What is downloaded stays in `downloads`, whole or in part, so that the same
    call goes on from there; the folder gets its name when everything is in it.

    Args:
        wanted: which set.
        root: the folder of data sets.
        downloads: where archives go.
        mirror: see `fetch`.
        progress: told how far it is.

    Returns:
        The folder, and whether it was made now.

    Raises:
        InputError: it cannot be downloaded at all.
        WorkError: it cannot be had, or does not hold what it should.
    """
    target = root / wanted.folder
    made = not target.exists()
    if made:
        if wanted.ask:
            raise InputError(
                f"{wanted.folder} cannot be downloaded by a program: its owners give it on request, at {wanted.ask} "
                f"({wanted.licence}). Put the images into {target}/HR."
            )
        if wanted.source is not None:
            _from_archive(wanted, wanted.source, target, downloads, mirror=mirror, progress=progress)
        else:
            _from_files(wanted, target, downloads, mirror=mirror, progress=progress)
    found = count_images(target)
    if found != wanted.images:
        raise WorkError(
            f"{target} has {found} images, expected {wanted.images}. "
            + ("Another archive is published now." if made else "Move it away and give the command again.")
        )
    return target, made


def count_images(folder: Path) -> int:
    """How many images a set in either layout has: in `HR/` or `GTmod12/`, or directly."""
    inner = next((folder / name for name in ("HR", "GTmod12") if (folder / name).is_dir()), folder)
    return sum(path.suffix.lower() in IMAGE_SUFFIXES for path in inner.iterdir()) if inner.is_dir() else 0


def _with_source(entry: dict[str, Any], known: dict[str, dict[str, Any]], licence: str) -> dict[str, Any]:
    archive = entry.pop("archive", None)
    return entry | {"source": Source(what=archive, licence=licence, **known[archive]) if archive else None}


def _from_archive(
    wanted: ImageSet, source: Source, target: Path, downloads: Path, *, mirror: str, progress: Progress | None
) -> None:
    tell = progress or _silent
    fetched = fetch(source, downloads, mirror=mirror, progress=lambda arrived, total: tell(source.file, arrived, total))
    archives.unpack(
        fetched.path,
        target,
        inside=wanted.inside,
        progress=lambda written, total: tell(f"unpacking {wanted.folder}", written, total),
    )


def _from_files(wanted: ImageSet, target: Path, downloads: Path, *, mirror: str, progress: Progress | None) -> None:
    """One download an image; they are collected in `downloads` and leave it when all are there."""
    folder = downloads / wanted.folder
    tell = progress or _silent
    for number in range(1, wanted.images + 1):
        source = Source(what=wanted.what, licence=wanted.licence, url=wanted.files.format(number=number))
        fetch(source, folder, mirror=mirror and f"{mirror}/{wanted.folder}")
        tell(wanted.folder, number, wanted.images)
    with disk_errors(target):
        with atomic_folder(target) as whole:
            inner = whole / "HR"
            inner.mkdir()
            for number in range(1, wanted.images + 1):
                file = Path(wanted.files.format(number=number).rpartition("/")[2])
                (inner / f"img_{number:03d}{file.suffix}").write_bytes((folder / file).read_bytes())
        shutil.rmtree(folder)


def _silent(what: str, done: int, total: int | None) -> None:
    pass
