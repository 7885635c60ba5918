"""PSNR, SSIM and MATLAB's bicubic on one thread: srkd against BasicSR and scikit-image, times and values.

  python scripts/bench/metrics.py
  python scripts/bench/metrics.py --images DIV2K_valid_HR --save

PSNR and SSIM of two uint8 images of 1024 × 768, on Y, border 4; scikit-image with the settings that make it the same
metric. `imresize` of a picture of 2040 × 1356 to a quarter and of that to four times its size, from uint8 to uint8.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
import torch
from common import comparison, measured, parse, report
from numpy.typing import NDArray
from photographs import RGB8, mosaics, photographs
from turns import Key, Values, serve, timed, worker

BORDER, SCALE = 4, 4
TINY = {"side": 128}
Run = Callable[[], object]


def by_srkd(sr: RGB8, gt: RGB8, large: RGB8, small: RGB8) -> dict[str, Run]:
    from srkd.imaging.resize import imresize
    from srkd.metrics.psnr import psnr
    from srkd.metrics.ssim import ssim

    return {
        "PSNR": lambda: psnr(sr, gt, crop_border=BORDER, test_y_channel=True),
        "SSIM": lambda: ssim(sr, gt, crop_border=BORDER, test_y_channel=True),
        "down": lambda: imresize(large, scale=1 / SCALE),
        "up": lambda: imresize(small, scale=SCALE),
    }


def by_basicsr(sr: RGB8, gt: RGB8, large: RGB8, small: RGB8) -> dict[str, Run]:
    from srkd.compat.basicsr import import_basicsr

    import_basicsr()
    from basicsr.metrics import calculate_psnr, calculate_ssim
    from basicsr.utils.matlab_functions import imresize

    def resized(image: RGB8, scale: float) -> RGB8:
        result = imresize(image.astype(np.float32) / 255, scale)
        return np.clip(result * 255, 0, 255).round().astype(np.uint8)

    sr, gt = (np.ascontiguousarray(image[..., ::-1]) for image in (sr, gt))  # BGR, as BasicSR reads files
    return {
        "PSNR": lambda: calculate_psnr(sr, gt, crop_border=BORDER, test_y_channel=True),
        "SSIM": lambda: calculate_ssim(sr, gt, crop_border=BORDER, test_y_channel=True),
        "down": lambda: resized(large, 1 / SCALE),
        "up": lambda: resized(small, SCALE),
    }


def by_skimage(sr: RGB8, gt: RGB8, large: RGB8, small: RGB8) -> dict[str, Run]:
    from skimage.color import rgb2ycbcr
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    def luma(image: RGB8) -> NDArray[np.float64]:
        return rgb2ycbcr(image[BORDER:-BORDER, BORDER:-BORDER])[..., 0]

    same = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return {
        "PSNR": lambda: peak_signal_noise_ratio(luma(gt), luma(sr), data_range=255),
        "SSIM": lambda: structural_similarity(luma(gt), luma(sr), data_range=255, **same),
    }


BY = {"srkd": by_srkd, "BasicSR": by_basicsr, "scikit-image": by_skimage}


def serve_one(variant: str, images: str, results: str, device: str) -> None:
    """The worker: seconds and values of each operation; resized images are written to `results`."""
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    runs = BY[variant](**np.load(images))
    values: Values = {}
    for name, run in runs.items():
        value = run()
        if isinstance(value, np.ndarray):
            np.save(Path(results) / f"{variant}_{name}.npy", value)
        else:
            values[f"{name} value"] = float(value)
    serve(lambda: {name: timed(device, run) for name, run in runs.items()} | values)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="default: scikit-image's photographs")
    parser.add_argument("--side", type=int, default=1024, help="width of what is compared (default: %(default)s)")
    parser.set_defaults(rounds=15)


def main() -> None:
    if given := worker():
        return serve_one(**given)
    args = parse(__doc__, TINY, options)
    from srkd.imaging.resize import imresize

    large = mosaics(list(photographs(args.images).values()), 1)[0]
    gt = large[: args.side * 3 // 4, : args.side]
    sr = imresize(imresize(gt, scale=1 / SCALE), scale=SCALE)
    with tempfile.TemporaryDirectory() as name:
        images = Path(name) / "images.npz"
        np.savez(images, sr=sr, gt=gt, large=large, small=imresize(large, scale=1 / SCALE))
        variants = {how: {"images": str(images), "results": name} for how in BY}

        def rows_of(medians: Mapping[Key, Values], ceiling: Values) -> list[Values]:
            rows = []
            for peer in ("BasicSR", "scikit-image"):
                for metric in ("PSNR", "SSIM"):
                    values = [medians[key][f"{metric} value"] for key in (("srkd", "default"), (peer, "stock"))]
                    what = f"{metric} of {gt.shape[1]} × {gt.shape[0]}, Y, one thread"
                    more = {"headline": peer == "BasicSR", "difference": f"{abs(values[0] - values[1]):.1e}"}
                    rows.append(comparison(medians, what=what, peer=peer, value=metric, **more))
            for how, told in (("down", "2040 × 1356 to a quarter"), ("up", "510 × 339 to four times the size")):
                ours, theirs = (np.load(f"{name}/{whose}_{how}.npy") for whose in ("srkd", "BasicSR"))
                difference = f"{int(np.count_nonzero(ours != theirs))} of {ours.size} values"
                what = f"bicubic {told}, one thread"
                more = {"headline": True, "difference": difference}
                rows.append(comparison(medians, what=what, peer="BasicSR", value=how, **more))
            return rows

        packages = ("basicsr", "scikit-image", "opencv-python")
        rows, _ = measured(__file__, args, variants, rows_of, *packages, device="cpu", threads=1)
    torch.set_num_threads(1)  # what the environment says is what the workers had
    report(__file__, args, rows, {}, *packages)


if __name__ == "__main__":
    main()
