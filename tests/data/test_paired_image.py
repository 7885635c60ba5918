from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from srkd.data.paired_image import IOBackend, PairedImageDataset
from srkd.imaging.files import read_image, write_image
from srkd.imaging.resize import imresize
from srkd.registry import DATASETS
from srkd.signature import check_options
from srkd.types import InputError

Folders = tuple[Path, Path]
DISK = IOBackend("disk")


def dataset(roots: Folders, scale: int = 2, **options: object) -> PairedImageDataset:
    gt, lq = (str(root) for root in roots)
    return PairedImageDataset(scale=scale, dataroot_gt=gt, dataroot_lq=lq, **options)  # type: ignore[arg-type]


def test_pairs_of_basicsr_folders(folders: Folders) -> None:
    gt_root, lq_root = folders
    data = dataset(folders, io_backend=DISK)
    assert data.names == [f"im{i}" for i in range(5)] and len(data) == 5
    for index, name in enumerate(data.names):
        lq, gt = data.pair(index)
        np.testing.assert_array_equal(gt, read_image(gt_root / f"{name}.png"))
        np.testing.assert_array_equal(lq, read_image(lq_root / f"{name}.png"))


def test_edsr_layout_is_found_by_itself(make_folders: Callable[..., Folders]) -> None:
    roots = make_folders({"baby": (24, 24), "bird": (24, 32)}, scale=4, gt="HR", lq="LR_bicubic/X4", template="{}x4")
    assert dataset(roots, 4).names == ["baby", "bird"]
    assert dataset(roots, 4, filename_tmpl="{}x4").names == ["baby", "bird"]


