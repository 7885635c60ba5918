"""Peak memory of one large image on the CPU, and whether windows change it.

  python scripts/bench/large_image.py
  python scripts/bench/large_image.py --size 4000x6000 --model net_g_latest.pth --width 1

Upscales a photograph-like image of the given size (default 4000 × 6000) with a ×2 EDSR of 32 channels and 8 blocks, or
with a model of yours, into an array; prints the peak of the resident set beside input, output and what was there before
(Linux), and compares a crop with the same crop upscaled directly, with the receptive field around it.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

import srkd
from srkd.imaging.resize import imresize
from srkd.networks.edsr import EDSR

MIB = 2**20


def resident(*, peak: bool = False) -> int:
    """Bytes of the resident set, now or at its peak since the last reset."""
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in status if line.startswith("VmHWM" if peak else "VmRSS")).split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="4000x6000", help="rows x columns")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--precision", default="fp32")
    args = parser.parse_args()
    height, width_px = map(int, args.size.split("x"))

    torch.manual_seed(0)
    model = args.model or EDSR(num_feat=32, num_block=8, upscale=2, img_range=1.0)
    up = srkd.Upscaler(model, width=args.width, device="cpu", precision=args.precision)
    coarse = np.random.default_rng(0).integers(0, 256, (250, 375, 3), np.uint8)
    image = np.tile(imresize(coarse, scale=4), (height // 1000 + 1, width_px // 1500 + 1, 1))[:height, :width_px].copy()
    out = np.zeros((height * up.scale, width_px * up.scale, 3), np.uint8)
    up(image[:64, :64])  # libraries loaded, kernels made

    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
    before, began = resident(), time.perf_counter()
    up.upscale(image, out=out)
    seconds, beside = time.perf_counter() - began, resident(peak=True) - before

    top, left, side, margin = height // 3, width_px // 3, 200, up.margin
    around = image[top - margin : top + side + margin, left - margin : left + side + margin]
    direct = srkd.Upscaler(model, width=args.width, device="cpu", precision=args.precision, tile=0)(around)
    inner = direct[margin * up.scale : -margin * up.scale, margin * up.scale : -margin * up.scale]
    kept = out[top * up.scale : (top + side) * up.scale, left * up.scale : (left + side) * up.scale]
    difference = int(np.abs(kept.astype(int) - inner).max())
    print(
        f"{height} × {width_px} ×{up.scale}, width {up.width:g}, {up.precision}, windows of "
        f"{up.tile_for(height, width_px)} pixels: {seconds:.0f} s, peak {beside / MIB:.0f} MiB beside input "
        f"({image.nbytes / MIB:.0f} MiB) and output ({out.nbytes / MIB:.0f} MiB); largest difference from a crop "
        f"computed directly: {difference} of 255."
    )


if __name__ == "__main__":
    main()
