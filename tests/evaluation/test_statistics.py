import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from srkd.evaluation.statistics import holm, paired, sign_test, spread, welch

values = st.lists(st.floats(-5, 5).map(lambda value: round(value, 3)), min_size=2, max_size=12)


def test_a_small_example_by_hand():
    found = paired([0.1, 0.2, 0.3])  # mean 0.2, sd 0.1, standard error 0.057735, t(2, 0.975) = 4.302653
    assert found.mean == pytest.approx(0.2)
    assert found.low == pytest.approx(0.2 - 4.302653 * 0.057735, abs=1e-6)
    assert found.high == pytest.approx(0.2 + 4.302653 * 0.057735, abs=1e-6)
    assert found.p == pytest.approx(0.0741799, abs=1e-6)


@given(values)
def test_paired_is_the_one_sample_t_test(differences):
    found = paired(differences)
    if np.ptp(differences) < 1e-3:
        return
    wanted = stats.ttest_1samp(differences, 0)
    interval = wanted.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-9)
    assert found.p == pytest.approx(wanted.pvalue, abs=1e-9)


@given(values, values)
def test_welch_is_the_t_test_with_unequal_variances(a, b):
    if np.ptp(a) < 1e-3 or np.ptp(b) < 1e-3:
        return
    found, wanted = welch(a, b), stats.ttest_ind(b, a, equal_var=False)
    interval = wanted.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=1e-9)
    assert found.p == pytest.approx(wanted.pvalue, abs=1e-9)


def test_without_spread_a_difference_is_certain():
    assert (paired([0.5, 0.5]).low, paired([0.5, 0.5]).p, paired([0.0, 0.0]).p) == (0.5, 0, 1)
    assert (welch([1, 1], [3, 3]).high, welch([1, 1], [3, 3]).p, welch([1, 1], [1, 1]).p) == (2, 0, 1)
    half = 12.706205  # t(1, 0.975) times the standard error of [2, 4], which is 1
    assert (welch([1, 1], [2, 4]).low, welch([1, 1], [2, 4]).high) == pytest.approx((2 - half, 2 + half), abs=1e-5)


def test_one_value_has_no_interval():
    found = paired([0.5])
    assert (found.mean, found.low, found.high, found.p) == (0.5, None, None, 1)
    assert spread([0.5]) is None and spread([1, 3]) == pytest.approx(math.sqrt(2))


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
    found = [paired(trial) for trial in trials]
    covered = np.mean([item.low <= 0.05 <= item.high for item in found])
    assert least <= covered <= most
    assert np.mean([item.p < 0.05 for item in map(paired, trials[:300] - 0.05)]) <= 0.12  # false alarms


def test_the_interval_over_three_runs_holds_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(7)
    a, b = rng.normal(30, 0.02, (1500, 3)), rng.normal(30.05, 0.04, (1500, 3))
    found = [welch(*pair) for pair in zip(a, b, strict=True)]
    assert 0.93 <= np.mean([item.low <= 0.05 <= item.high for item in found]) <= 0.98