def test_suffixes_may_differ(folders: Folders) -> None:
    path = folders[1] / "im0.png"
    write_image(path.with_suffix(".bmp"), read_image(path))
    path.unlink()
    assert len(dataset(folders)) == 5


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lq_is_made_from_a_folder_of_gt_alone(tmp_path: Path, photo: np.ndarray, scale: int) -> None:
    write_image(tmp_path / "gt" / "a.png", photo[:95, :118])
    data = PairedImageDataset(scale=scale, dataroot_gt=str(tmp_path / "gt"))
    lq, gt = data.pair(0)
    expected = photo[: 95 // scale * scale, : 118 // scale * scale]
    np.testing.assert_array_equal(gt, expected)
    np.testing.assert_array_equal(lq, imresize(expected, scale=1 / scale))


def test_grey_alpha_and_16_bits_become_rgb8(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.full((8, 8), 9, np.uint8))
    write_image(tmp_path / "b.png", np.full((8, 8, 4), 9 * 257, np.uint16))
    data = PairedImageDataset(scale=2, dataroot_gt=str(tmp_path))
    for index in range(2):
        lq, gt = data.pair(index)
        assert lq.shape == (4, 4, 3) and gt.shape == (8, 8, 3) and lq.dtype == gt.dtype == np.uint8
        assert (gt == 9).all() and (lq == 9).all()


def test_a_jpeg_that_lies_on_its_side(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (32, 16)).save(tmp_path / "a.jpg", exif=exif)
    assert PairedImageDataset(scale=2, dataroot_gt=str(tmp_path)).pair(0)[1].shape == (32, 16, 3)


def test_lists_of_folders_are_joined(folders: Folders, tmp_path: Path) -> None:
    gt, lq = (str(root) for root in folders)
    data = PairedImageDataset(scale=2, dataroot_gt=[gt, gt], dataroot_lq=[lq, lq])
    assert data.names == [f"im{i}" for i in range(5)] * 2
    with pytest.raises(InputError, match=r"lists 2 folders and dataroot_lq 1"):
        PairedImageDataset(scale=2, dataroot_gt=[gt, gt], dataroot_lq=[lq])
    with pytest.raises(InputError, match="empty list"):
        PairedImageDataset(scale=2, dataroot_gt=[])


def test_meta_info_chooses_and_orders(folders: Folders, tmp_path: Path) -> None:
    meta = tmp_path / "meta.txt"
    meta.write_text("im3.png (38,42,3)\nim1.png (34,46,3)\n\nim0.png\n")
    assert dataset(folders, meta_info_file=str(meta)).names == ["im3", "im1", "im0"]
    meta.write_text("im3.png (38,42,3)\nnope.png (1,1,3)\n")
    with pytest.raises(InputError, match=r"1 are not in .*GTmod12 \(5 images\): nope"):
        dataset(folders, meta_info_file=str(meta))
    with pytest.raises(InputError, match="does not exist"):
        dataset(folders, meta_info_file=str(tmp_path / "absent.txt"))


def test_meta_info_of_several_folders(folders: Folders, tmp_path: Path) -> None:
    gt, lq = (str(root) for root in folders)
    meta = tmp_path / "meta.txt"
    meta.write_text("im3.png\nim1.png\n")
    both: dict[str, Any] = {"scale": 2, "dataroot_gt": [gt, gt], "dataroot_lq": [lq, lq]}
    data = PairedImageDataset(**both, meta_info_file=[str(meta), None])
    assert data.names == ["im3", "im1", *(f"im{i}" for i in range(5))]
    for wrong in (str(meta), [str(meta)], [None, None, None]):
        with pytest.raises(InputError, match=r"meta_info_file names \d file.*2 folder.*null"):
            PairedImageDataset(**both, meta_info_file=wrong)


def test_missing_folder(folders: Folders, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent does not exist"):
        dataset((folders[0], tmp_path / "absent"))


def test_unpaired_images_are_named_with_counts(folders: Folders) -> None:
    (folders[1] / "im2.png").unlink()
    with pytest.raises(InputError, match=r"GTmod12 has 5 images.*LRbicx2 has 4.*1 GT images have no LQ image: im2"):
        dataset(folders)
    (folders[0] / "im2.png").unlink()
    (folders[0] / "im4.png").unlink()
    with pytest.raises(InputError, match=r"1 LQ images have no GT image: im4\..*meta_info_file"):
        dataset(folders)


def test_two_files_of_one_stem(folders: Folders) -> None:
    write_image(folders[0] / "im0.bmp", np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError, match="differ only in the suffix"):
        dataset(folders)


@pytest.mark.parametrize("template", ["x4", "{}{}"])
def test_template_needs_one_place(folders: Folders, template: str) -> None:
    with pytest.raises(InputError, match="filename_tmpl"):
        dataset(folders, filename_tmpl=template)


def test_wrong_scale_is_found_at_once_with_both_sizes(folders: Folders) -> None:
    with pytest.raises(InputError, match=r"im0.png is 32×48 .*im0.png is 16×24: at scale 4 the LQ image must be 8×12"):
        dataset(folders, 4)


def test_gt_may_exceed_the_scale_by_its_remainder(make_folders: Callable[..., Folders]) -> None:
    roots = make_folders({"a": (25, 27)}, scale=3)
    assert dataset(roots, 3).pair(0)[1].shape == (24, 27, 3)


def test_damaged_header_is_found_at_once(folders: Folders) -> None:
    (folders[1] / "im1.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"im1\.png cannot be read"):
        dataset(folders)


@pytest.mark.parametrize("backend", ["disk", "cache"])
def test_damaged_pixels_are_found_when_decoded(folders: Folders, backend: str) -> None:
    path = folders[0] / "im1.png"
    path.write_bytes(path.read_bytes()[:-200])
    data = dataset(folders, io_backend=IOBackend(backend))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"im1\.png is a truncated PNG"):
        data.pair(1)


def test_image_smaller_than_the_scale(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((3, 9, 3), np.uint8))
    with pytest.raises(InputError, match="smaller than the scale 4"):
        PairedImageDataset(scale=4, dataroot_gt=str(tmp_path))


def test_small_images_are_skipped_and_counted(
    make_folders: Callable[..., Folders], caplog: pytest.LogCaptureFixture
) -> None:
    roots = make_folders({"a": (32, 32), "b": (15, 40), "c": (16, 16), "d": (32, 15)})
    with caplog.at_level(logging.WARNING):
        data = dataset(roots, gt_size=16)
    assert data.names == ["a", "c"] and data.skipped == ["b", "d"]
    assert "2 of 4 images are smaller than gt_size 16" in caplog.text
    with pytest.raises(InputError, match=r"all 4 images are smaller than gt_size 64: a, b, c, …"):
        dataset(roots, gt_size=64)


@pytest.mark.parametrize("backend", ["disk", "cache"])
def test_padding_keeps_the_pair_aligned(tmp_path: Path, photo: np.ndarray, backend: str) -> None:
    write_image(tmp_path / "a.png", photo[:20, :40])
    options = {"dataroot_gt": str(tmp_path), "small_images": "pad", "io_backend": IOBackend(backend)}  # type: ignore[arg-type]
    lq, gt = PairedImageDataset(scale=2, gt_size=32, **options).pair(0)  # type: ignore[arg-type]
    assert gt.shape == (32, 40, 3) and lq.shape == (16, 20, 3)  # no more than needed
    np.testing.assert_array_equal(gt[:20], photo[:20, :40])
    np.testing.assert_array_equal(gt[20:], gt[19:7:-1])
    # MATLAB's resize mirrors at the border in the same way, so the mirrored lq is what the mirrored gt gives.
    np.testing.assert_array_equal(lq[:12], imresize(gt, scale=0.5)[:12])


def test_padding_of_an_image_many_times_too_small(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((3, 2, 3), np.uint8))
    data = PairedImageDataset(scale=2, dataroot_gt=str(tmp_path), gt_size=32, small_images="pad")
    assert data.pair(0)[1].shape == (32, 32, 3)


@pytest.mark.parametrize("options", [{"gt_size": 15}, {"gt_size": 0}, {"scale": 0}])
def test_impossible_sizes(folders: Folders, options: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"gt_size is|scale is"):
        dataset(folders, **options)  # type: ignore[arg-type]


def test_io_backend_is_checked(folders: Folders) -> None:
    with pytest.raises(InputError, match=r"does not end in \.lmdb"):
        dataset(folders, io_backend=IOBackend("lmdb"))
    with pytest.raises(InputError, match="belongs to type: cache"):
        dataset(folders, io_backend=IOBackend("disk", "somewhere"))


def test_options_from_a_file() -> None:
    component = DATASETS.get("PairedImageDataset")
    given = {"dataroot_gt": "gt", "io_backend": {"type": "cache", "path": "c"}, "gt_size": 192}
    options, problems = check_options(component, given, wired=("scale",))
    assert not problems and options["io_backend"] == IOBackend("cache", "c")
    for wrong in ({"type": "dsik"}, {"type": "disk", "patch": 1}):
        _, problems = check_options(component, {"dataroot_gt": "gt", "io_backend": wrong}, wired=("scale",))
        assert [problem.path[0] for problem in problems] == ["io_backend"]


@pytest.mark.parametrize(
    ("gt", "lq"),
    [
        ("img_{}_SRF_2_HR", "img_{}_SRF_2_LR"),
        ("{}_hr", "{}_lr"),
        ("HR_{}", "LR_{}"),
        ("gt-{}", "lq-{}"),
        ("{}_GT", "{}_LR"),
        ("shore{}_HR", "shore{}_LR"),
        ("HR{}", "LR{}"),
        ("{}", "{}x2"),
    ],
)
def test_layouts_of_others_are_paired(folders: Folders, gt: str, lq: str) -> None:
    for number, path in enumerate(sorted(folders[0].iterdir())):
        partner = next(found for found in folders[1].iterdir() if found.stem == path.stem)
        path.rename(path.with_name(f"{gt.format(f'{number:03d}')}{path.suffix}"))
        partner.rename(partner.with_name(f"{lq.format(f'{number:03d}')}{partner.suffix}"))
    count = len(list(folders[0].iterdir()))
    assert dataset(folders).names == [gt.format(f"{number:03d}") for number in range(count)]


def test_names_that_do_not_pair_are_shown_with_a_way_on(folders: Folders) -> None:
    for path in folders[1].iterdir():
        path.rename(path.with_name(f"{path.stem}_bicLRx2{path.suffix}"))
    with pytest.raises(InputError, match=r"called im\d+_bicLRx2.*filename_tmpl: '\{\}_bicLRx2' would find 'im\d+_bic"):
        dataset(folders)
    assert dataset(folders, filename_tmpl="{}_bicLRx2").names


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b""])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_meta_info_file_may_have_a_byte_order_mark(folders: Folders, tmp_path: Path, mark: bytes, end: bytes) -> None:
    names = sorted(path.name for path in folders[0].iterdir())[:2]
    list_file = tmp_path / "meta.txt"
    list_file.write_bytes(mark + b"".join(f"{name} (96,120,3)".encode() + end for name in names))
    assert dataset(folders, meta_info_file=str(list_file)).names == [Path(name).stem for name in names]


def test_utf_16_is_named(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "meta.txt").write_text("im1.png", encoding="utf-16")
    with pytest.raises(InputError, match=r"UTF-16 text .* save it as UTF-8"):
        dataset(folders, meta_info_file=str(tmp_path / "meta.txt"))


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux")
def test_names_that_are_not_utf_8_are_paired(folders: Folders, tmp_path: Path) -> None:
    for folder in folders:
        path = sorted(folder.iterdir())[0]
        path.rename(folder / os.fsdecode(b"caf\xe9" + os.fsencode(path.suffix)))
    (tmp_path / "meta.txt").write_bytes(b"caf\xe9.png (96,120,3)\n")
    assert dataset(folders, meta_info_file=str(tmp_path / "meta.txt")).names == [os.fsdecode(b"caf\xe9")]
