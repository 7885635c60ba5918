"""SRKD's statistics: by hand, against NumPy, and what they do not depend on."""

import numpy as np
import pytest
import torch

from srkd.losses.statistics import channel_statistic, statistic_distance

F = torch.tensor([1.0, -3.0, 4.0], dtype=torch.float64).view(1, 3, 1, 1)


@pytest.mark.parametrize(
    ("statistic", "power", "keep_sign", "expected"),
    [
        ("mean", 1, False, 2 / 3),
        ("mean", 2, False, 4 / 9),
        ("mean", 3, False, 8 / 27),
        ("mean_of_power", 2, False, 26 / 3),
        ("mean_of_power", 2, True, 8 / 3),  # 1 - 9 + 16
        ("mean_of_power", 3, False, 38 / 3),  # 1 - 27 + 64
        ("max", 2, False, 4.0),
        ("min", 2, False, -3.0),
    ],
)
def test_hand_computed(statistic, power, keep_sign, expected):
    assert channel_statistic(F, statistic, power=power, keep_sign=keep_sign).item() == pytest.approx(expected)


def test_sign_is_kept():
    assert channel_statistic(-F, power=2).item() == pytest.approx(4 / 9)
    assert channel_statistic(-F, power=2, keep_sign=True).item() == pytest.approx(-4 / 9)
    assert channel_statistic(-F, power=1, keep_sign=True).item() == pytest.approx(-2 / 3)


@pytest.mark.parametrize("norm", ["mse", "l1"])
@pytest.mark.parametrize("statistic", ["mean", "mean_of_power", "max", "min"])
@pytest.mark.parametrize("power", [1, 2, 3, 4])
def test_against_independent_numpy(statistic, power, norm, rng):
    s, t = rng.normal(size=(2, 5, 4, 3)), rng.normal(size=(2, 9, 4, 3))

    def one(f, b, i, j):
        column = [f[b, c, i, j] for c in range(f.shape[1])]
        return {
            "mean": (sum(column) / len(column)) ** power,
            "mean_of_power": sum(value**power for value in column) / len(column),
            "max": max(column),
            "min": min(column),
        }[statistic]

    differences = [one(s, *at) - one(t, *at) for at in np.ndindex(2, 4, 3)]
    expected = np.mean(np.square(differences) if norm == "mse" else np.abs(differences))
    ours = statistic_distance(torch.tensor(s), torch.tensor(t), statistic=statistic, power=power, norm=norm)
    assert ours.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("keep_sign", [True, False])
@pytest.mark.parametrize("statistic", ["mean", "mean_of_power", "max", "min"])
def test_gradient_and_invariance(statistic, keep_sign, rng):
    s = torch.tensor(rng.normal(size=(2, 4, 3, 2)), requires_grad=True)
    t = torch.tensor(rng.normal(size=(2, 6, 3, 2)))
    distance = lambda f: statistic_distance(f, t, statistic=statistic, power=3, keep_sign=keep_sign)  # noqa: E731
    assert torch.autograd.gradcheck(distance, (s,))
    shuffled = s[:, torch.tensor([2, 0, 3, 1])]
    torch.testing.assert_close(distance(shuffled), distance(s), rtol=1e-12, atol=0)
    assert statistic_distance(t, t, statistic=statistic).item() == 0


def test_fp32_under_bf16():
    s, t = torch.rand(1, 4, 3, 3).bfloat16(), torch.rand(1, 8, 3, 3).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert statistic_distance(s, t).dtype == torch.float32
