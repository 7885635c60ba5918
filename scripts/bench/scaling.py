"""What a training iteration of srkd costs as batch, patch, width, number of images and number of processes grow.

  python scripts/bench/scaling.py
  python scripts/bench/scaling.py --block 10 --save

EDSR of 16 blocks, ×4, L1, Adam, moving average, from PNG files that are decoded into memory. One of the sizes changes
at a time, from batch 16, patch 192, 64 channels, 64 images, one process; `start` is what happens before, with decoding
and three iterations that warm up. Two processes (torchrun; gloo, or nccl where there are two GPUs) share the cores and
have a batch each. With --save a chart is drawn beside the file.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from common import parse, report, save_rows
from photographs import mosaics, photographs, write_pairs
from train_step import SCALE, WARM, options_of, step_flops, write_options
from turns import Values, Worker, measure

BASE = {"batch": 16, "patch": 192, "channels": 64, "images": 64, "processes": 1}
SIZES = {
    "batch": [4, 8, 16, 32],
    "patch": [48, 96, 192],
    "channels": [16, 32, 64],
    "images": [64, 128, 256, 512],
    "processes": [1, 2],
}
TINY = {
    "base": {"batch": 2, "patch": 32, "channels": 8, "images": 4, "processes": 1},
    "sizes": {"batch": [2, 4], "images": [4, 8], "processes": [1, 2]},
    "block": 1,
}
TRAIN_STEP = str(Path(__file__).with_name("train_step.py"))


def write_images(folder: Path, count: int, side: int) -> None:
    """Crops of `side` × `side` from mosaics of photographs."""
    rng, pictures = np.random.default_rng(0), mosaics(list(photographs(None).values()), 4)
    crops = {}
    for number in range(count):
        picture = pictures[number % len(pictures)]
        top, left = (int(rng.integers(0, length - side + 1)) for length in picture.shape[:2])
        crops[f"{number:04}"] = picture[top : top + side, left : left + side]
    write_pairs(folder, crops, SCALE)


def iteration(size: Values, args: argparse.Namespace, folder: Path) -> Values:
    """Seconds of an iteration of one size, of these waiting for data, and of the start."""
    pairs = folder / str(size["images"])
    if not pairs.is_dir():
        write_images(pairs, size["images"], 256)
    opt, cuda = folder / "scaling.yml", args.device == "cuda"
    sizes = {"batch": size["batch"], "patch": size["patch"], "features": size["channels"], "workers": args.workers}
    content = options_of(pairs, **sizes, iterations=WARM + 1 + args.block, cuda=cuda)
    if size["processes"] > max(torch.cuda.device_count(), 1) and cuda:
        return {"skipped": "there are not as many GPUs"}
    write_options(opt, content)
    settings = {"variant": f"srkd {args.precision}", "opt": str(opt), "block": args.block, "device": args.device}
    threads = max(args.threads // size["processes"], 1)
    worker = Worker(TRAIN_STEP, settings, allocator="default", threads=threads, nproc=size["processes"])
    try:
        return worker.turn()
    finally:
        worker.close()


def chart_of(rows: list[Values]) -> str:
    """Seconds of an iteration against each size, as SVG."""
    from srkd.evaluation.report.charts import Axis, Point, Series, chart, standalone

    charts = []
    for number, axis in enumerate(dict.fromkeys(row["axis"] for row in rows)):
        points = [Point(float(row["size"]), row["seconds"]) for row in rows if row["axis"] == axis and "seconds" in row]
        series = [Series("", points, style=number, line=True)]
        axes = Axis(axis, log=True), Axis("seconds", log=True)
        charts.append(chart(series, *axes, title=f"Seconds an iteration: {axis}"))
    return standalone(charts)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--block", type=int, default=4, help="iterations that are timed (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="of the loader on CUDA (default: %(default)s)")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16")
    parser.set_defaults(base=BASE, sizes=SIZES)


def main() -> None:
    args = parse(__doc__, TINY, options)
    _, ceiling = measure(TRAIN_STEP, {}, device=args.device, threads=args.threads, rounds=3)
    rows: list[Values] = []
    known: dict[tuple[int, ...], Values] = {}
    with tempfile.TemporaryDirectory() as name:
        for axis, values in args.sizes.items():
            for value in values:
                size = {**args.base, axis: value}
                key = tuple(size.values())
                if key not in known:
                    known[key] = iteration(size, args, Path(name))
                row = {"axis": axis, "size": value, **known[key]}
                if "seconds" in row:
                    flops = step_flops(size["channels"], size["batch"], size["patch"]) * size["processes"]
                    row["images_a_second"] = size["batch"] * size["processes"] / row["seconds"]
                    row["of_ceiling"] = flops / row["seconds"] / (ceiling[f"conv_{args.precision}"] * 1e9)
                rows.append(row)
                save_rows(__file__, args, rows, ceiling)
    file = report(__file__, args, rows, ceiling)
    if file:
        from srkd.atomic import atomic_write_text

        atomic_write_text(file.with_suffix(".svg"), chart_of(rows))


if __name__ == "__main__":
    main()
