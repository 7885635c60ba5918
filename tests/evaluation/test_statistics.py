import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from srkd.evaluation.arms import read_arms
from srkd.evaluation.statistics import (
    Variance,
    combined,
    deviation,
    difference,
    holm,
    power,
    seeds_needed,
    sign_test,
    spread_of,
)

values = st.lists(st.floats(-5, 5).map(lambda value: round(value, 3)), min_size=3, max_size=12)


def one_run(differences):
    """The difference of one run each: over images alone."""
    column = np.array(differences, float)[:, None]
    return difference(np.zeros_like(column), column, pairs=True)


def test_a_small_example_by_hand():
    found = one_run([0.1, 0.2, 0.3])  # mean 0.2, sd 0.1, standard error 0.057735, t(2, 0.975) = 4.302653
    assert found.mean == pytest.approx(0.2) and found.basis == "images" and found.crossed is None
    assert found.low == pytest.approx(0.2 - 4.302653 * 0.057735, abs=1e-6)
    assert found.high == pytest.approx(0.2 + 4.302653 * 0.057735, abs=1e-6)
    assert found.p == pytest.approx(0.0741799, abs=1e-6)


@given(values)
def test_with_one_run_it_is_the_one_sample_t_test_over_images(differences):
    if np.ptp(differences) < 1e-3:
        return
    found, wanted = one_run(differences), stats.ttest_1samp(differences, 0)
    interval = wanted.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-9)
    assert found.p == pytest.approx(wanted.pvalue, abs=1e-9)


def crossed_by_hand(d):
    """The two-way crossed interval, written down from the sums of squares."""
    images, seeds = d.shape
    mean, rows, columns = d.mean(), d.mean(1), d.mean(0)
    ms_image = seeds * ((rows - mean) ** 2).sum() / (images - 1)
    ms_seed = images * ((columns - mean) ** 2).sum() / (seeds - 1)
    rest = sum((d[i, j] - rows[i] - columns[j] + mean) ** 2 for i in range(images) for j in range(seeds))
    ms_rest = rest / (images - 1) / (seeds - 1)
    total = ms_image + ms_seed - ms_rest
    below = ms_image**2 / (images - 1) + ms_seed**2 / (seeds - 1) + ms_rest**2 / (images - 1) / (seeds - 1)
    variance, freedom = total / images / seeds, total**2 / below
    for square, degrees in ((ms_image, images - 1), (ms_seed, seeds - 1)):
        if variance < square / images / seeds:
            variance, freedom = square / images / seeds, degrees
    half = stats.t.ppf(0.975, freedom) * math.sqrt(variance)
    return mean - half, mean + half, 2 * stats.t.sf(abs(mean) / math.sqrt(variance), freedom)


@pytest.mark.parametrize(("image", "seed", "rest"), [(0.1, 0.1, 0.1), (1, 0.01, 0.1), (0.01, 1, 0.1), (0, 0, 1)])
@pytest.mark.parametrize(("images", "seeds"), [(3, 3), (5, 3), (20, 5), (100, 10)])
def test_paired_seeds_are_the_crossed_variance_and_the_t_test_over_seeds(images, seeds, image, seed, rest):
    rng = np.random.default_rng(images + seeds)
    d = 0.05 + image * rng.normal(size=(images, 1)) + seed * rng.normal(size=(1, seeds))
    d = d + rest * rng.normal(size=(images, seeds))
    base = rng.normal(28, 3, (images, seeds))
    found = difference(base, base + d, pairs=True)
    low, high, p = crossed_by_hand(d)
    over_seeds = stats.ttest_1samp(d.mean(0), 0)
    assert found.crossed == pytest.approx((low, high), abs=1e-9)
    assert found.p == pytest.approx(max(p, over_seeds.pvalue), abs=1e-9)
    interval = over_seeds.confidence_interval(0.95) if over_seeds.pvalue > p else (low, high)
    assert (found.low, found.high) == pytest.approx(tuple(interval), abs=1e-9)
    assert found.basis == ("seeds" if over_seeds.pvalue > p else "images and seeds")


@given(values, values)
def test_over_independent_seeds_it_is_never_surer_than_welch(a, b):
    if np.ptp(a) < 1e-2 or np.ptp(b) < 1e-2:
        return
    texture = np.linspace(0, 1, 5)[:, None]
    found = difference(np.array(a)[None] + texture, np.array(b)[None] + texture, pairs=False)
    wanted = stats.ttest_ind(b, a, equal_var=False)
    assert found.mean == pytest.approx(np.mean(b) - np.mean(a))
    assert found.p >= wanted.pvalue - 1e-9
    parts = [Variance(np.var(side, ddof=1) / len(side), np.float64(len(side) - 1)) for side in (a, b)]
    assert combined(parts).freedom == pytest.approx(wanted.df)  # Satterthwaite's of two means is Welch's


