"""Peak memory of one large image on the CPU, and whether windows change it.

  python scripts/bench/large_image.py
  python scripts/bench/large_image.py --size 4000x6000 --model net_g_latest.pth --width 1 --save

Upscales a photograph-like image of the given size (default 4000 × 6000) with a ×2 EDSR of 32 channels and 8 blocks, or
with a model of yours, into an array; the peak of the resident set is what comes beside input, output and what was there
before (Linux). A crop is compared with the same crop upscaled directly, with the receptive field around it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from common import parse, report
from turns import MIB, Values, measure, peak_mib, serve, timed, worker

TINY = {"size": "200x300"}


def serve_one(variant: str, model: str | None, size: str, width: float, precision: str, device: str) -> None:
    """The worker: seconds, memory and the largest difference of a crop."""
    import srkd
    from srkd.imaging.resize import imresize
    from srkd.networks.edsr import EDSR

    height, width_px = map(int, size.split("x"))
    torch.manual_seed(0)
    network = model or EDSR(num_feat=32, num_block=8, upscale=2, img_range=1.0)
    how = {"width": width, "device": "cpu", "precision": precision}
    up = srkd.Upscaler(network, **how)
    coarse = np.random.default_rng(0).integers(0, 256, (250, 375, 3), np.uint8)
    image = np.tile(imresize(coarse, scale=4), (height // 1000 + 1, width_px // 1500 + 1, 1))[:height, :width_px].copy()
    out = np.zeros((height * up.scale, width_px * up.scale, 3), np.uint8)
    out.fill(1)  # its pages exist before they are counted
    up(image[:64, :64])  # libraries loaded, kernels made

    def turn() -> Values:
        before = peak_mib(device, reset=True)
        seconds = timed(device, lambda: up.upscale(image, out=out))
        beside = peak_mib(device) - before
        top, left, side, margin = height // 3, width_px // 3, min(200, height // 3), min(up.margin, height // 3)
        around = image[top - margin : top + side + margin, left - margin : left + side + margin]
        edge = margin * up.scale
        inner = srkd.Upscaler(network, tile=0, **how)(around)[edge:-edge, edge:-edge]
        kept = out[top * up.scale : (top + side) * up.scale, left * up.scale : (left + side) * up.scale]
        return {
            "seconds": seconds,
            "mib": beside,
            "input_mib": image.nbytes / MIB,
            "output_mib": out.nbytes / MIB,
            "window": up.tile_for(height, width_px),
            "largest_difference": int(np.abs(kept.astype(int) - inner).max()),
        }

    serve(turn)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", default="4000x6000", help="rows x columns")
    parser.add_argument("--model", help="a checkpoint")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--precision", default="fp32")
    parser.set_defaults(rounds=1)


def main() -> None:
    if given := worker():
        return serve_one(**given)
    args = parse(__doc__, TINY, options)
    given = {name: getattr(args, name) for name in ("size", "model", "width", "precision")}
    given["model"] = args.model and str(Path(args.model).resolve())
    medians, ceiling = measure(__file__, {"srkd": given}, device="cpu", threads=args.threads, rounds=args.rounds)
    rows = [
        {"what": f"image of {args.size}, width {args.width:g}, {args.precision}", "allocator": allocator, **values}
        for (_, allocator), values in medians.items()
    ]
    report(__file__, args, rows, ceiling)


if __name__ == "__main__":
    main()
