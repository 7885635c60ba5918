"""Image files of every layout, made by tifffile, Pillow and OpenCV, with the pixels that they mean.

What a file means is known from the array that it was made of and the tags that were asked for. Where Pillow, which
decides for 8 bits, opens the file too, its pixels are compared with the expectation first: the oracle checks itself.
"""

from __future__ import annotations

import io
import itertools
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import imagecodecs
import numpy as np
import tifffile
from PIL import Image

HEIGHT, WIDTH = 37, 50


class Case(NamedTuple):
    """A file, the pixels it means (None: a layout that must be refused), and how near to them is near enough."""

    name: str
    data: bytes
    expected: np.ndarray | None
    must_read: bool = True
    tolerance: int = 0


def cases() -> list[Case]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [*tiffs(), *tiffs_of_pillow(), *pnms(), *pngs(), *others()]
    names = [case.name for case in found]
    assert len(set(names)) == len(names)
    return found


def picture(channels: int = 3, bits: int = 8) -> np.ndarray:
    """Smooth noise, [H, W, channels], with the lowest and highest values in it."""
    rng = np.random.default_rng(channels * 100 + bits)
    small = rng.random((HEIGHT // 4, WIDTH // 4, channels))
    values = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR).reshape(HEIGHT, WIDTH, channels)
    most = 2**bits - 1
    image = np.clip(np.rint((values * 1.4 - 0.2) * most), 0, most).astype(np.uint8 if bits <= 8 else np.uint16)
    image[0, 0], image[1, 1] = 0, most
    return image


# --- TIFF

MEANINGS = ("minisblack", "miniswhite", "rgb", "palette", "separated")
ALPHAS = (None, "assocalpha", "unassalpha", "unspecified")
LAYOUTS: dict[str, dict[str, Any]] = {
    "strips": {"rowsperstrip": 7},
    "tiles": {"tile": (16, 32)},
    "planes in strips": {"rowsperstrip": 7, "planarconfig": "separate"},
    "planes in tiles": {"tile": (16, 16), "planarconfig": "separate"},
}
COMPRESSIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "LZW": {"compression": "lzw"},
    "LZW with differences": {"compression": "lzw", "predictor": True},
    "Deflate": {"compression": "zlib"},
    "Deflate with differences, big-endian": {"compression": "zlib", "predictor": True, "byteorder": ">"},
    "BigTIFF": {"bigtiff": True, "byteorder": ">"},
    "JPEG": {"compression": "jpeg"},
}
COLOURS = {"minisblack": 1, "miniswhite": 1, "rgb": 3, "palette": 1, "separated": 4}


def tiffs() -> Iterator[Case]:
    everything = itertools.product(MEANINGS, (8, 16), ALPHAS, LAYOUTS, COMPRESSIONS)
    for meaning, bits, alpha, layout, compression in everything:
        samples = COLOURS[meaning] + (alpha is not None)
        if "planes" in layout and samples == 1:
            continue  # the same as strips
        if compression == "JPEG" and (bits == 16 or meaning == "palette" or samples > 4):
            continue  # there is no such thing
        if meaning == "palette" and (bits == 16 or alpha):
            continue
        if meaning == "separated" and (alpha and compression != "none"):
            continue
        image = picture(samples, bits)
        if alpha == "assocalpha":
            image = premultiplied(image)
        options = {**LAYOUTS[layout], **COMPRESSIONS[compression]}
        if alpha:
            options["extrasamples"] = [alpha]
        if meaning == "palette":
            options["colormap"] = colormap()
        try:
            data = tiff(image, meaning, **options)
        except ValueError:  # the JPEG encoder takes no two samples in one
            assert compression == "JPEG"
            continue
        stored = image if compression != "JPEG" else decoded_by_tifffile(data, samples)
        clear = not (meaning == "separated" and alpha) and not (meaning == "miniswhite" and alpha == "assocalpha")
        expected = meant(stored, meaning, alpha) if clear else None
        name = f"TIFF {meaning} {bits} bits, alpha {alpha}, {layout}, {compression}"
        yield Case(name, data, expected, must_read=meaning in ("minisblack", "rgb", "miniswhite", "palette") and clear)
    yield from odd_tiffs()