def test_without_spread_a_difference_is_certain():
    assert (one_run([0.5] * 3).low, one_run([0.5] * 3).p, one_run([0.0] * 3).p) == (0.5, 0, 1)
    flat = np.full((4, 3), 30.0)
    assert difference(flat, flat + 1, pairs=True).p == difference(flat, flat + 1, pairs=False).p == 0
    assert difference(flat, flat, pairs=True).p == difference(flat, flat, pairs=False).p == 1


def test_too_few_images_or_seeds_have_no_interval():
    rng = np.random.default_rng(0)
    for images, seeds in ((1, 1), (2, 1), (1, 3), (2, 3), (20, 2)):
        a, b = rng.normal(size=(2, images, seeds))
        for pairs in (True, False):
            found = difference(a, b, pairs=pairs)
            assert (found.low, found.high, found.crossed) == (None, None, None) and 0 < found.p <= 1
    assert one_run([0.5]).p == 1 and deviation([0.5]) is None and deviation([1, 3]) == pytest.approx(math.sqrt(2))


def test_one_run_against_several_is_compared_with_each():
    rng = np.random.default_rng(0)
    a, b = rng.normal(28, 3, (30, 1)), rng.normal(29, 3, (30, 4))
    one, many = difference(a, b, pairs=False), difference(np.repeat(a, 4, axis=1), b, pairs=True)
    assert (one.mean, one.low, one.high, one.p) == pytest.approx((many.mean, many.low, many.high, many.p))


@given(st.lists(st.sampled_from([-math.inf, -1.0, 0.0, 0.5, math.inf]), min_size=1, max_size=30))
def test_signs_are_counted_and_tested_as_by_the_binomial_test(differences):
    found = sign_test(differences)
    assert found.better + found.worse + found.equal == len(differences)
    assert found.equal == differences.count(0.0)
    wanted = stats.binomtest(found.better, found.better + found.worse).pvalue if found.better + found.worse else 1
    assert found.p == pytest.approx(wanted)


def test_five_of_five_is_one_in_sixteen():
    assert sign_test([1, 2, 3, 4, 5]).p == pytest.approx(1 / 16)


def test_holm_by_hand_and_as_scipy_would_order_it():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.9]) == [1, 1] and holm([]) == [] and holm([0.03]) == [0.03]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.randoms())
def test_holm_only_raises_and_does_not_mind_the_order(probabilities, random):
    corrected = holm(probabilities)
    assert all(low <= high <= 1 for low, high in zip(probabilities, corrected, strict=True))
    order = list(range(len(probabilities)))
    random.shuffle(order)
    assert holm([probabilities[index] for index in order]) == [corrected[index] for index in order]


# Differences between two networks over images: a few images gain much, most a little (or lose: the mirror images).
SHAPES = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy tails": lambda rng, size: rng.standard_t(5, size),
    "skewed": lambda rng, size: rng.gamma(4, size=size) - 4,
    "skewed the other way": lambda rng, size: 4 - rng.gamma(4, size=size),
    "lognormal": lambda rng, size: rng.lognormal(0, 0.5, size) - math.exp(0.125),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("n", "least", "most"), [(100, 0.93, 0.97), (5, 0.90, 0.97)])
def test_the_interval_holds_the_truth_as_often_as_it_says(shape, n, least, most):
    rng = np.random.default_rng(7)
    trials = 0.05 + 0.1 * SHAPES[shape](rng, (1500, n))
    found = [one_run(trial) for trial in trials]
    covered = np.mean([item.low <= 0.05 <= item.high for item in found])
    assert least <= covered <= most
    assert np.mean([item.p < 0.05 for item in map(one_run, trials[:300] - 0.05)]) <= 0.12  # false alarms


SEEDS, IMAGES, RATIOS = (2, 3, 5, 10), (5, 20, 100), (0.02, 0.1, 0.3, 1, 3, 10)
RESTS = (0.1, 1, 10)
GRID = list(itertools.product(SEEDS, IMAGES, RATIOS, RESTS))
MOST = 0.06


