"""Upscaling files and folders: which file becomes which, and one at a time with every failure kept for the end."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from srkd.atomic import atomic_path
from srkd.imaging.files import IMAGE_SUFFIXES, WRITABLE_SUFFIXES, check_writable, list_images, read_image, write_image
from srkd.imaging.profiles import KEPT_IN, upright_and_profile
from srkd.imaging.tiff import TIFF_SUFFIXES, writing_options
from srkd.inference.upscaler import Upscaler
from srkd.inference.video import VIDEO_SUFFIXES, is_video, upscale_video
from srkd.missing import not_there
from srkd.types import InputError, WorkError

log = logging.getLogger(__name__)


class Job(NamedTuple):
    """A file and what it becomes."""

    source: Path
    target: Path


def sources(inputs: Sequence[Path]) -> list[Path]:
    """The images and videos that are given, and the images of the folders among them."""
    return [path for given in inputs for path in (list_images(given) if given.is_dir() else [given])]


def plan_jobs(inputs: Sequence[Path], output: Path, *, suffix: str = "", extension: str | None = None) -> list[Job]:
    """Each image or video with the file it becomes.

    Args:
        inputs: images, videos, and folders of images.
        output: a folder; for one input that is no folder, a file.
        suffix: put after each name.
        extension: format of images in a folder, None for PNG; videos become MP4.

    Raises:
        InputError: nothing to read, an unknown format, two files for one, or a file that would replace itself.
    """
    single = len(inputs) == 1 and not inputs[0].is_dir() and not output.is_dir()
    if single and output.suffix.lower() in WRITABLE_SUFFIXES + VIDEO_SUFFIXES:
        if suffix or extension:
            raise InputError(f"-o {output} names the file: --suffix and --format are for folders.")
        if is_video(inputs[0]) != is_video(output):
            raise InputError(f"{inputs[0]} cannot become {output}: an image becomes an image, a video a video.")
        jobs = [Job(inputs[0], output)]
    else:
        if single and re.fullmatch(r"\.[A-Za-z]\w{1,4}", output.suffix) and not output.exists():
            allowed = ", ".join(WRITABLE_SUFFIXES + VIDEO_SUFFIXES)
            raise InputError(
                f"-o {output}: unknown format {output.suffix}; allowed: {allowed}. (A folder: make it first.)"
            )
        if Path(suffix).name != suffix:
            raise InputError(f"--suffix {suffix!r} is part of a name, without folders.")
        ending = f".{(extension or 'png').lower().lstrip('.')}"
        if ending not in WRITABLE_SUFFIXES:
            raise InputError(f"unknown image format {extension!r}; allowed: {', '.join(WRITABLE_SUFFIXES)}.")
        if output.exists() and not output.is_dir():
            raise InputError(f"-o {output} is a file; several images need a folder.")
        jobs = [
            Job(path, output / f"{path.stem}{suffix}{'.mp4' if is_video(path) else ending}")
            for path in dict.fromkeys(sources(inputs))
        ]
    _check_jobs(jobs)
    return jobs


def beside(inputs: Sequence[Path], scale: int) -> Path:
    """Where the result of a single input goes by default: `photo_x2.png`, `clip_x2.mp4`, `folder_x2/`.

    Raises:
        InputError: there are several, or there is no name to be had.
    """
    if len(inputs) > 1:
        raise InputError("several inputs need a folder for the results: -o OUT.")
    source = inputs[0] if inputs[0].name not in ("", "..") else inputs[0].resolve()
    if not source.name:
        raise InputError(f"beside {source} there is nothing: name a folder for the results (-o OUT).")
    ending = "" if source.is_dir() else ".mp4" if is_video(source) else ".png"
    return source.with_name(f"{source.name if source.is_dir() else source.stem}_x{scale}{ending}")


def _check_jobs(jobs: Iterable[Job]) -> None:
    origin: dict[Path, Path] = {}
    for source, target in jobs:
        if not source.exists():
            raise InputError(
                not_there(source, wanted=lambda path: path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES)
            )
        if target in origin:
            raise InputError(f"{origin[target]} and {source} would both become {target}; upscale them to two folders.")
        if target.exists() and target.samefile(source):
            raise InputError(f"{source} would be replaced by its own result; choose another -o or a --suffix.")
        origin[target] = source


def upscale_files(
    upscaler: Upscaler,
    jobs: Sequence[Job],
    *,
    prepare: Callable[[NDArray[Any]], None] = lambda image: None,
    progress: Callable[[Path, float], None] = lambda source, share: None,
) -> list[str]:
    """Upscale each file; a file that fails does not stop the others.

    Args:
        upscaler: the network at the width that is wanted.
        jobs: what to do.
        prepare: called with each image, and each video's first frame, before it is upscaled, for example to choose
            the width for its size.
        progress: called with a file and how much of it is done, from 0 to 1.

    Returns:
        A line for each file that failed.
    """
    failures: list[str] = []
    for source, target in jobs:
        progress(source, 0.0)
        try:
            if is_video(source):
                upscale_video(upscaler, source, target, prepare=prepare, progress=_share(progress, source))
            else:
                upscale_file(upscaler, source, target, prepare=prepare)
        # RuntimeError: out of a device's memory
        except (InputError, WorkError, OSError, RuntimeError, MemoryError) as error:
            failures.append(f"{source}: {str(error) or type(error).__name__}")
        progress(source, 1.0)
    return failures


def _share(progress: Callable[[Path, float], None], source: Path) -> Callable[[int, int], None]:
    return lambda done, total: progress(source, done / total if total else 0.0)


def upscale_file(
    upscaler: Upscaler, source: Path, target: Path, *, prepare: Callable[[NDArray[Any]], None] = lambda image: None
) -> None:
    """Upscale one image file. A TIFF target is written window by window into a memory-mapped file.

    Raises:
        InputError: the image cannot be read, or the target's format cannot hold it.
    """
    image, profile = upright_and_profile(source, read_image(source))
    check_writable(target, image, scale=upscaler.scale)  # before the work, not after it
    if profile and target.suffix.lower() not in KEPT_IN:
        log.warning("%s: %s does not keep its colour profile.", source, target)
    prepare(image)
    if target.suffix.lower() in TIFF_SUFFIXES:
        size = [length * upscaler.scale for length in image.shape[:2]]
        with tiff_on_disk(target, (*size, *image.shape[2:]), image.dtype, profile=profile) as out:
            upscaler.upscale(image, out=out)
    else:
        write_image(target, upscaler.upscale(image), profile=profile)


@contextmanager
def tiff_on_disk(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], *, profile: bytes = b""
) -> Generator[NDArray[Any]]:
    """An array whose values go into an uncompressed TIFF file, which takes its name when all is written."""
    import tifffile

    with atomic_path(path) as temporary:
        huge = int(np.prod(shape)) * dtype.itemsize > 2**32 - 2**24  # more than classic TIFF can address
        out = tifffile.memmap(
            temporary,
            shape=shape,
            dtype=dtype,
            bigtiff=huge,
            **writing_options(shape, profile),
        )
        try:
            yield out
        finally:
            out.flush()