def odd_tiffs() -> Iterator[Case]:
    for meaning, bits, byteorder in itertools.product(("minisblack", "miniswhite"), (1, 2, 4), "<>"):
        image = picture(1, bits)[..., 0]
        data = tiff_of_few_bits(image, bits, meaning, byteorder)
        grey = image * np.uint8(255 // (2**bits - 1))
        yield Case(f"TIFF {meaning} {bits} bits {byteorder}", data, grey if meaning == "minisblack" else 255 - grey)
    for kind in ("float16", "float32", "float64", "int8", "int16", "int32", "uint32", "uint64"):
        for channels in (1, 3):
            image = picture(channels, 8).astype(kind)
            meaning = "rgb" if channels == 3 else "minisblack"
            yield Case(f"TIFF {meaning} {kind}", tiff(image, meaning), None, must_read=False)
    unread = {"cielab": 8, "icclab": 9, "itulab": 10, "mask": 4, "cfa": 32803, "logl": 32844, "logluv": 32845}
    for meaning, number in unread.items():
        image, as_if = (picture(1), "minisblack") if meaning in ("mask", "cfa", "logl") else (picture(3), "rgb")
        yield Case(f"TIFF {meaning}", with_tag(tiff(image, as_if), 262, number), None, must_read=False)
    for layout, subsampling in itertools.product(("strips", "tiles"), ((1, 1), (2, 1), (2, 2))):
        options = {"rowsperstrip": 16} if layout == "strips" else {"tile": (16, 32)}
        data = tiff(picture(3), "ycbcr", compression="jpeg", subsampling=subsampling, **options)
        yield Case(f"TIFF ycbcr {subsampling} in {layout}, JPEG", data, by_pillow(data), tolerance=1)
    for layout in ("strips", "planes in strips"):
        data = tiff(picture(3), "ycbcr", compression="jpeg" if "planes" in layout else "lzw", **LAYOUTS[layout])
        yield Case(f"TIFF ycbcr {layout}", data, by_pillow(data) if layout == "strips" else None, must_read=False)
    for extra in (2, 3):
        image = picture(3 + extra)
        data = tiff(image, "rgb", extrasamples=["unassalpha"] + ["unspecified"] * (extra - 1))
        yield Case(f"TIFF rgb with {extra} extra samples", data, None, must_read=False)
    for orientation in range(1, 9):
        data = tiff(picture(3), "rgb", extratags=[(274, "H", 1, orientation, True)])
        yield Case(f"TIFF orientation {orientation}", data, turned(picture(3), orientation))
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.stack([picture(3), picture(3)[::-1]]), photometric="rgb", metadata=None)
    yield Case("TIFF of two pages", buffer.getvalue(), picture(3))
    deep = tiff(picture(3, 16) >> 4, "rgb")
    yield Case("TIFF rgb 12 bits", with_tag(deep, 258, 12), None, must_read=False)
    yield Case("TIFF 8-bit palette of small values", tiff(picture(1), "palette", colormap=colormap() >> 8),
        meant(picture(1), "palette", None))  # fmt: skip


