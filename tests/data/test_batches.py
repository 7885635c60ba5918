from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from srkd.data.batches import TrainBatches, crop_pair, dihedral, images_to_tensor, put_turned, train_loader
from srkd.data.paired_image import IOBackend, PairedImageDataset
from srkd.types import Batch, InputError, WorkError

Folders = tuple[Path, Path]
CACHE = IOBackend()


class Coordinates:
    """Pairs whose pixels say where they are: lq is (row, column, image), gt repeats each lq pixel 2 × 2."""

    scale, gt_size, use_hflip, use_rot = 2, 8, True, True
    gpu_cache = None

    def __len__(self) -> int:
        return 5

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = np.indices((7 + index, 9), dtype=np.uint8)
        lq = np.stack([rows, columns, np.full_like(rows, index)], axis=-1)
        return lq, lq.repeat(2, axis=0).repeat(2, axis=1)

    def prepare(self, progress=None) -> None:
        pass


class Broken(Coordinates):
    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        raise InputError("im3.png is damaged.")


def real(folders: Folders, backend: IOBackend = CACHE) -> PairedImageDataset:
    gt, lq = (str(root) for root in folders)
    return PairedImageDataset(
        scale=2, dataroot_gt=gt, dataroot_lq=lq, gt_size=16, use_hflip=True, use_rot=True, io_backend=backend
    )


def load(batches: TrainBatches, start: int, stop: int, workers: int) -> list[Batch]:
    return list(
        train_loader(batches, start_iter=start, total_iter=stop, num_workers=workers, device=torch.device("cpu"))
    )


def assert_equal(one: Batch, other: Batch) -> None:
    assert torch.equal(one.lq, other.lq) and torch.equal(one.gt, other.gt)


def test_a_batch(folders: Folders) -> None:
    batch = TrainBatches(real(folders), seed=1, batch_size=3)[0]
    assert batch.lq.shape == (3, 3, 8, 8) and batch.gt.shape == (3, 3, 16, 16)
    for tensor in batch:
        assert tensor.dtype == torch.float32 and tensor.is_contiguous(memory_format=torch.channels_last)
        assert tensor.min() >= 0 and 0.5 < tensor.max() <= 1
        assert torch.equal(tensor, tensor.mul(255).round() / 255)


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_workers_and_resuming_change_nothing(folders: Folders, workers: int) -> None:
    batches = TrainBatches(real(folders), seed=4, batch_size=3)
    expected = [batches[i] for i in range(8)]
    for start in (0, 5):
        got = load(batches, start, 8, workers)
        assert len(got) == 8 - start
        for one, other in zip(got, expected[start:], strict=True):
            assert type(one) is Batch
            assert_equal(one, other)


def test_the_split_over_processes_changes_nothing(folders: Folders) -> None:
    data = real(folders)
    whole = TrainBatches(data, seed=9, batch_size=8)
    parts = [TrainBatches(data, seed=9, batch_size=4, rank=rank, world_size=2) for rank in range(2)]
    for i in range(4):
        halves = [part[i] for part in parts]
        joined = Batch(torch.cat([half.lq for half in halves]), torch.cat([half.gt for half in halves]))
        assert_equal(whole[i], joined)


def test_every_storage_gives_the_same_batches(
    folders: Folders, tmp_path: Path, write_lmdb: Callable[[Path, Path], Path]
) -> None:
    lmdbs = write_lmdb(folders[0], tmp_path / "gt.lmdb"), write_lmdb(folders[1], tmp_path / "lq.lmdb")
    sources = [
        real(folders, IOBackend("disk")),
        real(folders),
        real(folders, IOBackend("cache", str(tmp_path / "cache"))),
        real(lmdbs, IOBackend("lmdb")),
        real(lmdbs),
    ]
    streams = [load(TrainBatches(data, seed=2, batch_size=4), 0, 3, 0) for data in sources]
    streams.append(load(TrainBatches(sources[3], seed=2, batch_size=4), 0, 3, 2))  # LMDB opened before the fork
    for stream in streams[1:]:
        for one, other in zip(stream, streams[0], strict=True):
            assert_equal(one, other)


