from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from srkd.data.sampling import DRAWS, plan


def stream(seed: int, count: int, num_images: int) -> tuple[list[int], np.ndarray]:
    """The first `count` positions, one at a time."""
    plans = [plan(seed, i, rank=0, world_size=1, batch_size=1, num_images=num_images) for i in range(count)]
    return [int(p.image[0]) for p in plans], np.concatenate([p.u for p in plans])


@given(
    seed=st.integers(-3, 2**64),
    num_images=st.integers(1, 23),
    batch_size=st.integers(1, 9),
    world_size=st.integers(1, 3),
    iteration=st.integers(0, 5),
)
def test_a_position_decides_alone(seed: int, num_images: int, batch_size: int, world_size: int, iteration: int) -> None:
    whole = batch_size * world_size
    images, u = stream(seed, whole * (iteration + 1), num_images)
    for rank in range(world_size):
        part = plan(seed, iteration, rank=rank, world_size=world_size, batch_size=batch_size, num_images=num_images)
        first = iteration * whole + rank * batch_size
        assert part.image.tolist() == images[first : first + batch_size]
        np.testing.assert_array_equal(part.u, u[first : first + batch_size])


@given(seed=st.integers(0, 2**32), num_images=st.integers(1, 50))
def test_every_epoch_is_a_permutation(seed: int, num_images: int) -> None:
    images, _ = stream(seed, 3 * num_images, num_images)
    for epoch in range(3):
        assert sorted(images[epoch * num_images : (epoch + 1) * num_images]) == list(range(num_images))


def test_epochs_and_seeds_differ() -> None:
    images, u = stream(0, 200, 100)
    assert images[:100] != images[100:]
    other, other_u = stream(1, 100, 100)
    assert images[:100] != other
    assert not np.isin(u[:100], other_u).any()


def test_numbers_are_uniform() -> None:
    u = plan(3, 0, rank=0, world_size=1, batch_size=20_000, num_images=7).u
    assert u.shape == (20_000, DRAWS)
    assert u.min() >= 0 and u.max() < 1
    np.testing.assert_allclose(u.mean(axis=0), 0.5, atol=0.01)  # the standard deviation of a mean is 0.002
    np.testing.assert_allclose(np.corrcoef(u.T), np.eye(DRAWS), atol=0.03)


def test_far_into_a_run() -> None:
    far = plan(3, 10**9, rank=7, world_size=8, batch_size=64, num_images=800)
    assert far.image.min() >= 0 and far.image.max() < 800


def test_the_order_never_changes_between_releases() -> None:
    first = plan(10, 0, rank=0, world_size=1, batch_size=6, num_images=6)
    assert first.image.tolist() == EXPECTED_IMAGES
    np.testing.assert_allclose(first.u[0, :3], EXPECTED_U, rtol=0, atol=1e-12)


EXPECTED_IMAGES = [3, 2, 1, 4, 0, 5]
EXPECTED_U = [0.7978329110192661, 0.22650095940509574, 0.39206520342671114]
