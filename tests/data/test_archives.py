from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from srkd.data import archives
from srkd.data.archives import unpack
from srkd.types import WorkError

FILES = {"bench/Set5/HR/a.png": b"a" * 3000, "bench/Set5/LR/x2/a.png": b"b", "bench/Set14/HR/c.png": b"c"}


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("make", [zipped, tarred, lambda path, files: tarred(path, files, "w:gz")])
def test_one_folder_of_an_archive_becomes_a_folder(tmp_path: Path, make) -> None:
    told: list[tuple[int, int]] = []
    archive = make(tmp_path / "archive", FILES)
    assert unpack(archive, tmp_path / "sets" / "Set5", inside="bench/Set5", progress=lambda *n: told.append(n)) == 2
    assert contents(tmp_path / "sets") == {"Set5/HR/a.png": b"a" * 3000, "Set5/LR/x2/a.png": b"b"}
    assert told[-1] == (3001, 3001)
    assert (tmp_path / "sets" / "Set5").stat().st_mode & 0o055 == 0o055 & (tmp_path / "sets").stat().st_mode


def test_without_inside_everything_is_unpacked(tmp_path: Path) -> None:
    assert unpack(zipped(tmp_path / "a.zip", FILES), tmp_path / "all") == 3
    assert contents(tmp_path / "all") == FILES


def test_the_names_of_neighbouring_folders_may_begin_alike(tmp_path: Path) -> None:
    archive = tarred(tmp_path / "a.tar", {"x/Set1/a": b"1", "x/Set14/a": b"14"})
    unpack(archive, tmp_path / "Set1", inside="x/Set1")
    assert contents(tmp_path / "Set1") == {"a": b"1"}


EVIL = ["/etc/evil", "../evil", "a/../../evil", "a/..", "..\\evil", "C:\\evil", "c:evil"]


@pytest.mark.parametrize("name", EVIL)
@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_name_that_leads_out_refuses_the_whole_archive(tmp_path: Path, name: str, make) -> None:
    archive = make(tmp_path / "archive", {"bench/good.png": b"good", name: b"evil"})
    (tmp_path / "in").mkdir()
    with pytest.raises(WorkError, match="leads out of its folder") as caught:
        unpack(archive, tmp_path / "in" / "sets", inside="bench")
    assert repr(name) in str(caught.value)
    assert list((tmp_path / "in").iterdir()) == []
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(WorkError, match="a link or a device"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(WorkError, match="a link or a device"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def test_a_program_in_an_archive_becomes_an_ordinary_file(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("run.sh")
        info.mode = 0o4777
        archive.addfile(info)
    unpack(tmp_path / "a.tar", tmp_path / "out")
    assert (tmp_path / "out" / "run.sh").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize(("limit", "value"), [("ARCHIVE_FILES", 2), ("ARCHIVE_BYTES", 3000)])
def test_an_archive_of_absurd_size_is_refused(tmp_path: Path, monkeypatch, limit: str, value: int) -> None:
    monkeypatch.setattr(archives, limit, value)
    with pytest.raises(WorkError, match="more than"):
        unpack(zipped(tmp_path / "a.zip", FILES), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def overlapping(path: Path) -> Path:
    """A zip whose 300 entries are one and the same megabyte of zeros, which it holds once, compressed."""
    zipped(path, {"000": bytes(1 << 20)})
    data = path.read_bytes()
    start = data.rindex(b"PK\1\2")
    entry, end = data[start : data.rindex(b"PK\5\6")], data[data.rindex(b"PK\5\6") :]
    entries = b"".join(entry.replace(b"000", f"{number:03}".encode()) for number in range(300))
    counts = (300).to_bytes(2, "little") * 2
    size = len(entries).to_bytes(4, "little")
    path.write_bytes(data[:start] + entries + end[:8] + counts + size + end[16:])
    return path


def sparse(path: Path) -> Path:
    """A tar with one file of a TiB, all of it a hole."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("hole")
        info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(2**40)}
        info.pax_headers |= {"GNU.sparse.name": "hole", "GNU.sparse.map": "0,0"}
        archive.addfile(info)
    return path


@pytest.mark.parametrize(
    "make",
    [
        lambda path: zipped(path, {f"{number}.png": bytes(100 << 20) for number in range(3)}),
        lambda path: zipped(path, {"a": bytes(300 << 20)}, zipfile.ZIP_BZIP2),
        lambda path: zipped(path, {"a": bytes(300 << 20)}, zipfile.ZIP_LZMA),
        lambda path: tarred(path, {"a": bytes(300 << 20)}, "w:gz"),
        lambda path: tarred(path, {"a": bytes(300 << 20)}, "w:xz"),
        overlapping,
        sparse,
    ],
    ids=["deflate", "bzip2", "lzma", "gzip", "xz", "overlapping", "sparse"],
)
def test_a_bomb_is_refused_before_anything_is_written(tmp_path: Path, make) -> None:
    archive = make(tmp_path / "bomb")
    assert archive.stat().st_size < 2 << 20
    with pytest.raises(WorkError, match="would unpack to more than 268,435,456 bytes"):
        unpack(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["bomb"]


def with_a_link_first(path: Path) -> Path:
    """A link out of the folder, and then a file through it."""
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("door")
        info.type, info.linkname = tarfile.SYMTYPE, str(path.parent)
        archive.addfile(info)
        info = tarfile.TarInfo("door/evil")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))
    return path


def encrypted(path: Path) -> Path:
    data = bytearray(zipped(path, {"a.png": b"pixels"}).read_bytes())
    for magic, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(magic) + at] |= 1
    path.write_bytes(data)
    return path


def twice(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.png", b"one")
        archive.writestr("a.png", b"two")
    return path


@pytest.mark.parametrize(
    "make",
    [
        with_a_link_first,
        encrypted,
        twice,
        lambda path: tarred(path, {"a": b"a file", "a/b": b"and a folder"}),
        lambda path: tarred(path, {"a" * 300: b"a name that no disk takes"}),
        lambda path: zipped(path, {"in/\x00evil": b"", "../evil": b"evil"}),
    ],
    ids=["link first", "encrypted", "twice", "file and folder", "long name", "zero in a name"],
)
def test_other_traps_leave_nothing(tmp_path: Path, make) -> None:
    (tmp_path / "in").mkdir()
    archive = make(tmp_path / "trap")
    with pytest.raises(WorkError, match=str(archive)):
        unpack(archive, tmp_path / "in" / "out")
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["in", "trap"]


def test_a_file_that_is_larger_than_it_says_is_not_written_to_the_end(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"bomb": b"\0" * 100_000})
    data = archive.read_bytes()
    archive.write_bytes(data.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    with pytest.raises(WorkError):
        unpack(archive, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip"]


def test_a_damaged_archive_leaves_nothing(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"a.png": b"pixels" * 100}, zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes().replace(b"pixels", b"pixelz", 1))
    with pytest.raises(WorkError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "out")
    whole = tarred(tmp_path / "a.tar", FILES).read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[:2000])
    with pytest.raises(WorkError):
        unpack(tmp_path / "a.tar", tmp_path / "out")
    (tmp_path / "no").write_bytes(b"this is a web page")
    with pytest.raises(WorkError, match="cannot be unpacked"):
        unpack(tmp_path / "no", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "a.zip", "no"]


def test_an_archive_without_the_folder_is_not_the_right_one(tmp_path: Path) -> None:
    with pytest.raises(WorkError, match="has no files in Set99/"):
        unpack(zipped(tmp_path / "a.zip", FILES), tmp_path / "out", inside="Set99")
