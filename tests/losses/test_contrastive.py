"""The contrastive loss against the authors' numbers, hand-computed values, and an independent evaluation."""

import numpy as np
import pytest
import torch

from srkd.losses.contrastive import contrastive_loss, draw_negatives, first_negatives


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
