"""Examine a folder of training images before a long training: what cannot be read, paired, trusted or needed twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from srkd.data.batches import dihedral
from srkd.data.degradation import Degradation, degrade
from srkd.data.leaks import Benchmarks, Picture, find_leaks
from srkd.data.pairing import Pair, find_pairs
from srkd.data.storage import RGB8, ImageFile, StoredImage, first_few, is_lmdb, stored_images
from srkd.imaging.decode import odd_kind
from srkd.imaging.files import left_out, read_image, to_rgb8
from srkd.imaging.resize import imresize, mod_crop
from srkd.types import InputError

Progress = Callable[[int, int], None]
"""Called with (images done, images in all)."""

Bar = Callable[[str], AbstractContextManager[Progress]]

SIDE = 64  # of the thumbnails that duplicates are found by
ALIKE = 0.9  # correlation of their details from which on two images are one
EXAMINED = 8  # pairs whose LR image is made again


@dataclass(frozen=True)
class Finding:
    """Something to know; `serious` where a training or a result would be wrong."""

    serious: bool
    text: str


class Survey(NamedTuple):
    """What reading every image tells: names of those that can be read, their sizes and thumbnails, and findings."""

    names: list[str]
    sizes: list[tuple[int, int]]
    thumbnails: NDArray[np.uint8]
    findings: list[Finding]


def examine(
    folder: Path, *, lq: Path | None, scale: int | None, against: Sequence[Picture] | None, bar: Bar
) -> tuple[list[str], list[Finding]]:
    """Everything that can be said of a folder of training images: facts, and findings with the serious ones first.

    Args:
        folder: high-resolution images, or an LMDB.
        lq, scale: their low-resolution images, and how much smaller those are; or neither.
        against: pictures of benchmarks that must not be among them; None: these are not looked for.
        bar: opens a progress bar with a title.

    Raises:
        InputError: a folder is missing or empty.
    """
    with bar("reading") as progress:
        found = survey(folder, progress)
    findings, facts = list(found.findings), list[str]()
    if found.sizes:
        high, wide = (_range(lengths) for lengths in zip(*found.sizes, strict=True))
        facts.append(f"{folder}: {len(found.names)} images, {high} pixels high, {wide} wide.")
    findings += [
        Finding(False, f"{later} is {first} again, perhaps resized, mirrored or rotated.")
        for first, later in duplicates(found.names, found.thumbnails)
    ]
    if lq is not None and scale is not None:
        pairs, wrong = check_pairs(folder, lq, scale)
        findings += wrong
        if pairs:
            facts.append(f"{len(pairs)} pairs with {lq} at scale {scale}.")
            findings += check_kernel(pairs, scale)
    if against:
        findings += _leaks(folder, set(found.names), against, bar)
    elif against is not None:
        findings.append(Finding(False, "no benchmark set is there to look for leaks: name some with --against."))
    return facts, sorted(findings, key=lambda finding: not finding.serious)


def _leaks(folder: Path, readable: set[str], against: Sequence[Picture], bar: Bar) -> list[Finding]:
    with bar("benchmark images") as progress:
        benchmarks = Benchmarks(against, progress)
    training = [Picture(name, image.read) for name, image in stored_images(folder).items() if name in readable]
    with bar("looking for leaks") as progress:
        leaks = find_leaks(training, benchmarks, progress)
    findings = [Finding(True, f"leak: {leak.describe()}.") for leak in leaks]
    if benchmarks.unrecognisable:
        names = first_few(benchmarks.unrecognisable)
        findings.append(Finding(False, f"too little structure to be recognised in other images: {names}."))
    looked = f"{len(training)} images against {len(against)} of benchmarks: {len(leaks)} leaks."
    return [*findings, Finding(False, looked)]


def _range(lengths: Sequence[int]) -> str:
    least, most = min(lengths), max(lengths)
    return str(least) if least == most else f"{least} to {most}"


def survey(root: Path, progress: Progress | None = None) -> Survey:
    """Read every image of a folder or LMDB.

    Raises:
        InputError: the folder is missing or empty, or two images differ in their suffix only.
    """
    stored = stored_images(root)
    names: list[str] = []
    sizes: list[tuple[int, int]] = []
    thumbnails: list[NDArray[Any]] = []
    kinds: dict[str, list[str]] = defaultdict(list)
    damaged: list[str] = []
    for done, (name, image) in enumerate(stored.items(), start=1):
        try:
            kind, pixels = _read(image)
        except InputError as error:
            damaged.append(str(error))
        else:
            if kind:
                kinds[kind].append(name)
            names.append(name)
            sizes.append((pixels.shape[0], pixels.shape[1]))
            grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
            thumbnails.append(cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
        if progress:
            progress(done, len(stored))
    findings = [Finding(True, text) for text in damaged]
    if others := [] if is_lmdb(root) else [path.name for path in left_out(root)]:
        findings.append(Finding(False, f"left out as no images: {len(others)}, such as {first_few(others)}."))
    findings += [
        Finding(False, f"{len(listed)} of {len(stored)} images are {kind} ({_READ_AS[kind]}): {first_few(listed)}.")
        for kind, listed in kinds.items()
    ]
    return Survey(names, sizes, np.array(thumbnails, np.uint8).reshape(-1, SIDE, SIDE), findings)


def duplicates(names: Sequence[str], thumbnails: NDArray[np.uint8]) -> list[tuple[str, str]]:
    """Images that are the same but for size, compression, mirroring and quarter turns; not crops of each other.

    Args:
        names: of the images.
        thumbnails: [N, S, S] uint8, the images squeezed to squares.

    Returns:
        Pairs of names, each image with the first one that it equals.
    """
    if not names:
        return []
    details = _details(thumbnails)
    stacked = details.transpose(1, 2, 0)
    turns = [dihedral(stacked, hflip=bool(n & 1), vflip=bool(n & 2), transpose=bool(n & 4)) for n in range(8)]
    turned = [np.ascontiguousarray(turn.transpose(2, 0, 1)).reshape(len(names), -1) for turn in turns]
    flat = details.reshape(len(names), -1)
    pairs: list[tuple[str, str]] = []
    for begin in range(0, len(names), 512):  # in pieces: all at once would be N² numbers
        rows = flat[begin : begin + 512]
        alike = np.max([rows @ turn.T for turn in turned], axis=0) >= ALIKE
        for row, columns in enumerate(alike):
            earlier = np.flatnonzero(columns[: begin + row])
            if len(earlier):
                pairs.append((names[int(earlier[0])], names[begin + row]))
    return pairs


def check_pairs(root_gt: Path, root_lq: Path, scale: int) -> tuple[list[Pair], list[Finding]]:
    """The pairs of two folders, and what is wrong with them: no partner, or sizes that are not `scale` apart."""
    try:
        return find_pairs([root_gt], [root_lq], scale=scale), []
    except InputError as error:
        return [], [Finding(True, str(error))]


def check_kernel(pairs: Sequence[Pair], scale: int) -> list[Finding]:
    """Whether LR images are MATLAB's bicubic ones: a few are made again and compared, two pixels inside the edges.

    The edges are left out because sub-images are cut from LR images, and so have other neighbours there.

    Raises:
        InputError: an image cannot be read.
    """
    step = max(len(pairs) // EXAMINED, 1)
    worst, different, values = 0, 0, 0
    example: tuple[RGB8, RGB8] | None = None
    chosen = [pair for pair in pairs[::step][:EXAMINED] if pair.lq is not None and min(pair.size) > 8]
    for pair in chosen:
        assert pair.lq is not None
        gt, lq = mod_crop(pair.gt.read(), scale), pair.lq.read()
        distance = _inside(np.abs(imresize(gt, scale=1 / scale).astype(np.int16) - lq))
        worst, different = max(worst, int(distance.max())), different + int((distance > 1).sum())
        values += distance.size
        if distance.max() > 1 and example is None:
            example = gt, lq
    if not chosen:
        return [Finding(False, "the images are too small to say how the LR images were made.")]
    if example is None:
        equal = "equal" if worst == 0 else "within 1 level"
        return [Finding(False, f"LR images are MATLAB's bicubic ({len(chosen)} made again: {equal}).")]
    kernel, mean = nearest_kernel(*example, scale=scale)
    return [
        Finding(
            True,
            f"LR images are not MATLAB's bicubic: of {len(chosen)} made again, {different / values:.1%} of all values "
            f"differ by more than 1 level, by up to {worst}. They resemble {kernel} most (mean difference {mean:.2f}). "
            "Results of tables are for MATLAB's bicubic.",
        )
    ]


def nearest_kernel(gt: RGB8, lq: RGB8, *, scale: int) -> tuple[str, float]:
    """The way of shrinking `gt` whose result is nearest to `lq`, and the mean difference in levels."""
    height, width = lq.shape[:2]
    size = (width, height)
    opencv = {
        "INTER_CUBIC, which does not antialias": cv2.INTER_CUBIC,
        "INTER_LINEAR, which does not antialias": cv2.INTER_LINEAR,
        "INTER_AREA, the mean of a block": cv2.INTER_AREA,
        "INTER_NEAREST, every nth pixel": cv2.INTER_NEAREST,
    }
    made = {f"OpenCV's {name}": cv2.resize(gt, size, interpolation=kind) for name, kind in opencv.items()}
    for kind in (Image.Resampling.LANCZOS, Image.Resampling.BILINEAR):
        made[f"Pillow's {kind.name}"] = np.asarray(Image.fromarray(gt).resize(size, kind))
    made["MATLAB's bicubic"] = imresize(gt, scale=1 / scale)
    made["BD (Gaussian blur, then every nth pixel)"] = degrade(gt, Degradation("BD"), scale=scale, name="")
    distances = {name: float(_inside(np.abs(image.astype(np.float64) - lq)).mean()) for name, image in made.items()}
    nearest = min(distances, key=lambda name: distances[name])
    return nearest, distances[nearest]


_READ_AS = {
    "grey": "trained on as RGB",
    "RGBA": "alpha is dropped",
    "16 bit": "rounded to 8",
    "palette": "trained on as RGB",
    "CMYK": "converted without a colour profile",
    "several frames": "the first is taken",
}


def _read(image: StoredImage) -> tuple[str, RGB8]:
    """The kind of an image where it is not plain 8-bit RGB, and its pixels as training sees them."""
    if not isinstance(image, ImageFile):
        return "", image.read()
    pixels = read_image(image.path)
    return odd_kind(image.path) or _kind(pixels), to_rgb8(pixels)


def _kind(pixels: NDArray[Any]) -> str:
    if pixels.dtype == np.uint16:
        return "16 bit"
    return "grey" if pixels.ndim == 2 else {3: "", 4: "RGBA"}[pixels.shape[2]]


def _details(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Thumbnails without what a Gaussian of 4 pixels leaves of them, each of length 1; a flat one is 0."""
    details = np.empty(thumbnails.shape, np.float32)
    for place, thumbnail in zip(details, thumbnails, strict=True):
        image = thumbnail.astype(np.float32)
        place[:] = image - cv2.GaussianBlur(image, (0, 0), 4)
        length = float(np.linalg.norm(place))
        place[:] = place / length if length > SIDE / 2 else 0  # half a level a pixel is noise
    return details


def _inside(image: NDArray[Any]) -> NDArray[Any]:
    return image[2:-2, 2:-2]
