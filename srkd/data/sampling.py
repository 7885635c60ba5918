"""Which images a training batch holds, where they are cut and how they are turned: pure arithmetic.

Every crop of a run has a position p = 0, 1, 2, …; seed and p alone decide about it, so that neither the number of
workers, nor how the batch is split over processes, nor where a run was resumed changes what is learnt from.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DRAWS = 8
"""Random numbers that belong to each position; six are used: top, left, hflip, vflip, transpose, degradation."""

_CROPS, _ORDER = 0, 1  # separate streams of one seed
_WORDS_PER_BLOCK = 4  # one step of Philox's counter gives four 64-bit words


class Plan(NamedTuple):
    """`image` [B] int64: its number, for each batch element. `u` [B, DRAWS]: its random numbers, uniform in [0, 1)."""

    image: NDArray[np.int64]
    u: NDArray[np.float64]


def plan(seed: int, iteration: int, *, rank: int, world_size: int, batch_size: int, num_images: int) -> Plan:
    """Plan the batch of one process at one iteration (counted from 0).

    Element j has position p = (iteration · world_size + rank) · batch_size + j. Its epoch is p // num_images; every
    epoch is a permutation of all images.
    """
    first = (iteration * world_size + rank) * batch_size
    positions = [divmod(first + j, num_images) for j in range(batch_size)]
    image = np.array([_permutation(seed, epoch, num_images)[place] for epoch, place in positions], dtype=np.int64)
    words = _philox(seed, _CROPS, counter=first * DRAWS // _WORDS_PER_BLOCK).random_raw(batch_size * DRAWS)
    return Plan(image, _uniform(words).reshape(batch_size, DRAWS))


@lru_cache(maxsize=16)  # a batch larger than the data set spans several epochs
def _permutation(seed: int, epoch: int, length: int) -> NDArray[np.intp]:
    words = _philox(seed, _ORDER, counter=epoch << 64).random_raw(length)
    return np.argsort(words, kind="stable")


def _philox(seed: int, stream: int, *, counter: int) -> np.random.Philox:
    # Raw words, not `Generator`'s methods: NumPy promises to keep only the former from release to release.
    key = np.array([seed % 2**64, stream], dtype=np.uint64)
    return np.random.Philox(key=key, counter=counter)


def _uniform(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