def test_crops_stay_aligned_under_every_flip() -> None:
    batches = TrainBatches(Coordinates(), seed=0, batch_size=64)
    lq, gt = (tensor.mul(255).round() for tensor in batches[0])
    assert torch.equal(gt, lq.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))
    orientations = set()
    for rows, columns, image in lq.int().tolist():
        assert len({value for row in image for value in row}) == 1
        orientations.add(
            (
                rows[1][0] - rows[0][0],
                rows[0][1] - rows[0][0],
                columns[0][1] - columns[0][0],
                columns[1][0] - columns[0][0],
            )
        )
    assert len(orientations) == 8


def test_flips_are_off_unless_asked_for() -> None:
    data = Coordinates()
    data.use_hflip = data.use_rot = False  # type: ignore[misc]
    lq = TrainBatches(data, seed=0, batch_size=32)[0].lq.mul(255).round()
    assert (lq[:, 0].diff(dim=1) == 1).all() and (lq[:, 1].diff(dim=2) == 1).all()


def test_crops_reach_every_place_equally_often() -> None:
    data = Coordinates()
    data.use_hflip = data.use_rot = False  # type: ignore[misc]
    lq = TrainBatches(data, seed=5, batch_size=6000)[0].lq.mul(255).round().int()
    first = lq[lq[:, 2, 0, 0] == 0]  # image 0 is 7 × 9, the patch 4 × 4: 4 × 6 places
    counts = np.zeros((4, 6))
    for row, column in first[:, :2, 0, 0].tolist():
        counts[row, column] += 1
    assert counts.sum() == 1200 and (abs(counts - 50) < 5 * 50**0.5).all()


@pytest.mark.parametrize(("u", "at"), [(0.0, 0), (1 - 2**-53, 12)])
def test_crop_at_the_ends(rng: np.random.Generator, u: float, at: int) -> None:
    lq = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
    gt = rng.integers(0, 256, (60, 60, 3), dtype=np.uint8)
    small, large = crop_pair(lq, gt, gt_size=24, scale=3, u_top=u, u_left=u)
    np.testing.assert_array_equal(small, lq[at : at + 8, at : at + 8])
    np.testing.assert_array_equal(large, gt[3 * at : 3 * at + 24, 3 * at : 3 * at + 24])


