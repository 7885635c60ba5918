from __future__ import annotations

import hashlib
import io
import re
import tarfile
from pathlib import Path

import pytest
from fileserver import serving

from srkd.data.published import ImageSet, get_set, known_image_sets
from srkd.data.sources import Source
from srkd.types import InputError, WorkError


def archive(images: int) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for number in range(images):
            info = tarfile.TarInfo(f"benchmark/Set5/HR/{number}.png")
            info.size = 3
            tar.addfile(info, io.BytesIO(b"png"))
    return data.getvalue()


def set_at(url: str, content: bytes, **changes: object) -> ImageSet:
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    source = Source(what="", licence="", url=url, md5=md5)
    options = {"source": source, "inside": "benchmark/Set5", "images": 5, **changes}
    return ImageSet(what="", licence="research", folder="Set5", **options)


def test_the_table_says_where_every_set_is_from_and_nothing_is_half_said() -> None:
    sets = known_image_sets()
    for name in ("DIV2K", "Flickr2K", "Set5", "Set14", "B100", "Urban100", "Manga109"):
        assert name in sets
    for known in sets.values():
        assert known.licence
        assert sum(map(bool, (known.source, known.files, known.ask))) == 1
        assert bool(known.source) == bool(known.inside)
        if known.source:
            assert known.source.url.startswith("https://")
            assert re.fullmatch("[0-9a-f]{32}", known.source.md5)
            assert re.fullmatch("([0-9a-f]{64})?", known.source.sha256)
    assert sets["Urban100_mod4"].files.format(number=7).endswith("image_SRF_4/img_007_SRF_4_HR.png")


def test_a_set_is_downloaded_unpacked_and_then_left_alone(tmp_path: Path) -> None:
    content = archive(5)
    with serving(content) as shelf:
        wanted = set_at(shelf.url, content)
        told: list[str] = []
        folder, made = get_set(wanted, tmp_path / "sets", tmp_path / "dl", progress=lambda what, *_: told.append(what))
        assert (folder, made) == (tmp_path / "sets" / "Set5", True)
        assert len(list((folder / "HR").iterdir())) == 5
        assert told[-1] == "unpacking Set5"
        assert get_set(wanted, tmp_path / "sets", tmp_path / "dl") == (folder, False)
        assert len(shelf.requests) == 1


def test_an_interrupted_download_goes_on(tmp_path: Path) -> None:
    content = archive(5)
    (tmp_path / "dl").mkdir()
    with serving(content) as shelf:
        (tmp_path / "dl" / "weights.pth.part").write_bytes(content[:4000])
        (tmp_path / "dl" / "weights.pth.part.of").write_text(f'{shelf.url}\n"one"')
        get_set(set_at(shelf.url, content), tmp_path / "sets", tmp_path / "dl")
        assert shelf.asked_from() == ["bytes=4000-"]


def test_a_wrong_checksum_is_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    with serving(archive(6)) as shelf, pytest.raises(WorkError, match="its MD5 is"):
        get_set(set_at(shelf.url, archive(5)), tmp_path / "sets", tmp_path / "dl")
    assert not (tmp_path / "sets").exists()
    assert [path.name for path in (tmp_path / "dl").iterdir()] == [".download.lock"]


def test_another_number_of_images_is_an_error_now_and_later(tmp_path: Path) -> None:
    content = archive(4)
    with serving(content) as shelf:
        for _ in range(2):
            with pytest.raises(WorkError, match="has 4 images, expected 5"):
                get_set(set_at(shelf.url, content), tmp_path / "sets", tmp_path / "dl")


def test_a_set_given_on_request_says_where(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"on request, at http://www\.manga109\.org"):
        get_set(known_image_sets()["Manga109"], tmp_path, tmp_path)


def test_a_set_of_single_files_comes_into_place_when_all_are_there(tmp_path: Path) -> None:
    wanted = ImageSet(
        what="", licence="", folder="Urban100", images=2, files="http://127.0.0.1:9/x/img_{number:03d}_SRF_4_HR.png"
    )
    mirror = tmp_path / "mirror" / "Urban100"
    mirror.mkdir(parents=True)
    for number in (1, 2):
        (mirror / f"img_{number:03d}_SRF_4_HR.png").write_bytes(b"%d" % number)
    folder, _ = get_set(wanted, tmp_path / "sets", tmp_path / "dl", mirror=str(mirror.parent))
    assert sorted(path.name for path in (folder / "HR").iterdir()) == ["img_001.png", "img_002.png"]
    assert (folder / "HR" / "img_002.png").read_bytes() == b"2"
    assert list((tmp_path / "dl").iterdir()) == []
