"""The family's losses: each equals an independent float64 evaluation of its formula; hand values; invariances."""

import itertools

import numpy as np
import pytest
import torch

from srkd.losses.attention import attention_distance
from srkd.losses.exact import exact
from srkd.losses.flow import flow_distance
from srkd.losses.frequency import fourier_distance, haar, haar_distance
from srkd.losses.neurons import neuron_distance
from srkd.losses.patches import patch_embeddings
from srkd.losses.probability import probability_distance
from srkd.losses.relations import change_distance, edge_distance, relation_distance
from srkd.losses.representation import representation_distance
from srkd.losses.similarity import similarity_distance


@pytest.fixture
def maps():
    torch.manual_seed(0)
    return torch.randn(3, 4, 5, 6, dtype=torch.float64), torch.randn(3, 7, 5, 6, dtype=torch.float64)


@pytest.fixture
def rows():
    torch.manual_seed(1)
    return torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 4, dtype=torch.float64)


def test_attention(maps):
    expected = []
    for s, t in zip(*(m.numpy() for m in maps), strict=True):
        unit = [(f**2).sum(0) / (np.linalg.norm((f**2).sum(0)) + 1e-6) for f in (s, t)]
        expected.append(((unit[0] - unit[1]) ** 2).sum())
    assert attention_distance(*maps).item() == pytest.approx(np.mean(expected), rel=1e-12)
    s, _ = maps
    assert attention_distance(s, 3 * s.flip(1)).item() == pytest.approx(0, abs=1e-9)  # order and scale of channels
    one = torch.zeros(1, 1, 1, 2, dtype=torch.float64)
    assert attention_distance(one + torch.tensor([1.0, 0]), one + torch.tensor([0, 1.0])).item() == pytest.approx(
        2, 1e-5
    )


def test_neurons(maps):
    def kernel(a, b):
        return np.mean([(x @ y / np.linalg.norm(x) / np.linalg.norm(y)) ** 2 for x in a for y in b])

    expected = []
    for s, t in zip(*(m.flatten(2).numpy() for m in maps), strict=True):
        expected.append(kernel(s, s) + kernel(t, t) - 2 * kernel(s, t))
    assert neuron_distance(*maps).item() == pytest.approx(np.mean(expected), rel=1e-12)
    assert neuron_distance(maps[0], -2 * maps[0].flip(1)).item() == pytest.approx(0, abs=1e-12)


def test_flow(maps):
    s, t = maps[0], maps[0].flip(3)
    u, v = maps[1], maps[1] * 0.5 + 1
    expected = 0.0
    for b, c, d in itertools.product(range(3), range(4), range(7)):
        ours = (s[b, c] * u[b, d]).sum() / 30
        theirs = (t[b, c] * v[b, d]).sum() / 30
        expected += float((ours - theirs) ** 2) / (3 * 4 * 7)
    assert flow_distance(s, u, t, v).item() == pytest.approx(expected, rel=1e-12)
    assert flow_distance(s, u, s.clone(), u.clone()).item() == 0


def test_probability(rows):
    def probabilities(e):
        unit = e / np.linalg.norm(e, axis=1, keepdims=True)
        k = (unit @ unit.T + 1) / 2
        np.fill_diagonal(k, 0)
        return k / (k.sum(1, keepdims=True) + 1e-7)

    ours, theirs = (probabilities(e.numpy()) for e in rows)
    expected = (theirs * np.log((theirs + 1e-7) / (ours + 1e-7))).sum() / 5
    assert probability_distance(*rows).item() == pytest.approx(expected, rel=1e-10)
    rotation = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    assert probability_distance(rows[0], 2 * rows[0] @ rotation).item() == pytest.approx(0, abs=1e-9)


def distances(e):
    d = np.array(
        [[np.sqrt(((a - b) ** 2).sum() + 1e-8) if i != j else 0 for j, b in enumerate(e)] for i, a in enumerate(e)]
    )
    n = len(e)
    return d / (d.sum() / (n * (n - 1)))


def huber(x):
    return np.where(np.abs(x) < 1, 0.5 * x**2, np.abs(x) - 0.5)


def test_relations(rows):
    ours, theirs = (e.numpy() for e in rows)
    expected = huber(distances(ours) - distances(theirs)).mean()
    assert relation_distance(*rows, angle_weight=0).item() == pytest.approx(expected, rel=1e-7)

    def angle(e, i, j, k):
        a, b = e[i] - e[j], e[k] - e[j]
        length = np.linalg.norm(a) * np.linalg.norm(b)
        return a @ b / length if length else 0.0

    all_three = itertools.product(range(5), repeat=3)
    expected = np.mean([huber(angle(ours, i, j, k) - angle(theirs, i, j, k)) for i, j, k in all_three])
    assert relation_distance(*rows, distance_weight=0).item() == pytest.approx(2 * expected, rel=1e-7)
    rotation = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    assert relation_distance(rows[0], 5 * rows[0] @ rotation + 2).item() == pytest.approx(0, abs=1e-8)


