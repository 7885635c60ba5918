import numpy as np
import pytest

from srkd.cli import main
from srkd.imaging.files import read_image, write_image
from srkd.inference.upscaler import Upscaler


@pytest.fixture
def odd(tmp_path, photo):
    """One grey, one RGBA, one 16-bit and one corrupt image."""
    small = photo[:9, :12]
    alpha = np.linspace(0, 255, 108).reshape(9, 12).astype(np.uint8)
    write_image(tmp_path / "odd" / "grey.png", small[..., 0])
    write_image(tmp_path / "odd" / "rgba.png", np.dstack([small, alpha]))
    write_image(tmp_path / "odd" / "deep.png", small.astype(np.uint16) * 257 + 1)
    (tmp_path / "odd" / "corrupt.png").write_bytes(b"\x89PNG\r\n")
    return tmp_path / "odd"


def test_folder_of_odd_images(odd, checkpoint, tmp_path, capsys):
    out = tmp_path / "out"
    assert (
        main(["upscale", str(odd), "-m", str(checkpoint), "-o", str(out), "--width", "1/2", "--precision", "fp32"]) == 1
    )
    captured = capsys.readouterr()
    assert "3 of 4 files written" in captured.out and "corrupt.png" in captured.err
    assert sorted(path.name for path in out.iterdir()) == ["deep.png", "grey.png", "rgba.png"]
    upscaler = Upscaler(checkpoint, width=0.5, device="cpu", precision="fp32")
    for name, shape, dtype in (
        ("grey", (18, 24), "uint8"),
        ("rgba", (18, 24, 4), "uint8"),
        ("deep", (18, 24, 3), "uint16"),
    ):
        result = read_image(out / f"{name}.png")
        assert result.shape == shape and result.dtype == dtype
        assert np.array_equal(result, upscaler(read_image(odd / f"{name}.png")))


def test_existing_images_are_skipped_unless_told(odd, checkpoint, tmp_path, capsys):
    (odd / "corrupt.png").unlink()
    out = tmp_path / "out"
    out.mkdir()
    (out / "grey_x2.png").write_bytes(b"keep me")
    command = ["upscale", str(odd), "-m", str(checkpoint), "-o", str(out), "--suffix", "_x2"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "2 of 3 files written" in printed and "1 skipped as they exist" in printed
    assert (out / "grey_x2.png").read_bytes() == b"keep me"
    assert main([*command, "--overwrite"]) == 0
    assert read_image(out / "grey_x2.png").shape == (18, 24)


def test_one_file_to_one_file(odd, checkpoint, tmp_path):
    assert main(["upscale", str(odd / "rgba.png"), "-m", str(checkpoint), "-o", str(tmp_path / "new" / "big.tif")]) == 0
    assert read_image(tmp_path / "new" / "big.tif").shape == (18, 24, 4)
    out = str(tmp_path / "folder")
    assert main(["upscale", str(odd / "grey.png"), "-m", str(checkpoint), "-o", out, "--format", "jpg"]) == 0
    assert read_image(tmp_path / "folder" / "grey.jpg").shape == (18, 24)


def test_wrong_input_exits_2_and_writes_nothing(odd, checkpoint, tmp_path, capsys):
    model, folder = ["-m", str(checkpoint)], str(odd)
    write_image(tmp_path / "twin" / "grey.jpg", np.zeros((4, 4), np.uint8))
    for command, message in (
        ([folder, folder, *model], "several inputs need a folder for the results: -o OUT."),
        ([folder, *model, "-o", str(tmp_path / "o"), "--width", "0.3"], "`width` (=0.3) is not valid"),
        ([folder, *model, "-o", str(tmp_path / "o"), "--width", "2"], "at most 1"),
        ([folder, *model, "-o", str(tmp_path / "o"), "--format", "gif"], "unknown image format 'gif'"),
        ([folder, str(tmp_path / "twin"), *model, "-o", str(tmp_path / "o")], "would both become"),
        ([str(odd / "deep.png"), *model, "-o", folder], "would be replaced by its own result"),
        ([str(odd / "none.png"), *model, "-o", str(tmp_path / "o")], "does not exist"),
        ([folder, *model, "-o", str(checkpoint)], "is a file; several images need a folder"),
        ([str(odd / "deep.png"), *model, "-o", str(tmp_path / "o.png"), "--suffix", "x"], "are for folders"),
    ):
        assert main(["upscale", *command]) == 2, command
        assert message in capsys.readouterr().err
    assert not (tmp_path / "o").exists() and not (tmp_path / "o.png").exists()


def test_what_a_folder_holds_beside_images_is_told(checkpoint, tmp_path, photo, capsys):
    write_image(tmp_path / "mix" / "a.png", photo[:8, :8].copy())
    (tmp_path / "mix" / "more").mkdir()
    (tmp_path / "mix" / "clip.mp4").write_bytes(b"a video")
    (tmp_path / "mix" / ".hidden").write_bytes(b"")
    assert main(["upscale", str(tmp_path / "mix"), "-m", str(checkpoint), "-o", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert f"Left out: 2 in the folders that are no images, such as {tmp_path / 'mix' / 'clip.mp4'}." in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            [],
            "switchable-x2, which comes with srkd (×2, for clean photographs: no image is a JPEG), at full",
        ),
        (["--width", "0.25"], "at width 0.25, as asked"),
        (["--latency-ms", "40000"], "at the widest width within 40000 ms on this machine"),
        (["--latency-ms", "40000", "--memory-mb", "4000"], "within 40000 ms and 4000 MiB on this machine"),
        (["--width", "0.25", "--memory-mb", "4000"], "at width 0.25, as asked"),
    ],
)
def test_without_a_model_it_says_which_and_why_and_how_to_choose_another(
    words, said, tmp_path, photo, monkeypatch, capsys
):
    monkeypatch.setenv("SRKD_HOME", str(tmp_path / "home"))
    write_image(tmp_path / "photo.png", photo[:9, :12])
    more = ["--precision", "fp32", "--device", "cpu"]
    assert main(["upscale", str(tmp_path / "photo.png"), *words, *more]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("Network: ") and said in first
    assert "-m switchable-x4 for clean photographs, ×4" in first and "-m FILE" in first
    assert "photo_x2.png" in rest[-1]
    assert main(["upscale", str(tmp_path / "photo.png"), *words, *more, "-m", "switchable-x2", "--overwrite"]) == 0
    assert "Network:" not in capsys.readouterr().out


def test_a_jpeg_gets_the_network_for_jpegs(tmp_path, photo, capsys):
    for name in ("b.png", "a.JPG"):
        write_image(tmp_path / "photos" / name, photo[:9, :12])
    assert main(["upscale", str(tmp_path / "photos"), "--precision", "fp32", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "switchable-x2-photo, which comes with srkd (×2, for photographs that went through JPEG: a.JPG is a" in said
    assert "-m switchable-x2 for clean photographs, ×2" in said and "2026" not in said