def tiff(image: np.ndarray, meaning: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    elif options.get("planarconfig") == "separate":
        image = image.transpose(2, 0, 1)
    elif image.ndim == 3:
        options = {"planarconfig": "contig", **options}
    tifffile.imwrite(buffer, image, photometric=meaning, metadata=None, **options)
    return buffer.getvalue()


def tiff_of_few_bits(image: np.ndarray, bits: int, meaning: str, byteorder: str) -> bytes:
    """By hand: tifffile packs only single bits."""
    height, width = image.shape
    per = 8 // bits
    padded = np.pad(image, ((0, 0), (0, -width % per))).reshape(height, -1, per).astype(int)
    rows = sum(padded[..., n] << (8 - bits * (n + 1)) for n in range(per)).astype(np.uint8).tobytes()
    entries = [(256, width), (257, height), (258, bits), (259, 1), (262, int(meaning == "minisblack")), (277, 1),
               (278, height), (279, len(rows)), (273, 8)]  # fmt: skip
    entries.sort()
    ifd = struct.pack(f"{byteorder}H", len(entries))
    ifd += b"".join(struct.pack(f"{byteorder}HHII", tag, 4, 1, value) for tag, value in entries) + bytes(4)
    start = {"<": b"II*\0", ">": b"MM\0*"}[byteorder]
    return start + struct.pack(f"{byteorder}I", 8 + len(rows) + len(rows) % 2) + rows + bytes(len(rows) % 2) + ifd


def with_tag(data: bytes, tag: int, value: int) -> bytes:
    """The value of a tag of 16-bit numbers, each replaced, in a little-endian file."""
    out = bytearray(data)
    at = struct.unpack_from("<I", data, 4)[0]
    for number in range(struct.unpack_from("<H", data, at)[0]):
        place = at + 2 + 12 * number
        code, _, count = struct.unpack_from("<HHI", data, place)
        if code == tag:
            where = place + 8 if count <= 2 else struct.unpack_from("<I", data, place + 8)[0]
            out[where : where + 2 * count] = struct.pack("<H", value) * count
    return bytes(out)


def decoded_by_tifffile(data: bytes, samples: int) -> np.ndarray:
    values = tifffile.imread(io.BytesIO(data))
    if values.ndim == 3 and values.shape[0] == samples and values.shape[2] != samples:
        values = values.transpose(1, 2, 0)
    return values.reshape(HEIGHT, WIDTH, samples)


def colormap() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (3, 256)).astype(np.uint16) * 257


def premultiplied(image: np.ndarray) -> np.ndarray:
    """Colours multiplied by the last channel."""
    most = int(np.iinfo(image.dtype).max)
    colour = image[..., :-1].astype(np.uint64) * image[..., -1:] // most
    return np.concatenate([colour.astype(image.dtype), image[..., -1:]], axis=2)


def meant(stored: np.ndarray, meaning: str, alpha: str | None) -> np.ndarray:
    """What samples mean by TIFF 6.0, in srkd's kinds."""
    most = int(np.iinfo(stored.dtype).max)
    colour = stored[..., : COLOURS[meaning]]
    if meaning == "palette":
        return (colormap().T >> 8).astype(np.uint8)[colour[..., 0]]
    if meaning == "separated":
        eight = colour if most == 255 else (colour >> 8).astype(np.uint8)
        return np.asarray(Image.fromarray(np.ascontiguousarray(eight), "CMYK").convert("RGB"))
    if meaning == "miniswhite":
        colour = most - colour
    if alpha is None:
        return colour[..., 0] if colour.shape[2] == 1 else colour
    covering = stored[..., -1:]
    if alpha == "assocalpha":
        shown = np.maximum(covering, 1).astype(np.uint64)
        colour = np.where(covering > 0, np.minimum(colour.astype(np.uint64) * most // shown, most), 0).astype(
            stored.dtype
        )
    return np.concatenate([np.repeat(colour, 3, 2) if colour.shape[2] == 1 else colour, covering], axis=2)


def turned(image: np.ndarray, orientation: int) -> np.ndarray:
    return {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: np.rot90(a[:, ::-1]),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a[:, ::-1], -1),
        8: lambda a: np.rot90(a),
    }[orientation](image)


def tiffs_of_pillow() -> Iterator[Case]:
    compressions = (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "group3", "group4", "lzma", "zstd")
    for compression, mode in itertools.product(
        compressions, ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F", "LAB")
    ):
        if (compression == "jpeg" and mode in ("1", "P", "I;16", "I", "F")) or (
            str(compression)[:5] == "group" and mode != "1"
        ):
            continue  # libtiff has no such combination
        image = pillow_image(mode)
        buffer = io.BytesIO()
        image.save(buffer, "TIFF", compression=compression)
        read = mode not in ("I", "F", "LAB")
        expected = by_pillow(buffer.getvalue()) if read else None
        yield Case(f"TIFF of Pillow {mode} {compression}", buffer.getvalue(), expected, must_read=read)


def pillow_image(mode: str) -> Image.Image:
    image = Image.fromarray(picture(3))
    if mode == "LAB":
        return Image.frombytes("LAB", image.size, image.tobytes())
    if mode == "I;16":
        return Image.fromarray(picture(1, 16)[..., 0])
    if mode in ("I", "F"):
        return image.convert("L").convert(mode)
    if mode in ("LA", "RGBA"):
        image = image.convert(mode)
        image.putalpha(Image.fromarray(picture(1)[..., 0]))
        return image
    return image.convert(mode)


