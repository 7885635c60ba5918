from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from srkd.imaging.decode import image_size
from srkd.imaging.files import (
    WRITABLE_SUFFIXES,
    check_writable,
    decode_image,
    list_images,
    read_image,
    to_rgb8,
    write_image,
)
from srkd.types import InputError

KINDS = {"grey": (), "RGB": (3,), "RGBA": (4,)}


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# --- folders


def test_list_images_sorts_and_filters(tmp_path):
    for name in ("b.PNG", "a.jpg", "c.TIFF", "notes.txt", ".hidden.png", "noise", "ü.webp"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png" / "inside.png").write_bytes(b"x")
    assert [path.name for path in list_images(tmp_path)] == ["a.jpg", "b.PNG", "c.TIFF", "ü.webp"]


def test_list_images_names_a_bad_folder(tmp_path):
    with pytest.raises(InputError, match="missing does not exist"):
        list_images(tmp_path / "missing")
    with pytest.raises(InputError, match=f"{tmp_path.name} holds no image"):
        list_images(tmp_path)
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(InputError, match=r"a\.png is not a folder"):
        list_images(tmp_path / "a.png")


# --- round trips


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", WRITABLE_SUFFIXES)
def test_written_images_come_back(tmp_path, rng, suffix, kind, dtype):
    image = rng.integers(0, np.iinfo(dtype).max + 1, (20, 31, *KINDS[kind]), dtype=dtype)
    path = tmp_path / "new folder" / f"größe 大{suffix}"
    lossy = suffix in (".jpg", ".jpeg")
    if lossy:
        image[...] = image.flat[0]
    if kind == "RGBA":
        image[..., 3] |= 1  # WebP keeps no colour where nothing is visible
    depth = 8 * image.dtype.itemsize
    holds = {
        ".png": True,
        ".tif": True,
        ".tiff": True,
        ".ppm": kind == "RGB",
        ".pgm": kind == "grey",
        ".bmp": kind != "RGBA" and depth == 8,
        ".webp": kind != "grey" and depth == 8,
    }.get(suffix, kind != "RGBA" and depth == 8)
    if not holds:
        with pytest.raises(InputError, match=rf"{suffix} holds .* the image is {kind} of {depth} bits"):
            write_image(path, image)
        assert not path.exists()
        return
    write_image(path, image)
    back = read_image(path)
    assert back.dtype == dtype and back.shape == image.shape
    np.testing.assert_allclose(back.astype(int), image.astype(int), atol=3 if lossy else 0)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_view_with_strides_is_written_right(tmp_path, photo):
    write_image(tmp_path / "a.png", photo[::2, ::-1])
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), photo[::2, ::-1])


def test_upper_case_suffix(tmp_path, photo):
    write_image(tmp_path / "a.PNG", photo)
    np.testing.assert_array_equal(read_image(str(tmp_path / "a.PNG")), photo)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8), np.zeros(4, np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_write_refuses_what_is_no_image(tmp_path, image):
    with pytest.raises(InputError, match="an image is uint8 or uint16"):
        write_image(tmp_path / "a.png", image)


def test_write_names_unknown_suffix_and_unwritable_place(tmp_path, photo):
    with pytest.raises(InputError, match=r"unknown image suffix '\.gif'"):
        write_image(tmp_path / "a.gif", photo)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*a\.png"):
        write_image(tmp_path / "file" / "a.png", photo)


# --- kinds of files


def test_pixels_are_basicsrs(basicsr, shared_data):
    from basicsr.utils import imfrombytes

    paths = [*(shared_data / "Set5" / "HR").iterdir(), *sorted((shared_data / "train" / "bsds399").iterdir())[:3]]
    for path in paths:
        np.testing.assert_array_equal(read_image(path)[..., ::-1], imfrombytes(path.read_bytes()))


def test_palette(photo):
    image = Image.fromarray(photo).quantize(16)
    np.testing.assert_array_equal(decode_image(encoded(image, "PNG"), "x"), np.asarray(image.convert("RGB")))
    decoded = decode_image(encoded(image, "PNG", transparency=0), "x")
    assert decoded.shape == (*photo.shape[:2], 4)
    np.testing.assert_array_equal(decoded[..., 3] == 0, np.asarray(image) == 0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_one_bit(photo, kind):
    image = Image.fromarray(photo).convert("1")
    decoded = decode_image(encoded(image, kind), "x")
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, np.asarray(image).astype(np.uint8) * 255)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_with_alpha(photo, kind):
    image = Image.fromarray(photo).convert("L")
    image.putalpha(Image.fromarray(photo[..., 0]))
    np.testing.assert_array_equal(decode_image(encoded(image, kind), "x"), np.asarray(image.convert("RGBA")))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(photo, kind):
    image = Image.fromarray(photo).convert("CMYK")
    data = encoded(image, kind)
    np.testing.assert_array_equal(decode_image(data, "x"), np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def test_grey_jpeg_stays_grey(photo):
    data = encoded(Image.fromarray(photo).convert("L"), "JPEG", quality=95)
    assert decode_image(data, "x").shape == photo.shape[:2]


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_of_jpeg(photo, orientation, mode):
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain, turned = (encoded(Image.fromarray(photo).convert(mode), "JPEG", **o) for o in ({}, {"exif": exif}))
    upright = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: np.rot90(a[:, ::-1]),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a[:, ::-1], -1),
        8: lambda a: np.rot90(a),
    }[orientation]
    np.testing.assert_array_equal(decode_image(turned, "x"), upright(decode_image(plain, "x")))