def false_alarms(seeds, images, ratio, rest, *, trials, pairs, rng):
    """Share of p < 0.05 where both arms are equally good; `ratio`: variance of seeds over that of images."""

    def one_side(share):
        seed = math.sqrt(ratio * share) * rng.normal(size=(trials, 1, seeds))
        return seed + math.sqrt(rest * share) * rng.normal(size=(trials, images, seeds))

    base = rng.normal(28, 3, (trials, images, 1))
    own = rng.normal(size=(trials, images, 1))  # what the method does to each image
    a, b = (base, base + own + one_side(1)) if pairs else (base + one_side(0.5), base + own + one_side(0.5))
    a = np.broadcast_to(a, b.shape)
    return np.mean([difference(*pair, pairs=pairs).p < 0.05 for pair in zip(a, b, strict=True)])


@pytest.mark.parametrize("pairs", [True, False])
@pytest.mark.parametrize("cell", GRID[4::10])  # a tenth of the whole
def test_equal_arms_are_called_different_at_most_as_often_as_promised(cell, pairs):
    rate = false_alarms(*cell, trials=1500, pairs=pairs, rng=np.random.default_rng(GRID.index(cell)))
    assert rate <= MOST + 2.5 * math.sqrt(0.06 * 0.94 / 1500)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("pairs", [True, False])
def test_equal_arms_are_called_different_at_most_as_often_as_promised_everywhere(pairs):
    rates = {}
    for cell in GRID:
        rng = np.random.default_rng(GRID.index(cell))
        rates[cell] = false_alarms(*cell, trials=4000, pairs=pairs, rng=rng)
        if rates[cell] > MOST:  # chance, or too often? a larger sample tells
            rates[cell] = false_alarms(*cell, trials=40_000, pairs=pairs, rng=rng)
    assert max(rates.values()) <= MOST


def output_distillation():
    """As many images and seeds, and differences that vary as those of output distillation on Urban100 ."""
    file = Path(__file__).parents[2] / "docs/results/distillation_x4_cpu-evening/benchmark.json"
    sides = [read_arms([f"arm={file}:{name}_edsr*"])[0] for name in ("scratch", "output_kd")]
    images = sorted(key for key in sides[0].runs[0].rows if key[0] == "Urban100")
    return [np.array([[run.rows[at].metrics["psnr"] for run in side.runs] for at in images]) for side in sides]


def test_a_twentieth_of_a_decibel_is_found_at_output_distillations_spread():
    spread = spread_of(*output_distillation(), pairs=True)
    assert (spread.images, spread.sides[0][0]) == (100, 3)
    assert power(spread, 0.05) >= 0.95 and seeds_needed(spread, 0.05) == 3
    # the same with whole matrices: what power draws from the distributions of mean squares
    (count, seed, rest), rng = spread.sides[0], np.random.default_rng(5)
    found = 0
    for _ in range(400):
        d = 0.05 + math.sqrt(spread.image) * rng.normal(size=(100, 1)) + math.sqrt(seed) * rng.normal(size=(1, count))
        d = d + math.sqrt(rest) * rng.normal(size=(100, count))
        found += difference(np.zeros_like(d), d, pairs=True).p < 0.05
    assert found / 400 >= 0.95


@pytest.mark.parametrize("pairs", [True, False])
def test_power_is_what_the_test_does(pairs):
    rng = np.random.default_rng(1)
    d = rng.normal(size=(40, 1)) * 0.05 + rng.normal(size=(1, 4)) * 0.04 + rng.normal(size=(40, 4)) * 0.05
    base = np.linspace(24, 34, 40)[:, None] + rng.normal(size=(1, 4)) * 0.02
    spread = spread_of(base, base + d, pairs=pairs)
    sides = spread.sides
    found = 0
    for _ in range(600):
        own = 0.08 + math.sqrt(spread.image) * rng.normal(size=(40, 1))
        drawn = [
            math.sqrt(seed) * rng.normal(size=(1, count)) + math.sqrt(rest) * rng.normal(size=(40, count))
            for count, seed, rest in sides
        ]
        a, b = (np.zeros((40, 4)), own + drawn[0]) if pairs else (drawn[1], own + drawn[0])
        found += difference(a, b, pairs=pairs).p < 0.05
    assert power(spread, 0.08) == pytest.approx(found / 600, abs=0.06)
    assert power(spread, 0.0) <= 0.06 and power(spread, 5.0) == 1
    assert seeds_needed(spread, 1e-6) is None and spread_of(base[:, :1], base[:, :1] + d, pairs=True) is not None
    assert spread_of(base[:, :1], base[:, 1:2], pairs=True) is None