def test_dihedral_is_basicsrs(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    for hflip, vflip, transpose in itertools.product([False, True], repeat=3):
        expected = image.copy()
        expected = np.flip(expected, 1) if hflip else expected
        expected = np.flip(expected, 0) if vflip else expected
        expected = expected.transpose(1, 0, 2) if transpose else expected
        np.testing.assert_array_equal(dihedral(image, hflip=hflip, vflip=vflip, transpose=transpose), expected)


def test_turning_into_place_is_dihedral_of_a_read_only_view(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    image.flags.writeable = False
    patch = image[2:7, 3:8]
    for hflip, vflip, transpose in itertools.product([False, True], repeat=3):
        places = np.zeros((2, 5, 5, 3), np.uint8)
        put_turned(places[1], patch, hflip=hflip, vflip=vflip, transpose=transpose)
        np.testing.assert_array_equal(places[1], dihedral(patch, hflip=hflip, vflip=vflip, transpose=transpose))
        assert not places[0].any()


def test_all_levels_become_their_share_of_255() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    tensor = images_to_tensor(levels)
    assert tensor.dtype == torch.float32 and tensor.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(tensor[0, 0].flatten(), torch.arange(256, dtype=torch.float32) / 255)


def test_read_only_images_give_no_warning(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (1, 4, 6, 3), dtype=np.uint8)
    image.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = images_to_tensor(image)
    np.testing.assert_array_equal(tensor.numpy(), image.transpose(0, 3, 1, 2).astype(np.float32) / 255)


def test_the_global_generator_is_left_alone() -> None:
    state = torch.get_rng_state()
    for workers in (0, 1):
        load(TrainBatches(Coordinates(), seed=0, batch_size=1), 0, 2, workers)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("workers", [0, 1])
def test_input_errors_arrive_as_they_were_raised(workers: int) -> None:
    loader = train_loader(
        TrainBatches(Broken(), seed=0, batch_size=1),
        start_iter=0,
        total_iter=2,
        num_workers=workers,
        device=torch.device("cpu"),
    )
    with pytest.raises(InputError) as caught:
        next(loader)
    assert str(caught.value) == "im3.png is damaged."
    assert not multiprocessing.active_children()  # although the error is still held


def test_the_cache_is_filled_before_workers_start(folders: Folders) -> None:
    data = real(folders)
    train_loader(
        TrainBatches(data, seed=0, batch_size=1), start_iter=0, total_iter=2, num_workers=1, device=torch.device("cpu")
    )
    (folders[0] / "im0.png").write_bytes(b"")
    data.pair(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_workers_survive_what_ends_a_training_and_end_with_the_loader(number: signal.Signals) -> None:
    loader = train_loader(
        TrainBatches(Coordinates(), seed=0, batch_size=1),
        start_iter=0,
        total_iter=50,
        num_workers=2,
        device=torch.device("cpu"),
    )
    for _ in range(2):  # they take turns: now both have begun, and ignore the signal
        next(loader)
    workers = multiprocessing.active_children()
    assert len(workers) == 2
    for worker in workers:
        assert worker.pid is not None
        os.kill(worker.pid, number)
    assert len(list(loader)) == 48
    for worker in workers:
        worker.join(20)
        assert worker.exitcode == 0


def test_a_worker_that_is_killed_is_reported_between_two_batches() -> None:
    heard = signal.getsignal(signal.SIGCHLD)
    loader = train_loader(
        TrainBatches(Coordinates(), seed=0, batch_size=1),
        start_iter=0,
        total_iter=500,
        num_workers=2,
        device=torch.device("cpu"),
    )
    for _ in range(2):
        next(loader)
    assert signal.getsignal(signal.SIGCHLD) == heard  # torch's own would raise in the middle of a step
    victim, other = multiprocessing.active_children()
    victim.kill()
    victim.join(20)
    with pytest.raises(WorkError, match=r"of 2 processes that make batches 1 ended \(SIGKILL\)"):
        list(loader)
    other.join(20)
    assert other.exitcode == 0


ENDS = """
import multiprocessing, sys, torch
from srkd.data.batches import TrainBatches, train_loader
from srkd.data.paired_image import PairedImageDataset

data = PairedImageDataset(scale=2, dataroot_gt=sys.argv[1], gt_size=16)
batches = TrainBatches(data, seed=0, batch_size=1)
loader = train_loader(batches, start_iter=0, total_iter=500, num_workers=2, device=torch.device("cpu"))
for number in range(2):
    loader.parcel()
if sys.argv[2] == "killed":
    multiprocessing.active_children()[0].kill()
    for number in range(10):
        loader.parcel()
raise ValueError("of the caller")
"""


@pytest.mark.parametrize(("how", "told"), [("killed", "ended (SIGKILL)"), ("raised", "of the caller")])
def test_no_worker_keeps_its_process_from_ending(folders: Folders, how: str, told: str) -> None:
    """An error holds what it went through, and so the workers, until after Python has waited for them."""
    command = [sys.executable, "-c", ENDS, folders[0], how]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert told in done.stderr.splitlines()[-1]


def test_settings_are_checked(folders: Folders) -> None:
    data = Coordinates()
    data.gt_size = None  # type: ignore[assignment, misc]
    with pytest.raises(InputError, match="gt_size"):
        TrainBatches(data, seed=0, batch_size=1)
    with pytest.raises(InputError, match="batch size is 0"):
        TrainBatches(Coordinates(), seed=0, batch_size=0)
