from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from srkd.data import batches as module
from srkd.data import resident
from srkd.data.batches import TrainBatches, train_loader
from srkd.data.paired_image import IOBackend, PairedImageDataset
from srkd.data.resident import ResidentBatches, fits
from srkd.types import Batch

Folders = tuple[Path, Path]
CPU = torch.device("cpu")
GPU = torch.device("cuda", 0)


@pytest.fixture
def dataset(make_folders: Callable[..., Folders]) -> Callable[..., PairedImageDataset]:
    """Pairs of odd sizes, two of them smaller than a patch in one direction or both."""

    def make(scale: int = 2, *, hflip: bool = True, rot: bool = True, **backend: bool | str) -> PairedImageDataset:
        sizes = {"a": (33, 50), "b": (24, 24), "c": (25, 61), "d": (19, 40), "e": (17, 13)}
        gt, lq = (str(root) for root in make_folders(sizes, scale=scale))
        return PairedImageDataset(
            scale=scale,
            dataroot_gt=gt,
            dataroot_lq=lq,
            gt_size=24,
            use_hflip=hflip,
            use_rot=rot,
            small_images="pad",
            io_backend=IOBackend("cache", **backend),  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def a_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make the CPU pass for a GPU with so many free bytes."""

    def pretend(free: int) -> None:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 2 * free))
        monkeypatch.setattr(
            module, "ResidentBatches", lambda batches, cache, device: ResidentBatches(batches, cache, CPU)
        )

    return pretend


def resident_batches(batches: TrainBatches) -> ResidentBatches:
    batches.dataset.prepare()
    assert batches.dataset.gpu_cache is not None
    return ResidentBatches(batches, batches.dataset.gpu_cache, CPU)


def assert_equal(one: Batch, other: Batch) -> None:
    assert type(one) is Batch and one.lq.dtype == one.gt.dtype == torch.float32
    assert torch.equal(one.lq, other.lq) and torch.equal(one.gt, other.gt)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("seed", [0, 1, 20240501])
def test_batches_are_those_of_the_cpu_bit_for_bit(dataset, scale, seed):
    batches = TrainBatches(dataset(scale), seed=seed, batch_size=16)
    made = resident_batches(batches)
    for iteration in (0, 1, 7, 100_000):
        assert_equal(made[iteration], batches[iteration])


@pytest.mark.parametrize(("hflip", "rot"), [(False, False), (True, False), (False, True)])
def test_flips_that_are_off_stay_off(dataset, hflip, rot):
    batches = TrainBatches(dataset(hflip=hflip, rot=rot), seed=3, batch_size=24)
    assert_equal(resident_batches(batches)[5], batches[5])


def test_the_split_over_processes_changes_nothing(dataset):
    data = dataset()
    whole = TrainBatches(data, seed=9, batch_size=8)
    parts = [resident_batches(TrainBatches(data, seed=9, batch_size=4, rank=rank, world_size=2)) for rank in range(2)]
    for iteration in range(3):
        halves = [part[iteration] for part in parts]
        assert_equal(Batch(*(torch.cat(both) for both in zip(*halves, strict=True))), whole[iteration])


def test_a_file_of_several_parts_is_copied_whole(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(resident, "_PART", 1000)
    batches = TrainBatches(dataset(path=str(tmp_path / "cache")), seed=0, batch_size=16)
    assert_equal(resident_batches(batches)[0], batches[0])


def test_batches_have_the_layout_that_training_wants(dataset):
    for tensor in resident_batches(TrainBatches(dataset(), seed=0, batch_size=4))[0]:
        assert tensor.shape[:2] == (4, 3) and tensor.is_contiguous(memory_format=torch.channels_last)


def test_the_loader_cuts_on_a_gpu_with_room_and_resumes(dataset, a_gpu, caplog):
    caplog.set_level(logging.INFO, logger="srkd")
    a_gpu(10**9)
    batches = TrainBatches(dataset(), seed=4, batch_size=3)
    got = list(train_loader(batches, start_iter=2, total_iter=5, num_workers=2, device=GPU))
    assert len(got) == 3
    for one, iteration in zip(got, range(2, 5), strict=True):
        assert_equal(one, batches[iteration])
        assert one.gt.is_contiguous(memory_format=torch.channels_last)
    assert "where batches are cut" in caplog.text


@pytest.mark.parametrize(("device", "free", "on_gpu"), [(GPU, 1000, True), (GPU, 10**9, False), (CPU, 10**9, True)])
def test_the_loader_stays_on_the_cpu_otherwise(dataset, a_gpu, caplog, device, free, on_gpu):
    caplog.set_level(logging.INFO, logger="srkd")
    a_gpu(free)
    batches = TrainBatches(dataset(on_gpu=on_gpu), seed=4, batch_size=3)
    (got,) = train_loader(batches, start_iter=0, total_iter=1, num_workers=0, device=device)
    assert_equal(got, batches[0])
    assert ("in main memory" in caplog.text) == (free == 1000)


def test_half_of_the_free_memory_is_the_limit(dataset, a_gpu):
    data = dataset()
    data.prepare()
    assert data.gpu_cache is not None
    size = data.gpu_cache.pixels.nbytes
    for free, expected in ((2 * size, True), (2 * size - 1, False)):
        a_gpu(free)
        assert fits(data.gpu_cache, GPU) is expected


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_real_gpu_gives_the_same_bits(dataset):
    batches = TrainBatches(dataset(), seed=4, batch_size=16)
    batches.dataset.prepare()
    assert batches.dataset.gpu_cache is not None
    made = ResidentBatches(batches, batches.dataset.gpu_cache, GPU)[3]
    assert made.gt.device == GPU
    assert_equal(Batch(made.lq.cpu(), made.gt.cpu()), batches[3])
