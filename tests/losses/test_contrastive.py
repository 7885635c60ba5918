"""The contrastive loss against the authors' numbers, hand-computed values, and an independent evaluation."""

import numpy as np
import pytest
import torch

from srkd.losses.contrastive import contrastive_loss, draw_negatives, first_negatives, summed_distances


def test_authors_vectors(shared_data):
    """What the papers' own code gives, values and gradients, in float64."""
    z = np.load(shared_data / "vectors" / "csd_contrast.npz")
    student = [torch.tensor(z[f"student_{i}"], requires_grad=True) for i in range(5)]
    positive = [torch.tensor(z[f"teacher_{i}"]) for i in range(5)]
    negatives = [torch.tensor(z[f"negative_{i}"]) for i in range(5)]
    index = first_negatives(4, 3)
    loss = contrastive_loss(
        student, positive, negatives=negatives, index_BK=index, weights=z["weights"].tolist(), per_image=False
    )
    assert loss.item() == pytest.approx(float(z["total"]), rel=1e-10)
    loss.backward()
    for i, tensor in enumerate(student):
        assert tensor.grad is not None
        np.testing.assert_allclose(tensor.grad.numpy(), z[f"grad_student_{i}"], rtol=1e-10, atol=1e-12)


def test_hand_computed():
    s = torch.tensor([[[[0.0, 2.0]]]], dtype=torch.float64)
    p = torch.tensor([[[[1.0, 2.0]]]], dtype=torch.float64)  # mean distance 0.5
    n = torch.tensor([[[[4.0, 2.0]]], [[[0.0, 6.0]]]], dtype=torch.float64)  # 2 and 2, sum 4
    loss = contrastive_loss([s], [p], negatives=[n], index_BK=torch.tensor([[0, 1]]), weights=[3.0])
    assert loss.item() == pytest.approx(3 * 0.5 / (4 + 1e-7), rel=1e-12)


@pytest.mark.parametrize("per_image", [True, False])
def test_against_independent_numpy(per_image, rng):
    B, K, shapes, weights = 5, 3, [(4, 6, 5), (7, 3, 2)], [0.3, 1.1]
    s, p, n = ([rng.normal(size=(B, *shape)) for shape in shapes] for _ in range(3))
    index = np.stack([rng.permutation(B)[:K] for _ in range(B)])
    expected = 0.0
    for layer, weight in enumerate(weights):
        near = np.array([np.mean(np.abs(s[layer][b] - p[layer][b])) for b in range(B)])
        far = np.array([sum(np.mean(np.abs(s[layer][b] - n[layer][k])) for k in index[b]) for b in range(B)])
        expected += weight * (np.mean(near / (far + 1e-7)) if per_image else near.mean() / (far.mean() + 1e-7))
    to = lambda arrays: [torch.tensor(array) for array in arrays]  # noqa: E731
    loss = contrastive_loss(
        to(s), to(p), negatives=to(n), index_BK=torch.tensor(index), weights=weights, per_image=per_image
    )
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def plain(s, n, index):
    """The sum as it is written, left to autograd."""
    return torch.stack([(s - n[chosen]).abs().mean(dim=(1, 2, 3)) for chosen in index.unbind(dim=1)]).sum(dim=0)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("shape", [(3, 4, 5, 6), (2, 8, 70, 300)], ids=["within a chunk", "several chunks"])
def test_one_pass_equals_the_plain_sum(rng, layout, dtype, tolerance, shape):
    s, n = (torch.tensor(rng.normal(size=shape), dtype=dtype).contiguous(memory_format=layout) for _ in range(2))
    n[0, 0, 0, 0] = s[1, 0, 0, 0]  # a tie: no gradient from it
    index, weight = torch.tensor([[1, 0, 1]] * shape[0]), torch.tensor(rng.normal(size=shape[0]), dtype=dtype)
    results = []
    for distance in (summed_distances, plain):
        leaf = s.clone(memory_format=torch.preserve_format).requires_grad_()
        value = distance(leaf, n, index)
        (gradient,) = torch.autograd.grad((weight * value).sum(), leaf)
        results.append((value.detach(), gradient))
    (value, gradient), (expected, expected_gradient) = results
    assert torch.allclose(value, expected, rtol=tolerance, atol=0)
    assert (gradient - expected_gradient).norm() <= tolerance * expected_gradient.norm()


def test_layouts_may_differ(rng):
    s, n = (torch.tensor(rng.normal(size=(2, 3, 4, 5))) for _ in range(2))
    index, last = torch.tensor([[1], [0]]), torch.channels_last
    expected = plain(s, n, index)
    assert torch.allclose(summed_distances(s.contiguous(memory_format=last), n, index), expected)
    assert torch.allclose(summed_distances(s, n.contiguous(memory_format=last), index), expected)


def test_one_pass_keeps_a_byte_an_element(rng):
    s = torch.tensor(rng.normal(size=(4, 3, 8, 8)), requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append((x.dtype, x.numel())) or x, lambda x: x):
        summed_distances(s, s.detach().flip(0), torch.tensor([[1, 2, 3]] * 4))
    assert (torch.int8, s.numel()) in kept and not any(dtype.is_floating_point for dtype, size in kept if size > 4)


def test_more_negatives_than_a_byte_counts(rng):
    s, n = torch.zeros(1, 1, 1, 2, requires_grad=True), torch.ones(1, 1, 1, 2)
    summed_distances(s, n, torch.zeros(1, 200, dtype=torch.int64)).sum().backward()
    assert s.grad is not None and s.grad.tolist() == [[[[-100.0, -100.0]]]]


def test_zero_for_identical_and_free_of_scale(rng):
    s, p, n = (torch.tensor(rng.normal(size=(3, 4, 5, 5))) for _ in range(3))
    index = torch.tensor([[1, 2], [0, 2], [0, 1]])
    assert contrastive_loss([s], [s], negatives=[n], index_BK=index, weights=[1.0]).item() == 0
    one = contrastive_loss([s], [p], negatives=[n], index_BK=index, weights=[1.0])
    scaled = contrastive_loss([255 * s], [255 * p], negatives=[255 * n], index_BK=index, weights=[1.0])
    assert scaled.item() == pytest.approx(one.item(), rel=1e-6)


def test_drawn_negatives_are_distinct_others_and_all_occur():
    torch.manual_seed(0)
    seen = torch.zeros(6, 6, dtype=torch.int64)
    for _ in range(200):
        index = draw_negatives(6, 3)
        assert index.shape == (6, 3)
        for anchor, row in enumerate(index.tolist()):
            assert anchor not in row and len(set(row)) == 3
            seen[anchor, row] += 1
    assert (seen + torch.eye(6, dtype=torch.int64) * 1000).min() > 60  # 200 · 3/5 = 120 expected


def test_too_many_negatives_names_both_numbers():
    with pytest.raises(ValueError, match=r"=8.*batch size = 8"):
        draw_negatives(8, 8)
    with pytest.raises(ValueError, match=r"=9.*batch size \(= 8\)"):
        first_negatives(8, 9)
    assert draw_negatives(8, 7).shape == (8, 7) and first_negatives(8, 8).shape == (8, 8)
