"""Training crops a second that one core makes of 2K images: srkd's batches against BasicSR's data set, run for real.

  python scripts/bench/data.py
  python scripts/bench/data.py --images DIV2K_train_HR --count 32 --save

×4, batch 16, patch 192, flips and rotations, from PNG files of 2040 × 1356: mosaics of the photographs that ship with
scikit-image, or of the images in a folder. BasicSR's `PairedImageDataset` reads and decodes the files at every use:
whole images, or sub-images of 480 × 480 as its preparation script makes them. srkd's `TrainBatches` cut from images
that were decoded once, into memory or into a memory-mapped file. Every process is bound to one core. The ceiling is
what any way has to do last: as many bytes, already cut and in order, to floating point. Beside it: the time to decode
one such file, by OpenCV (which both use) and by kornia_rs.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from common import comparison, measured, parse, report
from photographs import mosaics, photographs, write_pairs
from turns import Key, Values, serve, timed, worker

SCALE, SUB = 4, 480
TINY = {"count": 1, "batch": 2, "patch": 64}


def basicsr_batches(folder: Path, batch: int, patch: int) -> Callable[[], object]:
    """A batch as a worker of BasicSR's loader makes it."""
    from srkd.compat.basicsr import import_basicsr

    import_basicsr()
    from basicsr.data.paired_image_dataset import PairedImageDataset
    from torch.utils.data import default_collate

    options = {
        "dataroot_gt": str(folder / "gt"),
        "dataroot_lq": str(folder / "lq"),
        "io_backend": {"type": "disk"},
        "phase": "train",
        "scale": SCALE,
        "gt_size": patch,
        "use_hflip": True,
        "use_rot": True,
    }
    data, rng = PairedImageDataset(options), np.random.default_rng(0)
    return lambda: default_collate([data[index] for index in rng.integers(0, len(data), batch).tolist()])


def srkd_batches(folder: Path, batch: int, patch: int, *, cache: Path | None) -> Callable[[], object]:
    """A batch of srkd's, from memory or from a memory-mapped file."""
    from srkd.data.batches import TrainBatches
    from srkd.data.paired_image import IOBackend, PairedImageDataset

    dataset = PairedImageDataset(
        scale=SCALE,
        dataroot_gt=str(folder / "gt"),
        dataroot_lq=str(folder / "lq"),
        gt_size=patch,
        use_hflip=True,
        use_rot=True,
        io_backend=IOBackend("cache", None if cache is None else str(cache)),
    )
    batches, number = TrainBatches(dataset, seed=0, batch_size=batch), iter(range(10**9))
    dataset.prepare()
    return lambda: batches[next(number)]


def conversion(batch: int, patch: int) -> Callable[[], object]:
    """The ceiling: the bytes of a batch to floating point."""
    raw = torch.zeros(batch * 3 * patch**2 * (SCALE**2 + 1) // SCALE**2, dtype=torch.uint8)
    out = torch.zeros(raw.shape)
    return lambda: torch.div(raw, 255, out=out)


def decoder(folder: Path, how: str) -> Callable[[], object]:
    """Decode every file of a folder."""
    files = sorted(map(str, folder.iterdir()))
    if how == "cv2":
        return lambda: [cv2.imread(file, cv2.IMREAD_UNCHANGED) for file in files]
    import kornia_rs.io

    return lambda: [kornia_rs.io.read_image(file) for file in files]


def serve_one(variant: str, folder: str, batch: int, patch: int, device: str) -> None:
    """The worker: seconds a crop, or a file."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(0)
    root = Path(folder)
    if variant in ("cv2", "kornia_rs"):
        run, pieces, repeats = decoder(root / "full" / "gt", variant), len(list((root / "full" / "gt").iterdir())), 1
    elif variant == "conversion":
        run, pieces, repeats = conversion(batch, patch), batch, 20
    elif variant.startswith("srkd"):
        cache = root if variant == "srkd file" else None
        run, pieces, repeats = srkd_batches(root / "full", batch, patch, cache=cache), batch, 20
    else:
        run, pieces, repeats = basicsr_batches(root / variant.split()[-1], batch, patch), batch, 1
    run()

    def turn() -> Values:
        seconds = timed(device, lambda: [run() for _ in range(repeats)]) / repeats / pieces
        return {"seconds": seconds, "rate": 1 / seconds}

    serve(turn)


def same_pixels(file: Path) -> bool:
    """Whether both decoders read the same."""
    import kornia_rs.io

    ours = np.from_dlpack(kornia_rs.io.read_image(str(file)))
    return np.array_equal(cv2.imread(str(file))[..., ::-1], ours)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="default: scikit-image's photographs")
    parser.add_argument("--count", type=int, default=16, help="2K images (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch", type=int, default=192)


def main() -> None:
    if given := worker():
        torch.set_num_threads(1)
        return serve_one(**given)
    args = parse(__doc__, TINY, options)
    sub = range(0, 1356 - SUB + 1, SUB), range(0, 2040 - SUB + 1, SUB)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        full = dict(enumerate(mosaics(list(photographs(args.images).values()), args.count)))
        write_pairs(folder / "full", {f"{number:04}": picture for number, picture in full.items()})
        cut = {
            f"{number:04}_{top}_{left}": picture[top : top + SUB, left : left + SUB]
            for number, picture in full.items()
            for top in sub[0]
            for left in sub[1]
        }
        write_pairs(folder / "sub", cut)
        sizes = {"batch": args.batch, "patch": args.patch}
        own = ("srkd memory", "srkd file", "kornia_rs")
        variants = {
            how: {"folder": name, **sizes} for how in ("BasicSR full", "BasicSR sub", "conversion", "cv2", *own)
        }
        same = same_pixels(folder / "full" / "gt" / "0000.png")

        def rows_of(medians: Mapping[Key, Values], ceiling: Values) -> list[Values]:
            rows = [
                comparison(
                    medians,
                    what=f"training crops of {args.patch} × {args.patch}, one core, srkd from {place}",
                    peer=f"BasicSR {kind}",
                    peer_name=f"BasicSR, {told} from disk",
                    own=f"srkd {where}",
                    value="rate",
                    unit="crops/s",
                    of_ceiling=medians[f"srkd {where}", "default"]["rate"] / medians["conversion", "tuned"]["rate"],
                    headline=where == "memory",
                )
                for where, place in (("memory", "memory"), ("file", "a mapped file"))
                for kind, told in (("full", "whole 2K images"), ("sub", "480 × 480 sub-images"))
            ]
            what = "decoding a 2K PNG file by kornia_rs"
            return [*rows, comparison(medians, what=what, peer="cv2", own="kornia_rs", same_pixels=same)]

        packages = ("basicsr", "opencv-python", "kornia_rs")
        rows, _ = measured(__file__, args, variants, rows_of, *packages, device="cpu", threads=1, own=own)
    torch.set_num_threads(1)  # what the environment says is what the workers had
    report(__file__, args, rows, {}, *packages)


if __name__ == "__main__":
    main()
