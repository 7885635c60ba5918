from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from srkd.data.check import check_kernel, check_pairs
from srkd.data.paired_image import PairedImageDataset
from srkd.data.prepare import Preparation, places, prepare, sub_images, write_meta_info
from srkd.data.storage import meta_names
from srkd.imaging.files import list_images, read_image, write_image
from srkd.imaging.resize import imresize, mod_crop
from srkd.types import InputError


@pytest.fixture
def hr(tmp_path: Path, photo: np.ndarray) -> Path:
    folder = tmp_path / "T_train_HR"
    write_image(folder / "0001.png", photo)  # 96 × 120
    write_image(folder / "0002.png", photo[:77, :119, ::-1])
    return folder


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def basicsr_places(length: int, size: int, step: int) -> list[int]:
    """The rule of BasicSR's extract_subimages with its threshold of 0, in words: a grid, and a last one at the edge."""
    grid = [start for start in range(length) if start % step == 0 and start + size <= length]
    return grid if grid[-1] == length - size else [*grid, length - size]


@pytest.mark.parametrize(
    ("length", "size", "step"), [(2040, 480, 240), (1356, 480, 240), (480, 480, 240), (500, 96, 36)]
)
def test_places_of_sub_images_are_basicsrs(length: int, size: int, step: int) -> None:
    assert places(length, size=size, step=step) == basicsr_places(length, size, step)


def test_an_image_smaller_than_a_sub_image_is_one(photo) -> None:
    assert [piece.shape for piece in sub_images(photo, size=480, step=240)] == [(96, 120, 3)]


def test_names_and_places_are_basicsrs(hr: Path, tmp_path: Path) -> None:
    assert prepare(Preparation(hr, tmp_path / "out", [2, 4], 48, 24)) == (2, 2)
    folders = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_dir()}
    lr = "T_train_LR_bicubic"
    assert folders == {"T_train_HR_sub", lr, *(f"{lr}/X{scale}{sub}" for scale in (2, 4) for sub in ("", "_sub"))}
    names = {folder: [path.name for path in list_images(tmp_path / "out" / folder)] for folder in folders - {lr}}
    assert names[f"{lr}/X4"] == ["0001x4.png", "0002x4.png"]
    assert names["T_train_HR_sub"] == names[f"{lr}/X2_sub"] == names[f"{lr}/X4_sub"]
    assert names["T_train_HR_sub"][:2] == ["0001_s001.png", "0001_s002.png"]
    assert Preparation(tmp_path / "HR", tmp_path, [3]).lr(3) == tmp_path / "LR_bicubic" / "X3"
    assert Preparation(tmp_path / "photos", tmp_path, [3]).lr(3) == tmp_path / "photos_LR_bicubic" / "X3"


def test_check_finds_what_was_prepared_to_be_right(hr: Path, tmp_path: Path, photo) -> None:
    wanted = Preparation(hr, tmp_path / "out", [2, 3], 48, 24)
    prepare(wanted)
    for scale in (2, 3):
        lq = read_image(wanted.lr(scale) / f"0002x{scale}.png")
        np.testing.assert_array_equal(lq, imresize(mod_crop(photo[:77, :119, ::-1], scale), scale=1 / scale))
        for gt, lr in ((hr, wanted.lr(scale)), (wanted.hr_sub, wanted.lr(scale, sub=True))):
            pairs, wrong = check_pairs(gt, lr, scale)
            assert pairs and wrong == []
            (finding,) = check_kernel(pairs, scale)
            assert not finding.serious
            assert "equal" in finding.text


def test_sub_images_of_all_scales_lie_on_each_other(hr: Path, tmp_path: Path) -> None:
    wanted = Preparation(hr, tmp_path / "out", [2, 3], 48, 24)
    prepare(wanted)
    data = PairedImageDataset(scale=3, dataroot_gt=str(wanted.hr_sub), dataroot_lq=str(wanted.lr(3, sub=True)))
    assert len(data) == 3 * 4 + 2 * 4  # of 96 × 120, and of 72 × 114 (the 77 × 119 one cut to multiples of 6)
    for index in range(len(data)):
        lq, gt = data.pair(index)
        assert gt.shape == (48, 48, 3)
        inside = np.s_[2:-2, 2:-2]
        np.testing.assert_array_equal(lq[inside], imresize(gt, scale=1 / 3)[inside])


def test_a_second_call_writes_nothing_and_completes_what_is_missing(hr: Path, tmp_path: Path) -> None:
    wanted = Preparation(hr, tmp_path / "out", [2], 48, 24)
    prepare(wanted)
    images = {name: value for name, value in snapshot(tmp_path / "out").items() if name.endswith(".png")}
    assert prepare(wanted) == (2, 0)
    missing = wanted.hr_sub / "0002_s003.png"
    missing.unlink()
    assert prepare(wanted) == (2, 1)
    after = snapshot(tmp_path / "out")
    assert {name for name, value in images.items() if after[name] != value} == {"T_train_HR_sub/0002_s003.png"}
    assert after["T_train_HR_sub/0002_s003.png"][1] == images["T_train_HR_sub/0002_s003.png"][1]


def test_another_scale_can_be_added_but_nothing_is_overwritten(hr: Path, tmp_path: Path) -> None:
    prepare(Preparation(hr, tmp_path / "out", [2], 48, 24))
    prepare(Preparation(hr, tmp_path / "out", [4]))
    before = snapshot(tmp_path / "out")
    for other in (
        Preparation(hr, tmp_path / "out", [2], 48, 12),
        Preparation(hr, tmp_path / "out", [2, 3], 48, 24),  # its pieces must fit scale 3 too
    ):
        with pytest.raises(InputError, match=r"T_train_HR_sub was prepared differently: .* now asked for"):
            prepare(other)
    assert snapshot(tmp_path / "out") == before


def test_a_folder_of_somebody_elses_is_refused(hr: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "out" / "T_train_LR_bicubic" / "X2" / "0001x2.png"
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b"mine")
    with pytest.raises(InputError, match="not from srkd data prepare"):
        prepare(Preparation(hr, tmp_path / "out", [2]))
    assert foreign.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("scales", "size", "step", "message"),
    [
        ([], None, 240, "scale"),
        ([1], None, 240, "from 2 up"),
        ([2, 2], None, 240, "different"),
        ([2, 3], 480, 100, "of 6"),
    ],
)
def test_requests_that_make_no_sense(tmp_path: Path, scales, size, step, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Preparation(tmp_path, tmp_path, scales, size, step)


def test_a_damaged_image_is_named_and_the_rest_can_be_finished_later(hr: Path, tmp_path: Path) -> None:
    (hr / "0003.png").write_bytes((hr / "0001.png").read_bytes()[:-40])
    with pytest.raises(InputError, match=r"0003\.png"):
        prepare(Preparation(hr, tmp_path / "out", [2]))
    (hr / "0003.png").unlink()
    assert prepare(Preparation(hr, tmp_path / "out", [2]))[0] == 2


def test_meta_information_is_basicsrs(hr: Path, tmp_path: Path) -> None:
    assert write_meta_info(hr, tmp_path / "meta.txt") == 2
    assert (tmp_path / "meta.txt").read_text() == "0001.png (96,120,3)\n0002.png (77,119,3)\n"
    assert meta_names(tmp_path / "meta.txt") == ["0001", "0002"]
    (hr / "0002.png").unlink()
    with pytest.raises(InputError, match="lists other images"):
        write_meta_info(hr, tmp_path / "meta.txt")
