"""One upscaler in several threads: nothing fails, and every picture is what one thread makes."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from srkd import Upscaler
from srkd.compat.foreign import foreign
from srkd.evaluation.models import multi_adds_720p
from srkd.metrics.cost import convolutions, peak_activations
from srkd.networks.carn import CARN
from srkd.networks.edsr import EDSR
from srkd.networks.fsrcnn import FSRCNN


def pictures(count, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (8 + n % 37, 9 + n % 23, 3), dtype=np.uint8) for n in range(count)]


class Forgetful(nn.Module):
    """Keeps the size of its input from one line to the next, as some networks of others do."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 12, 3, padding=1)

    def forward(self, x):
        self.size = x.shape[-2:]
        y = torch.relu(self.first(x)).flatten(2)
        return torch.pixel_shuffle(self.last(y.unflatten(2, self.size)), 2)


def networks():
    torch.manual_seed(0)
    yield EDSR(num_feat=8, num_block=2, upscale=2)
    yield CARN(num_feat=8, upscale=2)
    yield FSRCNN(upscale=2)
    yield foreign("Forgetful", Forgetful(), scale=2, num_in_ch=3, config={})


@pytest.mark.parametrize("network", networks(), ids=lambda network: type(network).__name__)
@pytest.mark.parametrize("options", [{}, {"tile": 16}, {"self_ensemble": True}], ids=str)
def test_threads_make_what_one_thread_makes(network, options):
    images = pictures(24)
    expected = [Upscaler(network, precision="fp32", **options)(image) for image in images]
    up = Upscaler(network, precision="fp32", **options)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(up, images))
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.slow
def test_8_threads_and_50_new_sizes_each():
    network, rng = next(networks()), np.random.default_rng(0)
    images = [rng.integers(0, 256, (10 + n, 10 + (7 * n) % 60, 3), dtype=np.uint8) for n in range(400)]
    expected = [Upscaler(network, precision="fp32")(image) for image in images]
    up = Upscaler(network, precision="fp32")
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(up, images))
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


def test_a_call_uses_the_width_that_was_set_when_it_began():
    network = next(networks())
    up = Upscaler(network, precision="fp32")
    image = pictures(1)[0]
    expected = {width: Upscaler(network, width=width, precision="fp32")(image).tobytes() for width in (1.0, 0.5, 0.25)}

    def switch(n):
        up.width = (1.0, 0.5, 0.25)[n % 3]
        return up(image).tobytes()

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(switch, range(60))) <= set(expected.values())

    def own(width):
        mine = up.copy()
        mine.width = width
        return all(mine(image).tobytes() == expected[width] for _ in range(10))

    with ThreadPoolExecutor(3) as threads:
        assert all(threads.map(own, expected))


def test_planning_changes_nothing_for_others(tmp_path, monkeypatch):
    monkeypatch.setenv("SRKD_HOME", str(tmp_path))
    network = next(networks())
    network.trained_widths = (1.0, 0.5, 0.25)
    up, image = Upscaler(network, precision="fp32"), pictures(1)[0]
    expected = up(image)
    with ThreadPoolExecutor(2) as threads:
        plan = threads.submit(up.plan, 24, 32)
        while not plan.done():
            assert np.array_equal(up(image), expected) and up.width == 1.0 and up.memory_mb is None
    assert len(plan.result().costs) == 3


def test_auto_precision_is_settled_once():
    up = Upscaler(next(networks()))
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(up, pictures(12)))
    assert up.precision in ("fp32", "bf16", "fp16") and len(up.memory) == 1


def test_counting_never_touches_the_network():
    network = EDSR(num_feat=8, num_block=2, upscale=2)
    x = torch.rand(1, 3, 12, 14)
    with torch.no_grad():
        expected = network(x)

        def count(n):
            return (multi_adds_720p, lambda net: convolutions(net, height=9, width_px=9 + n))[n % 2](network)

        with ThreadPoolExecutor(4) as threads:
            counts = [threads.submit(count, n) for n in range(12)]
            peaks = [threads.submit(peak_activations, network, height=8, width_px=8) for _ in range(4)]
            assert all(torch.equal(network(x), expected) for _ in range(40))
    assert len({future.result() for future in counts[::2]}) == 1 and len({f.result() for f in peaks}) == 1
    normalised = foreign("Normalised", nn.Sequential(*_normalised()), scale=2, num_in_ch=3, config={}).train()
    convolutions(normalised, height=8, width_px=8)
    assert normalised.state_dict()["1.num_batches_tracked"] == 0


def _normalised():
    return nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12), nn.PixelShuffle(2)


def test_an_upscaler_is_copied_and_pickled():
    up = Upscaler(next(networks()), width=0.5, precision="fp32")
    image = pictures(1)[0]
    for other in (copy.deepcopy(up), pickle.loads(pickle.dumps(up)), up.copy()):
        assert other.width == 0.5 and np.array_equal(other(image), up(image))
