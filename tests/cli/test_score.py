import json

import pytest

from srkd.cli import main
from srkd.imaging.files import read_image, write_image
from srkd.imaging.resize import imresize, mod_crop


@pytest.fixture
def results(folder, tmp_path):
    for path in (folder / "HR").iterdir():
        gt = mod_crop(read_image(path), 2)
        write_image(tmp_path / "theirs" / f"{path.stem}_x2.png", imresize(imresize(gt, scale=0.5), scale=2))
    return tmp_path / "theirs"


@pytest.mark.parametrize("protocol", ["y", "rgb"])
def test_bicubic_images_score_as_the_bicubic_row_of_a_benchmark(protocol, folder, results, tmp_path):
    common = ["--scale", "2", "--protocol", protocol, "-o"]
    assert main(["score", str(results), str(folder), *common, str(tmp_path / "a.json")]) == 0
    assert main(["benchmark", "bicubic", "--sets", str(folder), *common, str(tmp_path / "b.json")]) == 0
    ours, bench = (json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json"))
    for a, b in zip(ours["rows"], bench["rows"], strict=True):
        assert {**a, "model": "", "seconds": 0} == {**b, "model": "", "seconds": 0}
    assert ours["summary"][0]["psnr"] == bench["summary"][0]["psnr"] and ours["summary"][0]["model"] == "theirs"


def test_the_model_may_be_named(folder, results, tmp_path):
    assert (
        main(["score", str(results), str(folder), "--scale", "2", "--name", "BSRN", "-o", str(tmp_path / "a.json")])
        == 0
    )
    content = json.loads((tmp_path / "a.json").read_text())
    assert (
        {row["model"] for row in [*content["rows"], *content["summary"]]} == {"BSRN"} == {content["models"][0]["name"]}
    )


def test_identical_images_are_said_to_be(folder, tmp_path, capsys):
    for path in (folder / "HR").iterdir():
        write_image(tmp_path / "same" / path.name, mod_crop(read_image(path), 2))
    assert main(["score", str(tmp_path / "same"), str(folder), "--scale", "2", "-o", str(tmp_path / "x.json")]) == 0
    row = json.loads((tmp_path / "x.json").read_text())["rows"][0]
    assert row["psnr"] is None and row["identical"] is True and row["ssim"] == pytest.approx(1)
    assert "identical" in capsys.readouterr().out


def test_exit_codes(folder, results, tmp_path, capsys):
    (results / "img1_x2.png").write_bytes(b"nothing")
    assert main(["score", str(results), str(folder), "--scale", "2", "-o", str(tmp_path / "x.json")]) == 1
    assert json.loads((tmp_path / "x.json").read_text())["summary"][0]["n"] == 2
    (results / "img1_x2.png").unlink()
    assert main(["score", str(results), str(folder), "--scale", "2"]) == 2
    assert "img1: missing" in capsys.readouterr().err


def test_a_name_and_no_replacing(tmp_path, photo, capsys):
    write_image(tmp_path / "SR/BSRN/Set5/a.png", photo)
    write_image(tmp_path / "GT/a.png", photo)
    out = tmp_path / "r.json"
    command = ["score", str(tmp_path / "SR/BSRN/Set5"), str(tmp_path / "GT"), "--scale", "2", "-o", str(out)]
    assert main([*command, "--name", "BSRN"]) == 0
    assert [row["model"] for row in json.loads(out.read_text())["rows"]] == ["BSRN"]
    before = out.read_bytes()
    assert main(command) == 2 and "exists: --overwrite replaces it" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert main([*command, "--overwrite"]) == 0 and out.read_bytes() != before
    out.unlink()  # what lies beside it counts as well
    assert main(command) == 2 and "r.csv exists" in capsys.readouterr().err
