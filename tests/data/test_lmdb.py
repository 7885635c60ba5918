from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from srkd.data.paired_image import IOBackend, PairedImageDataset
from srkd.imaging.files import list_images, read_image
from srkd.types import InputError

Folders = tuple[Path, Path]
WriteLmdb = Callable[[Path, Path], Path]


def datasets(folders: Folders, lmdbs: Folders, backend: str) -> tuple[PairedImageDataset, PairedImageDataset]:
    gt, lq = (str(root) for root in folders)
    disk = PairedImageDataset(scale=2, dataroot_gt=gt, dataroot_lq=lq, io_backend=IOBackend("disk"))
    gt, lq = (str(root) for root in lmdbs)
    stored = PairedImageDataset(scale=2, dataroot_gt=gt, dataroot_lq=lq, io_backend=IOBackend(backend))  # type: ignore[arg-type]
    return disk, stored


def assert_same(one: PairedImageDataset, other: PairedImageDataset) -> None:
    assert one.names == other.names
    for index in range(len(one)):
        for a, b in zip(one.pair(index), other.pair(index), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("backend", ["lmdb", "cache"])
def test_lmdb_equals_folders(folders: Folders, tmp_path: Path, write_lmdb: WriteLmdb, backend: str) -> None:
    lmdbs = write_lmdb(folders[0], tmp_path / "gt.lmdb"), write_lmdb(folders[1], tmp_path / "lq.lmdb")
    assert_same(*datasets(folders, lmdbs, backend))


def test_lmdb_written_by_basicsr(folders: Folders, tmp_path: Path, basicsr: ModuleType) -> None:
    maker = importlib.import_module("basicsr.utils.lmdb_util").LmdbMaker
    targets = tmp_path / "gt.lmdb", tmp_path / "lq.lmdb"
    for source, target in zip(folders, targets, strict=True):
        writer = maker(str(target), map_size=2**24)
        for path in list_images(source):
            writer.put(path.read_bytes(), path.stem, read_image(path).shape)
        writer.close()
    assert_same(*datasets(folders, targets, "lmdb"))


def test_lmdb_written_by_basicsrs_script(folders: Folders, tmp_path: Path, basicsr: ModuleType) -> None:
    """`make_lmdb_from_imgs`, which BasicSR's scripts/data_preparation/create_lmdb.py calls: it encodes anew."""
    make = importlib.import_module("basicsr.utils.lmdb_util").make_lmdb_from_imgs
    targets = tmp_path / "gt.lmdb", tmp_path / "lq.lmdb"
    for source, target in zip(folders, targets, strict=True):
        names = [path.name for path in list_images(source)]
        make(str(source), str(target), names, [name.removesuffix(".png") for name in names], map_size=2**24)
    assert_same(*datasets(folders, targets, "lmdb"))


def test_faults(folders: Folders, tmp_path: Path, write_lmdb: WriteLmdb) -> None:
    gt = write_lmdb(folders[0], tmp_path / "gt.lmdb")

    def build(root: Path) -> PairedImageDataset:
        return PairedImageDataset(scale=2, dataroot_gt=str(root), io_backend=IOBackend("lmdb"))

    with pytest.raises(InputError, match=r"absent.lmdb is not an LMDB .* data.mdb is missing"):
        build(tmp_path / "absent.lmdb")

    listed = shutil.copytree(gt, tmp_path / "listed.lmdb")
    (listed / "meta_info.txt").write_text("im9.png (32,48,3) 1\n")
    with pytest.raises(InputError, match="no key 'im9'"):
        build(listed).pair(0)

    sized = shutil.copytree(gt, tmp_path / "sized.lmdb")
    (sized / "meta_info.txt").write_text("im0.png (320,48,3) 1\n")
    with pytest.raises(InputError, match=r"im0\] decodes to 32×48 .* says 320×48"):
        build(sized).pair(0)

    (sized / "meta_info.txt").write_text("im0.png\n")
    with pytest.raises(InputError, match="line 1"):
        build(sized)

    (gt / "data.mdb").write_bytes(b"nothing of the kind" * 500)
    with pytest.raises(InputError, match="truncated or damaged LMDB"):
        build(gt).pair(0)


@pytest.mark.parametrize("length", [0, 1, 100, 4000, 4096, 5000, 8191, 8192, 12_288, 0.3, 0.5, 0.9, -4096])
def test_a_truncated_lmdb_is_refused(folders: Folders, tmp_path: Path, write_lmdb: WriteLmdb, length: float) -> None:
    """Reading it would end this process by a signal."""
    lmdb = write_lmdb(folders[0], tmp_path / "gt.lmdb")
    data = (lmdb / "data.mdb").read_bytes()
    kept = int(length * len(data)) if 0 < length < 1 else int(length)
    (lmdb / "data.mdb").write_bytes(data[:kept])
    with pytest.raises(InputError, match=r"gt\.lmdb is a truncated or damaged LMDB: .+\. Copy it again"):
        PairedImageDataset(scale=2, dataroot_gt=str(lmdb), io_backend=IOBackend("lmdb"))


def test_a_damaged_lmdb_never_ends_the_process(
    folders: Folders, tmp_path: Path, write_lmdb: WriteLmdb, rng: np.random.Generator
) -> None:
    lmdb = write_lmdb(folders[0], tmp_path / "gt.lmdb")
    whole = (lmdb / "data.mdb").read_bytes()
    for number in range(12):
        target = tmp_path / f"{number}.lmdb"
        shutil.copytree(lmdb, target)
        data = bytearray(whole)
        page = 4096 * int(rng.integers(0, 4))  # the two heads, and the pages of the tree
        for at in rng.integers(page, page + 200, 8):
            data[at] = int(rng.integers(0, 256))
        (target / "data.mdb").write_bytes(data)
    code = (
        "import sys\nfrom pathlib import Path\nfrom srkd.data.storage import stored_images\n"
        "from srkd.types import InputError\n"
        "for path in sorted(Path(sys.argv[1]).glob('?*.lmdb')):\n"
        "    try:\n        for image in stored_images(path).values(): image.read()\n"
        "    except InputError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "LMDB" in done.stdout


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("kept", [0, 4096, 9000, None])
def test_an_lmdb_that_is_cut_while_it_is_read_is_refused(
    folders: Folders, tmp_path: Path, write_lmdb: WriteLmdb, workers: int, kept: int | None
) -> None:
    """A copy that is still going on, or begun again, during a training (None: it is removed)."""
    lmdb = write_lmdb(folders[0], tmp_path / "gt.lmdb")
    code = (
        "import os, sys, torch\nfrom srkd.data.paired_image import IOBackend, PairedImageDataset\n"
        "from srkd.data.batches import TrainBatches, train_loader\nfrom srkd.types import InputError, WorkError\n"
        "root, workers, kept = sys.argv[1], int(sys.argv[2]), sys.argv[3]\n"
        "data = PairedImageDataset(scale=2, dataroot_gt=root, gt_size=16, io_backend=IOBackend('lmdb'))\n"
        "batches = TrainBatches(data, seed=0, batch_size=2)\n"
        "device = torch.device('cpu')\n"
        "loader = train_loader(batches, start_iter=0, total_iter=500, num_workers=workers, device=device)\n"
        "try:\n    for number in range(500):\n        loader.parcel()\n"
        "        if number == 3 and kept == 'None': os.unlink(f'{root}/data.mdb')\n"
        "        elif number == 3: os.truncate(f'{root}/data.mdb', int(kept))\n"
        "except (InputError, WorkError) as error: sys.exit(str(error))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, lmdb, str(workers), str(kept)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    told = "gt.lmdb is gone" if kept is None else "gt.lmdb is a truncated or damaged LMDB"
    # workers read while it is cut: rarely in the middle of a value, which ends them
    assert told in done.stderr or (workers and "2 processes that make batches" in done.stderr)
