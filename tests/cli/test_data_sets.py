"""`srkd data get`, `prepare` and `check`, as they are used."""

import io
import json
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from fileserver import serving

from srkd.cli import main
from srkd.data import published
from srkd.data.published import ImageSet
from srkd.data.sources import Source
from srkd.imaging.files import list_images, write_image


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SRKD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SRKD_DATASETS", str(tmp_path / "datasets"))
    monkeypatch.delenv("SRKD_MIRROR", raising=False)


@pytest.fixture
def hr(tmp_path, photo):
    write_image(tmp_path / "T_HR" / "a.png", photo)
    write_image(tmp_path / "T_HR" / "b.png", cv2.resize(photo[20:80, 30:100], (140, 120)))
    return tmp_path / "T_HR"


def test_get_lists_what_there_is(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    assert main(["data", "get"]) == 0
    printed = capsys.readouterr().out
    for text in ("DIV2K", "3531 MB", "on request", "academic research only", "MD5", "nothing: no checksum is known"):
        assert text in printed


def test_get_unpacks_what_benchmark_then_finds_by_name(photo, tmp_path, monkeypatch, capsys):
    data = io.BytesIO()
    png = cv2.imencode(".png", photo)[1].tobytes()
    with tarfile.open(fileobj=data, mode="w") as tar:
        info = tarfile.TarInfo("benchmark/Set5/HR/baby.png")
        info.size = len(png)
        tar.addfile(info, io.BytesIO(png))
    with serving(data.getvalue()) as shelf:
        source = Source(what="", licence="", url=shelf.url)
        known = {
            "Set5": ImageSet(
                what="", licence="research", folder="Set5", images=1, source=source, inside="benchmark/Set5"
            )
        }
        monkeypatch.setattr(published, "known_image_sets", lambda: known)
        assert main(["data", "get", "Set5"]) == 0
        printed = capsys.readouterr().out
        assert printed.startswith(f"{tmp_path}/datasets/Set5\n  made: 1 images\n  verified by: nothing")
        archive = tmp_path / "home" / "archives" / "weights.pth"
        assert f"{archive} (0 MB) may be deleted now." in printed
        assert main(["data", "get", "Set5", "--discard"]) == 0
        assert "it was there already" in capsys.readouterr().out
        assert not archive.exists()
        assert main(["data", "get", "Set6"]) == 2
        assert "'Set6' is not known. Did you mean 'Set5'?" in capsys.readouterr().err
    assert main(["benchmark", "bicubic", "--sets", "Set5", "--scale", "2", "-o", str(tmp_path / "r.json")]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["rows"][0]["image"] == "baby"


def test_prepare_then_check(hr, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["data", "prepare", str(hr), "--scale", "2,3", "--sub-images", "48", "--step", "24", "--meta-info"]
    assert main([*command, "--cache", str(tmp_path / "cache"), "-o", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "2 images: 2 worked on, 0 were complete already." in printed
    assert "meta_info_T_HR_sub.txt" in printed
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert main([*command, "-o", str(out)]) == 0
    assert "0 worked on, 2 were complete" in capsys.readouterr().out
    lq = out / "T_LR_bicubic" / "X3_sub"
    assert main(["data", "check", str(out / "T_HR_sub"), "--lq", str(lq), "--scale", "3", "--no-leaks"]) == 0
    printed = capsys.readouterr().out
    assert "pairs with" in printed and "MATLAB's bicubic (" in printed and printed.endswith("No problems.\n")


def test_check_finds_a_leak_of_a_known_set_and_says_1(hr, tmp_path, photo, capsys):
    from skimage import data

    write_image(tmp_path / "datasets" / "Set5" / "HR" / "baby.png", data.astronaut()[:200, 120:360])
    write_image(hr / "leak.jpg", np.rot90(cv2.resize(data.astronaut()[:200, 120:360], (180, 150))))
    assert main(["data", "check", str(hr)]) == 1
    printed = capsys.readouterr().out
    assert "problem: leak: leak is Set5/baby at 0.75×, rotated by 90°" in printed
    assert main(["data", "check", str(hr), "--no-leaks"]) == 0


def test_check_without_benchmarks_says_so_and_with_wrong_ones_too(hr, capsys):
    assert main(["data", "check", str(hr)]) == 0
    printed = capsys.readouterr().out
    assert "2 images, 96 to 120 pixels high, 120 to 140 wide." in printed
    assert "no benchmark set is there to look for leaks" in printed
    assert main(["data", "check", str(hr), "--against", "Set5"]) == 2
    assert "there is no test set 'Set5'" in capsys.readouterr().err


def test_a_damaged_image_is_a_problem_not_the_end(hr, capsys):
    whole = (hr / "a.png").read_bytes()
    (hr / "c.png").write_bytes(whole[:3000])
    assert main(["data", "check", str(hr), "--no-leaks"]) == 1
    printed = capsys.readouterr().out
    assert "problem: the image" in printed and "c.png is a truncated PNG" in printed
    assert "\n1 problem.\n" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["prepare", "{hr}", "--scale", "2;3", "-o", "x"],
            "--scale takes whole numbers, for example 2 3 4; '2;3' is none.",
        ),
        (["prepare", "{hr}", "--scale", "1", "-o", "x"], "from 2 up"),
        (["prepare", "nowhere", "--scale", "2", "-o", "x"], "nowhere does not exist"),
        (["check", "nowhere"], "nowhere does not exist"),
        (["check", "{hr}", "--lq", "{hr}"], "--lq and --scale belong together"),
        (["get", "Manga109"], "on request"),
    ],
)
def test_mistakes_are_answered_in_one_paragraph(hr, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["data", *(argument.format(hr=hr) for argument in arguments)]) == 2
    complaint = capsys.readouterr().err
    assert message in complaint
    assert complaint.count("\n") == 1
    assert not Path("x").exists()
    assert len(list_images(hr)) == 2


@pytest.mark.parametrize("folders", [["hr"], ["hr", "--lq", "lr", "--scale", "2"]])
def test_a_folder_of_which_no_image_can_be_read(tmp_path, monkeypatch, capsys, folders):
    """Each is named, and the answer is one sentence, whatever else is asked for."""
    monkeypatch.chdir(tmp_path)
    for path in ("hr/a.png", "hr/b.jpg", "lr/a.png", "lr/b.jpg"):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_bytes(b"\x89PNG\r\n\x1a\n and no more" if path.endswith("png") else b"no picture")
    assert main(["data", "check", *folders, "--no-leaks"]) == 1
    said = capsys.readouterr()
    shown = " ".join((said.out + said.err).split())
    assert "a.png is a truncated PNG" in shown and "b.jpg cannot be read" in shown and "No problems" not in shown
