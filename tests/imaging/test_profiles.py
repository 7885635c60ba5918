"""Colour profiles and orientation go with a picture from file to file."""

import numpy as np
import pytest
from PIL import Image, ImageCms

from srkd.cli import main
from srkd.imaging.files import read_image, write_image
from srkd.imaging.profiles import upright_and_profile

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ORIENTATION = 0x0112


@pytest.fixture
def picture(photo):
    return Image.fromarray(photo[:12, :9].copy())


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_profile_is_read(picture, tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    picture.save(path, icc_profile=PROFILE)
    assert upright_and_profile(path, read_image(path))[1] == PROFILE


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("length", [len(PROFILE), 150_000])
def test_a_profile_is_written_beside_the_same_pixels(photo, tmp_path, suffix, length):
    profile = PROFILE.ljust(length, b"\1")  # a long one takes several segments of a JPEG
    with_it, without = tmp_path / f"with{suffix}", tmp_path / f"without{suffix}"
    write_image(with_it, photo, profile=profile)
    write_image(without, photo)
    with Image.open(with_it) as image:
        assert image.info["icc_profile"] == profile
    assert np.array_equal(read_image(with_it), read_image(without))


def test_a_profile_of_other_colours_is_dropped(picture, tmp_path):
    """CMYK has become RGB, and RGB's profile is not grey's."""
    picture.convert("CMYK").save(tmp_path / "x.jpg", icc_profile=PROFILE[:16] + b"CMYK" + PROFILE[20:])
    assert upright_and_profile(tmp_path / "x.jpg", read_image(tmp_path / "x.jpg"))[1] == b""
    picture.convert("L").save(tmp_path / "x.png", icc_profile=PROFILE)
    assert upright_and_profile(tmp_path / "x.png", read_image(tmp_path / "x.png"))[1] == b""


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
def test_pictures_stand_upright(picture, tmp_path, suffix, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / f"x{suffix}"
    picture.save(path, exif=exif, **({"lossless": True} if suffix == ".webp" else {}))
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    found, _ = upright_and_profile(path, read_image(path))
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= (3 if suffix == ".jpg" else 0)  # two decoders


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_upscaling_keeps_the_profile(picture, tmp_path, suffix):
    picture.save(tmp_path / "x.png", icc_profile=PROFILE)
    out = tmp_path / f"out{suffix}"
    assert main(["upscale", str(tmp_path / "x.png"), "-o", str(out), "--width", "0.25", "--precision", "fp32"]) == 0
    with Image.open(out) as image:
        assert image.info["icc_profile"] == PROFILE and image.size == (18, 24)


def test_a_format_without_it_is_told(picture, tmp_path, capsys):
    picture.save(tmp_path / "x.png", icc_profile=PROFILE)
    out = tmp_path / "x.bmp"
    assert main(["upscale", str(tmp_path / "x.png"), "-o", str(out), "--width", "0.25", "--precision", "fp32"]) == 0
    assert "does not keep its colour profile" in capsys.readouterr().out
