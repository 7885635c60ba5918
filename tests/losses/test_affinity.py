"""FAKD's affinity: the authors' numbers, by hand, against NumPy, and blocks against the whole."""

from typing import ClassVar

import numpy as np
import pytest
import torch

from srkd.losses.affinity import affinity_distance, normalised_positions, spatial_affinity


def naive(s, t, pool=1):
    return (spatial_affinity(s, pool=pool) - spatial_affinity(t, pool=pool)).abs().mean()


@pytest.mark.parametrize("block", [1, 500, 2**23])
def test_authors_vectors(shared_data, block):
    """What the papers' own code gives, values and gradients, in float64."""
    z = np.load(shared_data / "vectors" / "fakd_affinity.npz")
    student = [torch.tensor(z[f"student_{i}"], requires_grad=True) for i in range(3)]
    layers = [affinity_distance(s, torch.tensor(z[f"teacher_{i}"]), block=block) for i, s in enumerate(student)]
    np.testing.assert_allclose([layer.item() for layer in layers], z["per_layer"], rtol=1e-10)
    total = sum(layers)
    assert total.item() == pytest.approx(float(z["total"]), rel=1e-10)
    total.backward()
    for i, tensor in enumerate(student):
        np.testing.assert_allclose(tensor.grad.numpy(), z[f"grad_student_{i}"], rtol=1e-10, atol=1e-12)
    affinity = spatial_affinity(student[0].detach())
    np.testing.assert_allclose(affinity.numpy(), z["affinity_student_0"], rtol=1e-10, atol=1e-14)


def test_hand_computed():
    """Two positions: at a right angle in the student, at 60 degrees in the teacher."""
    s = torch.tensor([[3.0, 0.0], [0.0, 2.0]], dtype=torch.float64).view(1, 2, 1, 2)
    t = torch.tensor([[1.0, 0.5], [0.0, np.sqrt(0.75)]], dtype=torch.float64).view(1, 2, 1, 2)
    assert affinity_distance(s, t).item() == pytest.approx((0 + 0.5 + 0.5 + 0) / 4, abs=1e-7)


def test_against_independent_numpy(rng):
    s, t = rng.normal(size=(2, 3, 4, 3)), rng.normal(size=(2, 5, 4, 3))
    total = 0.0
    cosine = lambda a, b: a @ b / ((np.sqrt(a @ a) + 1e-8) * (np.sqrt(b @ b) + 1e-8))  # noqa: E731
    for b, i, j in np.ndindex(2, 12, 12):
        columns = [f.reshape(2, -1, 12)[b] for f in (s, t)]
        total += abs(cosine(columns[0][:, i], columns[0][:, j]) - cosine(columns[1][:, i], columns[1][:, j]))
    assert affinity_distance(torch.tensor(s), torch.tensor(t)).item() == pytest.approx(total / 288, rel=1e-12)


@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_blocks_equal_the_whole(dtype, pool):
    """By blocks of one row, of a number of rows that does not divide N, and at once: value and gradient."""
    torch.manual_seed(0)
    s, t = torch.randn(3, 6, 8, 9, dtype=dtype), torch.randn(3, 10, 8, 9, dtype=dtype)
    whole = s.clone().requires_grad_()
    expected = naive(whole, t, pool)
    expected.backward()
    tolerance = 1e-6 if dtype == torch.float32 else 1e-14
    for block in (1, 3 * 72 * 7, 2**23):
        part = s.clone().requires_grad_()
        value = affinity_distance(part, t, pool=pool, block=block)
        assert abs(value.item() - expected.item()) <= tolerance
        (3 * value).backward()
        assert (part.grad / 3 - whole.grad).abs().max() <= tolerance


def test_gradcheck(rng):
    s = torch.tensor(rng.normal(size=(2, 3, 3, 2)), requires_grad=True)
    t = torch.tensor(rng.normal(size=(2, 4, 3, 2)))
    assert torch.autograd.gradcheck(lambda f: affinity_distance(f, t, block=20), (s,))


def test_never_holds_an_affinity(monkeypatch):
    """The largest tensor of forward and backward is a block, not [B, N, N]; all blocks share two pieces of memory."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        entries = 0
        large: ClassVar[list[torch.Tensor]] = []  # kept, so that memory is not used twice

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                self.entries = max(self.entries, result.numel())
                self.large += [result] * (result.numel() > 20_000)
            return result

    s, t = torch.randn(2, 4, 20, 20, requires_grad=True), torch.randn(2, 4, 20, 20)
    with Largest() as mode:
        affinity_distance(s, t, block=40_000).backward()
    assert mode.entries == 40_000
    assert len({tensor.untyped_storage().data_ptr() for tensor in mode.large}) == 2


def test_invariances(rng):
    s, t = torch.tensor(rng.normal(size=(2, 5, 4, 4))), torch.tensor(rng.normal(size=(2, 7, 4, 4)))
    reference = affinity_distance(s, t)
    assert reference.item() > 0
    torch.testing.assert_close(affinity_distance(s[:, torch.tensor([4, 2, 0, 1, 3])], t), reference)
    torch.testing.assert_close(affinity_distance(255 * s, 0.1 * t), reference)
    assert affinity_distance(s, s).item() == 0


def test_a_position_that_is_zero_has_a_finite_gradient():
    s = torch.randn(1, 3, 2, 2)
    s[..., 0, 0] = 0
    s.requires_grad_()
    affinity_distance(s, torch.randn(1, 3, 2, 2)).backward()
    assert torch.isfinite(s.grad).all()


def test_norm_is_fp32_in_half_precision():
    f = 300 * torch.ones(1, 64, 2, 2, dtype=torch.float16)  # the square of its length is beyond fp16
    with torch.autocast("cpu", dtype=torch.bfloat16):
        unit = normalised_positions(f)
        value = affinity_distance(f, torch.rand(1, 8, 2, 2).bfloat16())
    assert unit.dtype == value.dtype == torch.float32
    torch.testing.assert_close(unit, torch.full_like(unit, 1 / 8))
