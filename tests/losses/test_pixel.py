"""Pixel losses: each equals an independent float64 evaluation; by hand; what they do not depend on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from srkd.registry import LOSSES


def spectrum(d):
    """The lengths of the orthonormal discrete Fourier transform, written out."""
    rows, columns = (np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n) / np.sqrt(n) for n in d.shape[2:])
    return np.abs(np.einsum("ij,bcjk,kl->bcil", rows, d, columns)).mean()


def bands(d, levels=3):
    total = 0.0
    for _ in range(levels):
        a, b, c, e = (d[..., i::2, j::2] for i in (0, 1) for j in (0, 1))
        total += np.mean(np.abs([a - b + c - e, a + b - c - e, a - b - c + e])) / 2
        d = (a + b + c + e) / 2
    return total


FORMULAS = {
    "L1Loss": [({}, lambda d: np.abs(d).mean())],
    "MSELoss": [({}, lambda d: (d**2).mean())],
    "CharbonnierLoss": [({"eps": 1e-3}, lambda d: np.sqrt(d**2 + 1e-3).mean())],
    "FrequencyLoss": [
        ({"frequency_weight": 0.3}, lambda d: np.abs(d).mean() + 0.3 * spectrum(d)),
        ({"transform": "haar", "frequency_weight": 0.3}, lambda d: np.abs(d).mean() + 0.3 * bands(d)),
    ],
}
CASES = [(name, *case) for name, every in FORMULAS.items() for case in every]


def test_every_pixel_loss_is_here_and_every_file_of_losses_has_its_tests():
    assert {*FORMULAS} == {*LOSSES.names()}
    here = Path(__file__).parent
    told = "".join(file.read_text() for file in here.glob("test_*.py")) + "srkd.losses.pixel"
    files = (here.parents[1] / "srkd/losses").glob("[!_]*.py")
    assert [file.stem for file in files if f"srkd.losses.{file.stem}" not in told] == []


@pytest.mark.parametrize(("name", "options", "formula"), CASES)
def test_formula(name, options, formula, rng):
    a, b = rng.normal(size=(2, 2, 3, 8, 16))
    mean, total = (LOSSES.get(name)(**options, reduction=reduction) for reduction in ("mean", "sum"))
    sr, gt = torch.tensor(a, requires_grad=True), torch.tensor(b)
    assert mean(sr, gt).item() == pytest.approx(formula(a - b), rel=1e-9)
    assert total(sr, gt).item() == pytest.approx(formula(a - b) * a.size, rel=1e-9)
    assert (
        mean.loss_weight == 1 and LOSSES.get(name)(loss_weight=0.5)(sr, gt).item() > 0
    )  # the raw value is weighted later
    same = mean(gt, gt).item()
    assert same == pytest.approx(formula(0 * a), abs=1e-6)
    shifted = mean(sr + 2, gt + 2).item()
    assert shifted == pytest.approx(mean(sr, gt).item(), rel=1e-9)
    assert mean(gt, sr).item() == pytest.approx(mean(sr, gt).item(), rel=1e-12)
    assert torch.autograd.gradcheck(
        lambda x: mean(x, gt[:1, :1, :4, :4]), (sr[:1, :1, :4, :4].detach().requires_grad_(),)
    )


def test_by_hand():
    sr, gt = torch.tensor([[[[1.0, 4.0]]]]), torch.tensor([[[[2.0, 1.0]]]])
    assert LOSSES.get("L1Loss")()(sr, gt).item() == 2 and LOSSES.get("MSELoss")()(sr, gt).item() == 5
    assert LOSSES.get("CharbonnierLoss")(eps=7.0)(sr, gt).item() == pytest.approx((8**0.5 + 4) / 2)
