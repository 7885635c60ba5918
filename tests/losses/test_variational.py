"""PISR's variational loss: the authors' numbers, by hand, against SciPy's densities."""

import math

import numpy as np
import pytest
import scipy.stats
import torch

from srkd.losses.variational import variational_distance


@pytest.mark.parametrize("distribution", ["laplace", "gaussian"])
def test_authors_vectors(shared_data, distribution):
    """What the papers' own code gives, values (with its constant) and gradients, in float64."""
    z = np.load(shared_data / "vectors" / "pisr_vid.npz")
    mean = torch.tensor(z["mu"], requires_grad=True)
    raw = torch.tensor(z["raw_scale"], requires_grad=True)
    value = variational_distance(mean, raw, torch.tensor(z["teacher"]), distribution)
    assert value.item() + float(z["constant"]) == pytest.approx(float(z[distribution]), rel=1e-10)
    value.backward()
    np.testing.assert_allclose(mean.grad.numpy(), z[f"{distribution}_grad_mu"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(raw.grad.numpy(), z[f"{distribution}_grad_raw"], rtol=1e-10, atol=1e-12)


def one(value):
    return torch.tensor([[[[value]]]], dtype=torch.float64)


def test_hand_computed():
    raw = math.log(math.e - 1)  # softplus 1
    b, v = 0.1 + 1e-8, 0.001 + 1e-8
    laplace = variational_distance(one(0.5), one(raw), one(0.2))
    assert laplace.item() == pytest.approx(math.log(2 * b) + 0.3 / b, rel=1e-12)
    gaussian = variational_distance(one(0.5), one(raw), one(0.2), "gaussian")
    assert gaussian.item() == pytest.approx(math.log(v) / 2 + 0.09 / (2 * v), rel=1e-12)


@pytest.mark.parametrize("distribution", ["laplace", "gaussian"])
def test_is_minus_the_log_density(distribution, rng):
    mean, raw, teacher = rng.normal(size=(3, 2, 4, 3, 3))
    softplus = np.log1p(np.exp(raw))
    if distribution == "laplace":
        expected = -scipy.stats.laplace(mean, 0.1 * softplus + 1e-8).logpdf(teacher).mean()
    else:  # the density's constant log(2π)/2 is left out
        density = scipy.stats.norm(mean, np.sqrt(0.001 * softplus + 1e-8))
        expected = -density.logpdf(teacher).mean() - math.log(2 * math.pi) / 2
    ours = variational_distance(torch.tensor(mean), torch.tensor(raw), torch.tensor(teacher), distribution)
    assert ours.item() == pytest.approx(expected, rel=1e-10)


def test_floor_keeps_it_finite():
    """A scale that has collapsed and a perfect prediction: the loss is bounded below, the gradient finite."""
    for distribution in ("laplace", "gaussian"):
        raw = one(-1000.0).float().requires_grad_()
        value = variational_distance(one(0.3).float(), raw, one(0.3).float(), distribution)
        value.backward()
        assert value.item() >= math.log(1e-8) and torch.isfinite(raw.grad).all()


def test_teacher_gets_no_gradient_and_half_precision_is_fp32():
    teacher = torch.rand(1, 2, 3, 3, requires_grad=True)
    mean = torch.rand(1, 2, 3, 3).bfloat16().requires_grad_()
    value = variational_distance(mean, torch.rand(1, 2, 3, 3), teacher)
    value.backward()
    assert teacher.grad is None and mean.grad is not None and value.dtype == torch.float32