def test_exif_orientation_of_png_is_left_alone(photo):
    exif = Image.Exif()
    exif[0x0112] = 6
    np.testing.assert_array_equal(decode_image(encoded(Image.fromarray(photo), "PNG", exif=exif), "x"), photo)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_first_frame_of_many(photo, kind):
    frames = [Image.fromarray(photo), Image.fromarray(255 - photo)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(to_rgb8(decode_image(data, "x")), photo)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_values_beyond_16_bits_are_refused(photo, mode):
    data = encoded(Image.fromarray(photo).convert("L").convert(mode), "TIFF")
    with pytest.raises(InputError, match=r"the image deep\.tif .* 32-bit (floating-point|signed) values"):
        decode_image(data, "deep.tif")


# --- damage


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True}), ("WEBP", {}), ("TIFF", {}), ("BMP", {}), ("PPM", {})],
)
def test_truncated_files_are_refused(photo, rng, kind, options, size):
    pixels = photo if size == "small" else rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(pixels), kind, **options)
    decode_image(data, "whole")
    for length in (len(data) - 1, len(data) - 13, len(data) // 2, 60, 10, 1):
        with pytest.raises(InputError, match=r"the image holiday\.x "):
            decode_image(data[:length], "holiday.x")


def test_truncated_jpeg_with_a_thumbnail_is_refused(photo):
    thumbnail = encoded(Image.fromarray(photo[::4, ::4]), "JPEG")
    data = encoded(Image.fromarray(photo), "JPEG")
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    data = data[:2] + segment + data[2:]
    np.testing.assert_array_equal(decode_image(data, "x").shape, photo.shape)
    with pytest.raises(InputError, match="truncated JPEG"):
        decode_image(data[:-400], "x")


def test_bytes_behind_the_end_do_no_harm(photo):
    for kind in ("PNG", "JPEG"):
        data = encoded(Image.fromarray(photo), kind)
        np.testing.assert_array_equal(decode_image(data + b"junk\0" * 9, "x"), decode_image(data, "x"))


def test_damaged_png_is_refused(photo):
    data = bytearray(encoded(Image.fromarray(photo), "PNG"))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(InputError, match=r"the image x\.png cannot be decoded: it is damaged"):
        decode_image(bytes(data), "x.png")


def test_files_that_are_no_images(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.png does not exist"):
        read_image(tmp_path / "nothing.png")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        read_image(tmp_path)
    for name, content, reason in (("zero", b"", r"is empty \(0 bytes\)"), ("text", b"a letter", "not an image")):
        path = tmp_path / f"{name}.png"
        path.write_bytes(content)
        with pytest.raises(InputError, match=rf"{name}\.png .*{reason}"):
            read_image(path)


# --- conversion


def test_to_rgb8(rng):
    image = rng.integers(0, 256, (5, 6, 4), dtype=np.uint8)
    np.testing.assert_array_equal(to_rgb8(image), image[..., :3])
    np.testing.assert_array_equal(to_rgb8(image[..., 0]), image[..., [0, 0, 0]])
    np.testing.assert_array_equal(to_rgb8(image[..., :3]), image[..., :3])
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(to_rgb8(levels)[..., 1], np.round(levels / 257))
    np.testing.assert_array_equal(to_rgb8(image * np.uint16(257)), image[..., :3])
    with pytest.raises(InputError, match=r"to_rgb8: .* float64"):
        to_rgb8(image / 255)


def test_16_bit_files_of_others(rng, tmp_path):
    image = rng.integers(0, 65536, (9, 7, 3), dtype=np.uint16)
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), image[..., ::-1])
    np.testing.assert_array_equal(read_image(path), image)
    Image.fromarray(image[..., 0]).save(path)
    np.testing.assert_array_equal(read_image(path), image[..., 0])


# --- what faults were found in


@pytest.fixture
def told(monkeypatch, caplog):
    """Warnings that reading gives, each file anew."""
    monkeypatch.setattr("srkd.imaging.decode._told", set())
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "AVIF", "TIFF"])
def test_several_frames_are_told_of(photo, told, kind):
    first = Image.fromarray(photo)
    data = encoded(
        first, kind, save_all=True, append_images=[Image.fromarray(other) for other in (255 - photo, photo[::-1])]
    )
    for _ in range(2):  # told once
        decode_image(data, "moving.picture")
    word = "pages" if kind == "TIFF" else "frames"
    assert told() == [f"moving.picture has 3 {word}: the first is read, the others are left out."]


def test_still_images_tell_nothing(photo, told):
    for kind in ("PNG", "GIF", "WEBP", "AVIF", "TIFF", "JPEG", "BMP"):
        decode_image(encoded(Image.fromarray(photo), kind), f"still.{kind}")
    assert told() == []