def by_pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        if image.mode.startswith("I;16"):
            return np.asarray(image).astype(np.uint16)
        if image.mode == "La":
            return np.asarray(image.convert("LA").convert("RGBA"))
        if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
            return np.asarray(image.convert("RGBA"))
        return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


# --- PBM, PGM, PPM

MAXVALS = (1, 2, 3, 7, 15, 31, 63, 100, 127, 200, 254, 255, 256, 511, 1000, 1023, 4095, 16383, 32767, 65534, 65535)


def pnms() -> Iterator[Case]:
    for maxval, magic in itertools.product(MAXVALS, ("P2", "P3", "P5", "P6")):
        channels = 3 if magic in ("P3", "P6") else 1
        image = np.random.default_rng(maxval).integers(0, maxval + 1, (HEIGHT, WIDTH * channels))
        yield Case(f"PNM {magic} maxval {maxval}", pnm(image, magic, WIDTH, maxval), scaled(image, maxval, channels))
    bits = picture(1, 1)[..., 0]
    yield Case(
        "PNM P1",
        b"P1\n# black is 1\n50 37\n" + b"\n".join(b" ".join(b"%d" % v for v in r) for r in bits),
        255 - bits * 255,
    )
    yield Case("PNM P4", b"P4 50 37\n" + np.packbits(bits, axis=1).tobytes(), 255 - bits * 255)
    commented = b"P2\n# one\n2 # two\n1\n#three\n9\n# four\n3 #five\n9\n"
    yield Case("PNM with comments", commented, np.array([[85, 255]], np.uint8))
    for magic, channels in (("P5", 1), ("P6", 3)):
        above = np.full((HEIGHT, WIDTH * channels), 40)
        yield Case(f"PNM {magic} above its maxval", pnm(above, magic, WIDTH, 31), None, must_read=False)
    yield Case("PFM", b"PF\n2 1\n-1.0\n" + bytes(24), None, must_read=False)
    yield Case(
        "PAM", b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nTUPLTYPE GRAYSCALE\nENDHDR\n\1\2", None, must_read=False
    )


def pnm(image: np.ndarray, magic: str, width: int, maxval: int) -> bytes:
    header = f"{magic}\n{width} {len(image)}\n{maxval}\n".encode()
    if magic in ("P2", "P3"):
        return header + "\n".join(" ".join(map(str, row)) for row in image.tolist()).encode() + b"\n"
    return header + image.astype(">u2" if maxval > 255 else np.uint8).tobytes()


def scaled(image: np.ndarray, maxval: int, channels: int) -> np.ndarray:
    """By Pillow, which scales grey to 16 bits: RGB is given to it as grey of three times the width."""
    with Image.open(io.BytesIO(pnm(image, "P2", image.shape[1], maxval))) as grey:
        values = np.asarray(grey).astype(np.uint16 if maxval > 255 else np.uint8)
    return values.reshape(HEIGHT, WIDTH, 3) if channels == 3 else values


# --- PNG and the rest