def test_edges_and_their_change(rows):
    ours, theirs = (e.numpy() for e in rows)
    expected = ((distances(ours) - distances(theirs)) ** 2).mean()
    assert edge_distance(*rows).item() == pytest.approx(expected, rel=1e-6)
    later, other = rows[0] ** 2, rows[1].flip(0)
    ours, theirs = distances(later.numpy()) - distances(ours), distances(other.numpy()) - distances(theirs)
    expected = ((ours - theirs) ** 2).mean()
    assert change_distance(rows[0], later, rows[1], other).item() == pytest.approx(expected, rel=1e-6)


def test_similarity(maps):
    def similarity(f):
        g = f.flatten(1).numpy() @ f.flatten(1).numpy().T
        return g / np.linalg.norm(g, axis=1, keepdims=True)

    expected = ((similarity(maps[0]) - similarity(maps[1])) ** 2).sum() / 9
    assert similarity_distance(*maps).item() == pytest.approx(expected, rel=1e-12)
    assert similarity_distance(maps[0], -3 * maps[0].flip(1, 2)).item() == pytest.approx(0, abs=1e-15)


def test_representation():
    torch.manual_seed(2)
    s, t, bank = (torch.randn(n, 3, dtype=torch.float64) for n in (4, 4, 6))
    unit = [e.numpy() / np.linalg.norm(e.numpy(), axis=1, keepdims=True) for e in (s, t, bank)]
    logits = unit[0] @ np.concatenate(unit[1:]).T / 0.5
    expected = np.mean([np.log(np.exp(row).sum()) - row[i] for i, row in enumerate(logits)])
    assert representation_distance(s, t, bank, temperature=0.5).item() == pytest.approx(expected, rel=1e-12)
    nothing = torch.ones(4, 3)
    assert representation_distance(nothing, nothing, nothing).item() == pytest.approx(np.log(8))
    apart = torch.eye(4)
    assert representation_distance(apart, apart, apart[:0], temperature=0.01).item() == pytest.approx(0, abs=1e-6)


def test_fourier(maps):
    a, b = maps[0], maps[0].flip(2) * 0.5
    expected = np.abs(np.fft.fft2((a - b).numpy(), norm="ortho")).mean()
    assert fourier_distance(a, b).item() == pytest.approx(expected, rel=1e-5)
    assert fourier_distance(a, a).item() < 1e-5


def test_haar_is_orthonormal_and_blind_to_a_constant():
    torch.manual_seed(3)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    low, bands = haar(x)
    assert low.shape == (2, 3, 4, 4) and bands.shape == (2, 9, 4, 4)
    assert (low.square().sum() + bands.square().sum()).item() == pytest.approx(x.square().sum().item())
    assert haar_distance(x, x + 3).item() == pytest.approx(0, abs=1e-12)
    hand = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    assert haar_distance(hand, 0 * hand).item() == pytest.approx(0.5)  # each of the three bands has 1/2
    assert haar_distance(torch.randn(1, 1, 7, 5), torch.randn(1, 1, 7, 5)).item() > 0  # odd sizes


def test_patch_embeddings():
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert patch_embeddings(x, grid=2).tolist() == [[2.5], [4.5], [10.5], [12.5]]
    two = torch.stack([x[0], -x[0]])
    assert patch_embeddings(two, grid=2)[4:].tolist() == [[-2.5], [-4.5], [-10.5], [-12.5]]
    assert patch_embeddings(x, grid=9).shape == (16, 1)


LOSSES = [attention_distance, neuron_distance, similarity_distance]


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_is_computed_in_fp32(loss, maps):
    low = [m.to(torch.bfloat16) for m in maps]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(*low)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(*(m.float() for m in low)).item(), rel=1e-6)


@pytest.mark.parametrize("zero", [0, 1])
@pytest.mark.parametrize("loss", LOSSES)
def test_features_that_are_all_zero_have_finite_gradients(loss, zero, maps):
    given = [m.clone() for m in maps]
    given[zero].zero_()
    given[0].requires_grad_()
    loss(*given).backward()
    assert torch.isfinite(given[0].grad).all()


@pytest.mark.parametrize("loss", [probability_distance, relation_distance, edge_distance])
def test_equal_samples_have_finite_gradients(loss, rows):
    same = torch.ones(5, 3, dtype=torch.float64, requires_grad=True)
    loss(same, rows[1]).backward()
    assert torch.isfinite(same.grad).all()


def test_teachers_get_no_gradient(maps, rows):
    for loss, given in [*((loss, maps) for loss in LOSSES), (probability_distance, rows), (relation_distance, rows)]:
        teacher = given[1].clone().requires_grad_()
        assert not torch.autograd.grad(loss(given[0].clone().requires_grad_(), teacher), [teacher], allow_unused=True)[
            0
        ], loss.__name__


def test_exact_keeps_double():
    assert exact(lambda x: x.sum())(torch.ones(2, dtype=torch.float64)).dtype == torch.float64
