"""How often equally good arms are called different, by the test of `srkd compare` and by others; a Markdown table.

  python scripts/reproduce/false_alarms.py

Means and mean squares are drawn from their distributions. The worst of six ratios of the variance of seeds to that of
images (0.02 to 10) and three sizes of the rest (0.1, 1, 10), at 5 % promised. tests/evaluation/test_statistics.py does
the same with whole matrices.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np

from srkd.evaluation.statistics import LEVEL, Variance, combined, crossed, probability
from srkd.table import Column, Table

TRIALS = 40_000
SEEDS, IMAGES = (2, 3, 5, 10), (5, 20, 100)
RATIOS, RESTS = (0.02, 0.1, 0.3, 1, 3, 10), (0.1, 1, 10)


def rates(seeds: int, images: int, ratio: float, rest: float, *, pairs: bool, rng: np.random.Generator) -> list[float]:
    """Shares of p < 0.05 by srkd, crossed alone, seeds alone, images alone, and both of the last two."""

    def drawn(expected: float, freedom: int) -> Variance:
        return Variance(expected * rng.chisquare(freedom, TRIALS) / freedom, np.full(TRIALS, float(freedom)))

    sides = [(ratio, rest)] if pairs else [(ratio / 2, rest / 2)] * 2
    expected = [(seed / seeds + own / (images * seeds), own / (images * seeds)) for seed, own in sides]
    means = np.sqrt(1 / images + sum(seed for seed, _ in expected)) * rng.standard_normal(TRIALS)
    over_images = drawn(1 / images + sum(own for _, own in expected), images - 1)
    over_seeds = [drawn(seed, seeds - 1) for seed, _ in expected]
    rests = [drawn(own, (images - 1) * (seeds - 1)) for _, own in expected]
    both = probability(means, crossed(over_images, over_seeds, rests))
    of_seeds, of_images = probability(means, combined(over_seeds)), probability(means, over_images)
    tests = (np.maximum(both, of_seeds), both, of_seeds, of_images, np.maximum(of_seeds, of_images))
    return [float((p < LEVEL).mean()) for p in tests]


def main() -> int:
    rng = np.random.default_rng(0)
    names = ("srkd", "crossed alone", "seeds alone", "images alone", "seeds and images")
    table = Table([Column("runs", "name"), *(Column(name) for name in ("seeds", "images", *names))])
    for pairs, seeds, images in itertools.product((True, False), SEEDS, IMAGES):
        found = [rates(seeds, images, *cell, pairs=pairs, rng=rng) for cell in itertools.product(RATIOS, RESTS)]
        worst = [f"{value:.1%}" for value in np.max(found, axis=0)]
        table.rows.append(["paired" if pairs else "independent", str(seeds), str(images), *worst])
    sys.stdout.write(table.markdown() + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