def test_small_overviews_of_a_tiff_are_no_pages(photo, told):
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(photo, photometric="rgb", metadata=None)
        file.write(photo[::2, ::2], photometric="rgb", metadata=None, subfiletype=1)
    np.testing.assert_array_equal(decode_image(buffer.getvalue(), "pyramid.tif"), photo)
    assert told() == []


@pytest.mark.parametrize("junk", [b"\0\0", b"x", b"\xff", b"\xff\xff\xff", b"\xff\0ab", b"\x12" * 40])
@pytest.mark.parametrize("marker", [b"\xff\xdb", b"\xff\xc0", b"\xff\xc4", b"\xff\xda"])
def test_stray_bytes_before_a_marker_of_a_jpeg_are_skipped(photo, marker, junk):
    data = encoded(Image.fromarray(photo), "JPEG")
    at = data.index(marker)
    np.testing.assert_array_equal(decode_image(data[:at] + junk + data[at:], "x"), decode_image(data, "x"))
    with pytest.raises(InputError, match="truncated JPEG"):
        decode_image(data[:at] + junk + data[at:-200], "x")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\0\0\0\x18ftypisom" + bytes(99), "'isom'"),
        (b"\xff\x0a" + bytes(99), "JPEG XL"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b"P7\nWIDTH 1\n", "PAM"),
        (b"#?RADIANCE\n", "Radiance"),
        (b"v/1\1" + bytes(99), "OpenEXR"),
        (b"<svg></svg>", "not an image"),
    ],
)
def test_formats_that_are_not_read_are_named(content, words):
    with pytest.raises(InputError, match=rf"the image x\.png cannot be read: .*{words}.* Formats read: PNG, JPEG"):
        decode_image(content, "x.png")


def header_only(kind):
    """A file whose header says 40,000 × 40,000 pixels."""
    buffer = io.BytesIO()
    if kind == "TIFF":
        with tifffile.TiffWriter(buffer) as file:
            file.write(np.zeros((4, 4), np.uint8), photometric="minisblack", metadata=None)
        data = bytearray(buffer.getvalue())
        for tag in (256, 257):
            place = data.index(struct.pack("<HH", tag, 4))
            data[place + 8 : place + 12] = (40_000).to_bytes(4, "little")
        return bytes(data)
    if kind == "PPM":
        return b"P6 40000 40000 255\n"
    data = bytearray(encoded(Image.new("RGB", (8, 8)), kind))
    if kind == "PNG":
        data[16:24] = (40_000).to_bytes(4, "big") * 2
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    elif kind == "BMP":
        data[18:26] = (40_000).to_bytes(4, "little") * 2
    elif kind == "GIF":
        data[6:10] = (40_000).to_bytes(2, "little") * 2
    elif kind == "JPEG":
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = (40_000).to_bytes(2, "big") * 2
    return bytes(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "PPM"])
def test_one_limit_of_pixels_for_every_format(tmp_path, kind):
    path = tmp_path / "huge"
    path.write_bytes(header_only(kind))
    for read in (read_image, image_size):
        with pytest.raises(InputError, match=r"is 40000×40000 \(height×width\), 1,600 million .* up to 1,074"):
            read(path)


def test_scenes_beyond_pillows_own_limit_are_read(tmp_path):
    limit = Image.MAX_IMAGE_PIXELS
    path = tmp_path / "scene.png"
    Image.new("1", (20_000, 9_500)).save(path, compress_level=1)
    assert image_size(path) == (9_500, 20_000)
    assert read_image(path).shape == (9_500, 20_000)
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    ("name", "shape", "scale", "holds"),
    [
        ("a.webp", (16_383, 2, 3), 1, True),
        ("a.webp", (4_096, 2, 3), 4, False),
        ("a.webp", (2, 16_384, 3), 1, False),
        ("a.jpg", (65_500, 2, 3), 1, True),
        ("a.JPEG", (32_751, 2), 2, False),
        ("a.png", (2, 250_001, 3), 4, False),
        ("a.tif", (2, 400_000, 3), 4, True),
    ],
)
def test_what_a_format_cannot_hold_is_known_before(name, shape, scale, holds):
    if holds:
        check_writable(name, np.zeros(shape, np.uint8), scale=scale)
        return
    with pytest.raises(InputError, match=r"holds up to [\d,]+ pixels a side. TIFF holds it"):
        check_writable(name, np.zeros(shape, np.uint8), scale=scale)


@pytest.mark.parametrize("name", ["a.webp", "a.jpg", "a.png"])
def test_the_largest_sides_are_written(tmp_path, name):
    side = {"a.webp": 16_383, "a.jpg": 65_500, "a.png": 1_000_000}[name]
    write_image(tmp_path / name, np.zeros((side, 1, 3), np.uint8))
    assert read_image(tmp_path / name).shape == (side, 1, 3)


def test_a_tiff_with_alpha_says_so(tmp_path, rng):
    image = rng.integers(0, 256, (9, 7, 4), dtype=np.uint8)
    write_image(tmp_path / "a.tif", image)
    with Image.open(tmp_path / "a.tif") as picture:
        assert picture.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(picture), image)
