from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from srkd.data import cache
from srkd.data.paired_image import IOBackend, PairedImageDataset
from srkd.imaging.files import read_image, write_image
from srkd.types import InputError

Folders = tuple[Path, Path]


def build(folders: Folders, backend: IOBackend) -> PairedImageDataset:
    gt, lq = (str(root) for root in folders)
    return PairedImageDataset(scale=2, dataroot_gt=gt, dataroot_lq=lq, io_backend=backend)


def built(folders: Folders, folder: Path) -> int:
    """How many pairs `prepare` decoded."""
    calls: list[tuple[int, int]] = []
    build(folders, IOBackend("cache", str(folder))).prepare(lambda done, total: calls.append((done, total)))
    assert calls in ([], [(i + 1, 5) for i in range(5)])
    return len(calls)


@pytest.mark.parametrize("in_file", [False, True])
def test_cache_equals_disk(folders: Folders, tmp_path: Path, in_file: bool) -> None:
    disk = build(folders, IOBackend("disk"))
    cached = build(folders, IOBackend("cache", str(tmp_path / "cache") if in_file else None))
    for index in range(5):
        for a, b in zip(disk.pair(index), cached.pair(index), strict=True):
            np.testing.assert_array_equal(a, b)
            assert not b.flags.writeable and b.base is not None  # a view of what all share
            assert type(b) is np.ndarray  # slicing a memmap is slow


def test_memory_is_filled_once(folders: Folders) -> None:
    calls: list[int] = []
    data = build(folders, IOBackend())
    data.prepare(lambda done, total: calls.append(done))
    data.prepare(lambda done, total: calls.append(done))
    assert calls == [1, 2, 3, 4, 5]


def test_file_is_reused_until_an_image_changes(folders: Folders, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    assert built(folders, folder) == 5
    assert built(folders, folder) == 0

    path = folders[0] / "im2.png"
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert built(folders, folder) == 5
    assert built(folders, folder) == 0

    image = 255 - read_image(path)
    write_image(path, image)
    data = build(folders, IOBackend("cache", str(folder)))
    np.testing.assert_array_equal(data.pair(2)[1], image)
    assert len(list(folder.iterdir())) == 1  # the new one replaced the old, and left no temporary file


def test_another_list_has_its_own_file(folders: Folders, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    built(folders, folder)
    for root in folders:
        (root / "im4.png").unlink()
    build(folders, IOBackend("cache", str(folder))).prepare()
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("damage", ["truncate", "garbage"])
def test_damaged_file_is_built_again(folders: Folders, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "cache"
    built(folders, folder)
    file = next(folder.iterdir())
    data = file.read_bytes()
    file.write_bytes(data[:-1] if damage == "truncate" else b"x" * len(data))
    assert built(folders, folder) == 5
    assert file.read_bytes() == data


def test_first_line_tells_what_is_inside(folders: Folders, tmp_path: Path) -> None:
    built(folders, tmp_path / "cache")
    data = next((tmp_path / "cache").iterdir()).read_bytes()
    line, _, pixels = data.partition(b"\n")
    header = json.loads(line)
    assert header["scale"] == 2 and header["lq_sizes"][0] == [16, 24] and "im0.png" in header["names"][0]
    lq = np.frombuffer(pixels[: 16 * 24 * 3], np.uint8).reshape(16, 24, 3)
    np.testing.assert_array_equal(lq, read_image(folders[1] / "im0.png"))


def test_failure_leaves_nothing_behind(folders: Folders, tmp_path: Path) -> None:
    path = folders[0] / "im1.png"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="im1"):
        built(folders, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_folder_that_cannot_be_written(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"cannot be written or mapped.*io_backend.path"):
        built(folders, tmp_path / "file" / "cache")


def test_too_large_for_memory(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "available_memory", lambda: 1000)
    with pytest.raises(InputError, match=r"need 0.00 GB of memory .*type: disk"):
        build(folders, IOBackend()).prepare()


def test_two_processes_build_at_once(folders: Folders, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    folder = tmp_path / "cache"
    processes = [context.Process(target=built, args=(folders, folder)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert len(list(folder.iterdir())) == 1 and built(folders, folder) == 0