def pngs() -> Iterator[Case]:
    for mode in ("1", "L", "LA", "RGB", "RGBA", "CMYK as RGB"):
        data = saved(pillow_image(mode if "as" not in mode else "RGB"), "PNG")
        yield Case(f"PNG {mode}", data, by_pillow(data))
    for colours, transparent in itertools.product((2, 4, 13, 16, 200, 256), (None, 0, 1)):
        image = Image.fromarray(picture(3)).quantize(colours)
        data = saved(image, "PNG", **({} if transparent is None else {"transparency": transparent}))
        yield Case(f"PNG palette {colours} transparent {transparent}", data, by_pillow(data))
    image = Image.fromarray(picture(3)).quantize(16)
    data = saved(image, "PNG", transparency=bytes(range(0, 160, 10)))
    yield Case("PNG palette with degrees of transparency", data, by_pillow(data))
    for colour_type, channels in ((0, 1), (2, 3), (4, 2), (6, 4)):
        for bits, interlaced in itertools.product((8, 16), (False, True)):
            image = picture(channels, bits)
            grey = np.repeat(image[..., :1], 3, 2)
            expected = {1: image[..., 0], 2: np.dstack([grey, image[..., -1]])}.get(channels, image)
            name = f"PNG colour type {colour_type}, {bits} bits{', interlaced' if interlaced else ''}"
            yield Case(name, png(image, colour_type, bits, interlaced=interlaced), expected)
    for bits in (1, 2, 4, 8, 16):
        image = picture(1, bits)[..., 0]
        key = int(image[HEIGHT // 2, WIDTH // 2])
        most = 255 if bits <= 8 else 65535
        grey = (image * (most // (2**bits - 1))).astype(np.uint8 if bits <= 8 else np.uint16)
        expected = np.dstack([grey, grey, grey, np.where(image == key, 0, most).astype(grey.dtype)])
        yield Case(f"PNG grey of {bits} bits", png(image[..., None], 0, bits), grey)
        yield Case(
            f"PNG grey of {bits} bits with a key", png(image[..., None], 0, bits, key=struct.pack(">H", key)), expected
        )
    for bits in (8, 16):
        image = picture(3, bits)
        key = image[HEIGHT // 2, WIDTH // 2]
        seen = np.where((image == key).all(2), 0, 2**bits - 1).astype(image.dtype)
        yield Case(
            f"PNG RGB of {bits} bits with a key",
            png(image, 2, bits, key=struct.pack(">3H", *key)),
            np.dstack([image, seen]),
        )
    frames = [Image.fromarray(picture(3)), Image.fromarray(picture(3)[::-1])]
    yield Case("PNG animated", saved(frames[0], "PNG", save_all=True, append_images=frames[1:]), picture(3))


ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def png(image: np.ndarray, colour_type: int, bits: int, *, interlaced: bool = False, key: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    def packed(row: np.ndarray) -> bytes:
        if bits == 16:
            return row.astype(">u2").tobytes()
        if bits == 8:
            return row.astype(np.uint8).tobytes()
        flat = np.unpackbits(row.astype(np.uint8).reshape(-1, 1), axis=1)[:, 8 - bits :]
        return np.packbits(flat.reshape(-1)).tobytes()

    parts = [image[y::dy, x::dx] for y, x, dy, dx in ADAM7] if interlaced else [image]
    raw = zlib.compress(b"".join(b"\0" + packed(row) for part in parts if part.size for row in part))
    header = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], bits, colour_type, 0, 0, interlaced)
    body = chunk(b"IHDR", header) + (chunk(b"tRNS", key) if key else b"") + chunk(b"IDAT", raw)
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def deeper() -> Iterator[Case]:
    """AVIF and JPEG 2000 of more than 8 bits by imagecodecs, whose own decoder says what is in them."""
    for bits, channels in itertools.product((9, 10, 12, 16), (1, 3, 4)):
        image = np.squeeze(picture(channels, bits))
        colours = imagecodecs.JPEG2K.CLRSPC.GRAY if channels == 1 else imagecodecs.JPEG2K.CLRSPC.SRGB
        for container in ("jp2", "j2k"):
            data = imagecodecs.jpeg2k_encode(
                image, bitspersample=bits, level=0, codecformat=container, colorspace=colours
            )
            yield Case(f"JPEG2000 {container} {bits} bits, {channels} channels", data, whole_range(image, bits))
        if bits in (10, 12) and channels > 1:
            data = imagecodecs.avif_encode(image, level=100, bitspersample=bits)
            yield Case(f"AVIF {bits} bits, {channels} channels", data, whole_range(imagecodecs.avif_decode(data), bits))
            half = imagecodecs.avif_encode(image, level=60, bitspersample=bits, pixelformat="420")
            expected = whole_range(imagecodecs.avif_decode(half), bits)
            yield Case(f"AVIF {bits} bits, {channels} channels, lossy", half, expected, tolerance=700)
    for name, options in {
        "signed": {"dtype": np.int16},
        "of other colours": {"colorspace": imagecodecs.JPEG2K.CLRSPC.SYCC},
    }.items():
        image = picture(3, 12).astype(options.pop("dtype", np.uint16))
        data = imagecodecs.jpeg2k_encode(image, bitspersample=12, level=0, **{"codecformat": "jp2", **options})
        yield Case(f"JPEG2000 {name}", data, None, must_read=False)


def whole_range(image: np.ndarray, bits: int) -> np.ndarray:
    return (image.astype(np.uint64) * 65_535 // (2**bits - 1)).astype(np.uint16)


def others() -> Iterator[Case]:
    for mode, lossless in itertools.product(("L", "RGB", "RGBA"), (True, False)):
        data = saved(pillow_image(mode), "WEBP", lossless=lossless)
        yield Case(f"WebP {mode} {'lossless' if lossless else 'lossy'}", data, by_pillow(data))
    for mode in ("L", "LA", "RGB", "RGBA"):
        for kind, options in (("AVIF", {"quality": 80}), ("JPEG2000", {}), ("JPEG2000", {"quality_layers": [20]})):
            if kind == "AVIF" and mode == "LA":
                continue
            data = saved(pillow_image(mode), kind, **options)
            yield Case(f"{kind} {mode} {options}", data, by_pillow(data))
    yield from deeper()
    data = saved(pillow_image("I;16"), "JPEG2000")
    yield Case("JPEG2000 grey of 16 bits", data, by_pillow(data))
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        data = saved(pillow_image(mode), "BMP")
        yield Case(f"BMP {mode}", data, by_pillow(data))
    yield from (Case(name, data, by_pillow(data)) for name, data in odd_bmps())
    for colours, transparent, interlace in itertools.product((2, 16, 256), (None, 1), (0, 1)):
        image = Image.fromarray(picture(3)).quantize(colours)
        options = {} if transparent is None else {"transparency": transparent}
        data = saved(image, "GIF", interlace=interlace, **options)
        yield Case(f"GIF {colours} colours, transparent {transparent}, interlace {interlace}", data, by_pillow(data))
    data = saved(pillow_image("L"), "GIF")
    yield Case("GIF grey", data, by_pillow(data))
    frames = [Image.fromarray(picture(3)), Image.fromarray(picture(3)[::-1])]
    for kind, options in (("GIF", {}), ("WEBP", {"lossless": True}), ("AVIF", {})):
        data = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        yield Case(f"{kind} animated", data, by_pillow(data))
    for mode, subsampling, progressive in itertools.product(("L", "RGB", "CMYK"), (0, 2), (False, True)):
        data = saved(pillow_image(mode), "JPEG", subsampling=subsampling, progressive=progressive, quality=92)
        yield Case(
            f"JPEG {mode} subsampling {subsampling} progressive {progressive}", data, by_pillow(data), tolerance=1
        )


def odd_bmps() -> Iterator[tuple[str, bytes]]:
    """16 bits, bit fields, run lengths, rows from the top."""
    rng = np.random.default_rng(11)
    for height in (4, -4):
        for name, bits, compression, masks in (
            ("5-5-5", 16, 0, ()),
            ("5-6-5", 16, 3, (0xF800, 0x7E0, 0x1F)),
            ("8-8-8-8", 32, 3, (0xFF0000, 0xFF00, 0xFF)),
        ):
            body = rng.integers(0, 256, 8 * 4 * bits // 8, dtype=np.uint8).tobytes()
            extra = b"".join(struct.pack("<I", mask) for mask in masks)
            yield f"BMP {name} height {height}", bmp(8, height, bits, compression, extra, body)
    palette = b"".join(struct.pack("<I", int(value)) for value in rng.integers(0, 2**24, 256))
    runs = b"".join(bytes((5, n, 3, n + 9, 0, 0)) for n in range(3)) + bytes((8, 77, 0, 1))
    yield "BMP RLE8", bmp(8, 4, 8, 1, palette, runs)
    nibbles = b"".join(bytes((8, 0x10 + n, 0, 0)) for n in range(3)) + bytes((8, 0x7A, 0, 1))
    yield "BMP RLE4", bmp(8, 4, 4, 2, palette[:64], nibbles)
    yield "BMP 4 bits", bmp(8, 4, 4, 0, palette[:64], rng.integers(0, 256, 16, dtype=np.uint8).tobytes())


def bmp(width: int, height: int, bits: int, compression: int, table: bytes, body: bytes) -> bytes:
    start = 14 + 40 + len(table)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(body), 2835, 2835, 0, 0)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + info + table + body
