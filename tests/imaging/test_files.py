from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from srkd.imaging.files import IMAGE_SUFFIXES, decode_image, list_images, read_image, to_rgb8, write_image
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
@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
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
    with pytest.raises(InputError, match=r"the image deep\.tif holds (float32|int32) values"):
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
