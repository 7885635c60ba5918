"""Training images that are benchmark images: resized, cropped, mirrored, rotated, compressed, or part of a larger one.

Three steps, each cheap enough for those that the one before left over:

1. SIFT points of every benchmark image, in one index; every training image asks it for its nearest ones. Mirrored
   pictures need no second look: the descriptor of a mirrored point is a rearrangement of the point's descriptor.
2. A similarity (scale, rotation, shift) that six or more pairs of points agree on.
3. The two pictures laid on each other, the alignment refined to an affine one, and the correlation of their details.

On the 489 images of T91 and BSDS500 that are often trained on, against Set5 and Urban100: copies are at 0.85 to 1.0,
the nearest other picture (another photograph of a monarch butterfly) at 0.52.

Sources: D. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004; R. Arandjelović and
A. Zisserman, "Three things everyone should know to improve object retrieval", CVPR 2012 (the root of descriptors);
G. Evangelidis and E. Psarakis, "Parametric image alignment using enhanced correlation coefficient maximization",
PAMI 2008.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from srkd.types import InputError

RGB8 = NDArray[np.uint8]
Result = TypeVar("Result")
Array = NDArray[Any]
Progress = Callable[[int, int], None]
"""Called with (images done, images in all)."""

LARGEST = 512  # images are shrunk to this length before points are looked for
MOST_POINTS = 600
FEWEST_POINTS = 12  # an image with fewer cannot be recognised
AGREEING = 6  # pairs of points that have to agree on a similarity
RATIO = 0.8  # a point counts if it is this much nearer than those of other images; see `_distinctive`
COPY = 0.75  # correlation of details from which on two pictures are one
LEAST_OVERLAP = 400  # pixels

_NEIGHBOURS = 8


@dataclass(frozen=True)
class Picture:
    """An image by name; `read` gives RGB uint8 [H, W, 3], or raises `InputError`."""

    name: str
    read: Callable[[], RGB8]


@dataclass(frozen=True)
class Leak:
    """A training image that shows (part of) a benchmark image.

    Attributes:
        image, benchmark: their names.
        scale: training pixels per benchmark pixel.
        angle: by which it is rotated, 0 to 180 degrees, either way.
        mirrored: whether it is.
        share: of the benchmark image that is in the training image, 0 to 1.
        similarity: correlation of the details, 0.75 to 1.
    """

    image: str
    benchmark: str
    scale: float
    angle: float
    mirrored: bool
    share: float
    similarity: float

    def describe(self) -> str:
        """`302003.jpg is Set5/woman at 0.72×, mirrored (98 % of it, correlation 0.99)`."""
        how = [f"at {self.scale:.2f}×"]
        how += [f"rotated by {self.angle:.0f}°"] if self.angle >= 1 else []
        how += ["mirrored"] if self.mirrored else []
        seen = f"{100 * self.share:.0f} % of it, correlation {self.similarity:.2f}"
        return f"{self.image} is {self.benchmark} {', '.join(how)} ({seen})"


class _Points(NamedTuple):
    """`grey` [h, w] uint8 is the picture shrunk by `shrink`; `places` [N, 2] are x, y in it, `descriptors` [N, 128]."""

    grey: Array
    shrink: float
    places: Array
    descriptors: Array


class Benchmarks:
    """Benchmark images, ready to be asked whether a picture is one of them.

    Args:
        pictures: the images; at least one must have enough structure to be recognised.
        progress: told how many are read.

    Attributes:
        unrecognisable: names of those that have too little structure.

    Raises:
        InputError: an image cannot be read, or none can be recognised.
    """

    def __init__(self, pictures: Sequence[Picture], progress: Progress | None = None) -> None:
        found = _in_threads(lambda picture: _points(picture.read()), pictures, progress)
        self._names = [picture.name for picture in pictures]
        self._points = found
        lengths = [len(points.places) for points in found]
        self.unrecognisable = [
            name for name, length in zip(self._names, lengths, strict=True) if length < FEWEST_POINTS
        ]
        if len(self.unrecognisable) == len(found):
            raise InputError("no benchmark image has enough structure to be recognised.")
        self._owner = np.repeat(np.arange(len(found)), lengths)
        self._first = np.concatenate([[0], np.cumsum(lengths)])
        descriptors = np.concatenate([points.descriptors for points in found])
        self._index = cv2.flann.Index(descriptors, {"algorithm": 1, "trees": 4})  # randomised k-d trees

    def find(self, picture: Picture) -> list[Leak]:
        """The benchmark images that `picture` shows, the most similar first.

        Raises:
            InputError: it cannot be read.
        """
        points = _points(picture.read())
        leaks: dict[str, Leak] = {}
        for mirrored in (False, True):
            for number, pairs in self._matches(points, mirrored=mirrored):
                leak = self._compare(picture.name, points, number, pairs, mirrored=mirrored)
                if leak and (leak.benchmark not in leaks or leak.similarity > leaks[leak.benchmark].similarity):
                    leaks[leak.benchmark] = leak
        return sorted(leaks.values(), key=lambda leak: -leak.similarity)

    def _matches(self, points: _Points, *, mirrored: bool) -> list[tuple[int, NDArray[np.int64]]]:
        """Benchmark images that share points, each with the pairs [N, 2] (of the picture, of the benchmark)."""
        if len(points.places) < AGREEING:
            return []
        wanted = _mirrored(points.descriptors) if mirrored else points.descriptors
        neighbours = min(_NEIGHBOURS, len(self._owner))
        nearest, squares = (np.asarray(a) for a in self._index.knnSearch(wanted, neighbours, params={"checks": 48}))
        nearest = nearest.astype(np.int64)
        owners = self._owner[nearest]
        asked, which = _distinctive(owners, squares)
        matches: list[tuple[int, NDArray[np.int64]]] = []
        for number, _ in Counter(owners[asked, which].tolist()).most_common(3):
            mine = np.flatnonzero(owners[asked, which] == number)
            mine = mine[np.argsort(squares[asked[mine], which[mine]], kind="stable")]
            theirs, best = np.unique(nearest[asked[mine], which[mine]], return_index=True)  # each point at most once
            if len(theirs) >= AGREEING:
                matches.append((int(number), np.stack([asked[mine[best]], theirs - self._first[number]], axis=1)))
        return matches

    def _compare(
        self, name: str, points: _Points, number: int, pairs: NDArray[np.int64], *, mirrored: bool
    ) -> Leak | None:
        benchmark = self._points[number]
        flip = np.array([-1.0 if mirrored else 1.0, 1.0], np.float32)
        source, target = points.places[pairs[:, 0]] * flip, benchmark.places[pairs[:, 1]]
        matrix, inliers = cv2.estimateAffinePartial2D(source, target, method=cv2.RANSAC, ransacReprojThreshold=4.0)
        if np.shape(matrix) != (2, 3) or int(inliers.sum()) < AGREEING:
            return None  # older OpenCV has no matrix where nothing agrees
        size = math.hypot(matrix[0, 0], matrix[1, 0])  # benchmark pixels per training pixel, both shrunk
        if not 0.1 < size < 10:
            return None  # many points on one
        angle = abs(math.degrees(math.atan2(matrix[1, 0], matrix[0, 0])))
        to_benchmark = np.vstack([matrix * np.append(flip, 1.0), [0.0, 0.0, 1.0]])
        similarity = correlation(points.grey, benchmark.grey, to_benchmark)
        if similarity < COPY:
            return None
        scale = benchmark.shrink / (size * points.shrink)
        share = _share(points.grey, benchmark.grey, to_benchmark)
        return Leak(name, self._names[number], scale, angle, mirrored, share, similarity)


def find_leaks(training: Sequence[Picture], benchmarks: Benchmarks, progress: Progress | None = None) -> list[Leak]:
    """All leaks of the training images, in their order; `progress` is told how many images are done.

    Raises:
        InputError: an image cannot be read.
    """
    return [leak for leaks in _in_threads(benchmarks.find, training, progress) for leak in leaks]


def correlation(picture: Array, other: Array, to_other: NDArray[np.float64]) -> float:
    """How equal the details of two grey pictures are where they overlap, -1 to 1; -1 where they hardly do.

    The finer one is brought to the coarser one's pixels, and the alignment refined, since resizing to a size of whole
    pixels changes the aspect. Details are what is left when a Gaussian of 6 pixels is taken away: without that, sky
    above ground correlates with sky above ground.

    Args:
        picture, other: [h, w] uint8.
        to_other: [3, 3], from places (x, y, 1) in `picture` to those in `other`.
    """
    size = math.sqrt(abs(np.linalg.det(to_other[:2, :2])))
    fine, coarse, to_fine = (picture, other, np.linalg.inv(to_other)) if size < 1 else (other, picture, to_other)
    ratio = max(size, 1 / size)
    smooth = cv2.GaussianBlur(fine.astype(np.float32), (0, 0), math.hypot(1, ratio / 2))
    target = cv2.GaussianBlur(coarse.astype(np.float32), (0, 0), 1)
    warp = to_fine[:2].astype(np.float32)
    found = _detail_correlation(smooth, target, warp)
    try:
        stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
        _, warp = cv2.findTransformECC(target, smooth, warp, cv2.MOTION_AFFINE, stop)
    except cv2.error:
        return found  # it does not converge: these are different pictures
    return max(found, _detail_correlation(smooth, target, warp))


def _detail_correlation(fine: Array, coarse: Array, to_fine: Array) -> float:
    height, width = coarse.shape
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    warped = cv2.warpAffine(fine, to_fine, (width, height), flags=flags)
    seen = cv2.warpAffine(np.ones_like(fine), to_fine, (width, height), flags=flags) > 0.999
    seen = cv2.erode(seen.astype(np.uint8), np.ones((5, 5)), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
    if int(seen.sum()) < LEAST_OVERLAP:
        return -1.0
    weight = np.maximum(cv2.GaussianBlur(seen.astype(np.float32), (0, 0), 6), 1e-3)
    a, b = (
        (image - cv2.GaussianBlur(np.where(seen, image, 0).astype(np.float32), (0, 0), 6) / weight)[seen]
        for image in (warped, coarse)
    )
    return float((a * b).sum() / (math.sqrt(float((a * a).sum()) * float((b * b).sum())) + 1e-9))


def _share(picture: Array, other: Array, to_other: NDArray[np.float64]) -> float:
    """The part of `other` that `picture` covers, 0 to 1."""
    height, width = other.shape
    return float((cv2.warpAffine(np.ones_like(picture), to_other[:2], (width, height)) > 0).mean())


def _points(image: RGB8) -> _Points:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    shrink = min(1.0, LARGEST / max(grey.shape))
    if shrink < 1:
        grey = cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    sift = cv2.SIFT.create(nfeatures=MOST_POINTS, contrastThreshold=0.02)
    keypoints, descriptors = sift.detectAndCompute(grey, None)
    if len(keypoints) == 0:
        return _Points(grey, shrink, np.zeros((0, 2), np.float32), np.zeros((0, 128), np.float32))
    places = np.array([keypoint.pt for keypoint in keypoints], np.float32)
    return _Points(
        grey, shrink, places, np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9))
    )


def _distinctive(owners: NDArray[np.int64], squares: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which neighbours [N, K] say something, as (row, column) of each.

    Windows of one facade resemble each other, so that a point need not be nearer than others of its own image; and one
    picture may be in two benchmarks. Hence the nearest neighbours in the nearest two images count, if they are much
    nearer than any in a third.

    Args:
        owners: the image that each neighbour is in, the nearest neighbour first.
        squares: of the distances.
    """
    rows = np.arange(len(owners))
    elsewhere = owners != owners[:, :1]
    second = elsewhere.argmax(axis=1)  # 0 where all neighbours are in one image
    third = np.where(elsewhere & (owners != owners[rows, second][:, None]), squares, np.inf).min(axis=1)
    has_second = np.flatnonzero(second)
    asked = np.concatenate([rows, rows[has_second]])
    which = np.concatenate([np.zeros_like(rows), second[has_second]])
    good = squares[asked, which] < RATIO**2 * third[asked]
    return asked[good], which[good]


def _mirrored(descriptors: Array) -> Array:
    """The descriptors [N, 128] that the same points have in the mirrored picture.

    A descriptor is 4 rows × 4 columns × 8 directions, its columns along the point's own direction: mirroring at that
    direction swaps the rows and turns every direction round.
    """
    cells = descriptors.reshape(-1, 4, 4, 8)[:, ::-1]
    return np.ascontiguousarray(cells[..., -np.arange(8) % 8]).reshape(-1, 128)


def _in_threads(
    work: Callable[[Picture], Result], pictures: Sequence[Picture], progress: Progress | None
) -> list[Result]:
    results: list[Result] = []
    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, 16))
    try:
        for done, result in enumerate(pool.map(work, pictures), start=1):
            results.append(result)
            if progress:
                progress(done, len(pictures))
    finally:  # after an error or Ctrl-C: not the rest
        pool.shutdown(wait=True, cancel_futures=True)
    return results
