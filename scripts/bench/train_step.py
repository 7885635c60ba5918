"""Seconds of a training iteration, end to end: srkd's trainer against BasicSR's own pipeline, run for real.

  python scripts/bench/train_step.py
  python scripts/bench/train_step.py --images datasets/train/bsds399 --iterations 12 --tuned

EDSR-baseline ×4 (64 channels, 16 blocks), L1, Adam, moving average, batch 16, patch 192, on folders of PNG files.
BasicSR's `train_pipeline` runs as its users run it; the time between the ends of two optimiser steps is taken. srkd
runs the same options, in `--precision`. Each has a process of its own; the first iterations do not count. Without
`--images` the photographs that ship with scikit-image are used. With `--tuned` both run with glibc's allocator told to
keep large blocks (like for like).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TUNED = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592:glibc.malloc.top_pad=268435456"
WARM = 2  # iterations that allocate, decode and choose kernels


def options(folder: Path, *, batch: int, patch: int, iterations: int, workers: int) -> dict:
    """An option file of BasicSR's, which srkd reads as it stands."""
    network = {"type": "EDSR", "num_in_ch": 3, "num_out_ch": 3, "num_feat": 64, "num_block": 16, "upscale": 4}
    return {
        "name": "bench",
        "model_type": "SRModel",
        "scale": 4,
        "num_gpu": 0,
        "manual_seed": 0,
        "datasets": {
            "train": {
                "name": "bench",
                "type": "PairedImageDataset",
                "dataroot_gt": str(folder / "gt"),
                "dataroot_lq": str(folder / "lq"),
                "io_backend": {"type": "disk"},
                "gt_size": patch,
                "use_hflip": True,
                "use_rot": True,
                "use_shuffle": True,
                "num_worker_per_gpu": workers,
                "batch_size_per_gpu": batch,
                "dataset_enlarge_ratio": 100,
                "prefetch_mode": None,
            }
        },
        "network_g": {**network, "res_scale": 1, "img_range": 255.0, "rgb_mean": [0.4488, 0.4371, 0.4040]},
        "path": {"pretrain_network_g": None, "strict_load_g": True, "resume_state": None},
        "train": {
            "ema_decay": 0.999,
            "optim_g": {"type": "Adam", "lr": 1e-4, "weight_decay": 0, "betas": [0.9, 0.99]},
            "scheduler": {"type": "MultiStepLR", "milestones": [200000], "gamma": 0.5},
            "total_iter": iterations,
            "warmup_iter": -1,
            "pixel_opt": {"type": "L1Loss", "loss_weight": 1.0, "reduction": "mean"},
        },
        "logger": {"print_freq": 1000, "save_checkpoint_freq": 100000, "use_tb_logger": False},
        "dist_params": {"backend": "nccl", "port": 29500},
    }


def prepare(folder: Path, images: Path | None, patch: int) -> None:
    """Pairs as PNG files; images smaller than the patch are left out."""
    import skimage.data

    from srkd.imaging.files import list_images, read_image, to_rgb8, write_image
    from srkd.imaging.resize import imresize, mod_crop

    names = ("astronaut", "chelsea", "coffee", "rocket")
    if images is None:
        pictures = [(name, getattr(skimage.data, name)()) for name in names]
    else:
        pictures = [(path.stem, to_rgb8(read_image(path))) for path in list_images(images)]
    for name, picture in pictures:
        if min(picture.shape[:2]) >= patch:
            gt = mod_crop(picture, 4)
            write_image(folder / "gt" / f"{name}.png", gt)
            write_image(folder / "lq" / f"{name}.png", imresize(gt, scale=1 / 4))


def basicsr_steps(opt: Path) -> list[float]:
    """Seconds of each iteration of BasicSR's pipeline."""
    from srkd.compat.basicsr import import_basicsr

    import_basicsr()
    from basicsr import train
    from basicsr.models.sr_model import SRModel

    ends: list[float] = []
    step = SRModel.optimize_parameters

    def timed(self: SRModel, current_iter: int) -> None:
        step(self, current_iter)
        ends.append(time.perf_counter())

    SRModel.optimize_parameters = timed
    sys.argv = ["train.py", "-opt", str(opt)]
    train.train_pipeline(str(opt.parent))
    return [after - before for before, after in itertools.pairwise(ends)]


def srkd_steps(opt: Path, precision: str) -> list[float]:
    """Seconds of each iteration of srkd's trainer."""
    from srkd.engine import build
    from srkd.engine.trainer import Trainer
    from srkd.options import load_train_options

    ends: list[float] = []
    step = Trainer._step

    def timed(self: Trainer, *arguments: object) -> object:
        losses = step(self, *arguments)
        ends.append(time.perf_counter())
        return losses

    Trainer._step = timed
    options = load_train_options(opt, [f"train.precision={precision}", "datasets.train.io_backend={type: cache}"])
    trainer = build.build_trainer(options, build.Start(dry=True))
    trainer.rehearse(options.train.total_iter)
    return [after - before for before, after in itertools.pairwise(ends)]


def in_own_process(args: argparse.Namespace, how: str, opt: Path) -> float:
    command = [sys.executable, __file__, "--one", how, "--opt", str(opt), "--precision", args.precision]
    tuned = {"GLIBC_TUNABLES": TUNED} if args.tuned else {}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=opt.parent, env={**os.environ, **tuned}
    )
    if done.returncode:
        raise SystemExit(f"{how}: exit status {done.returncode}\n{done.stdout[-1000:]}\n{done.stderr[-2000:]}")
    return statistics.median(json.loads(done.stdout.splitlines()[-1])[WARM:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="HR images (default: scikit-image's photographs)")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch", type=int, default=192)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1, help="of BasicSR's loader (default: %(default)s)")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16", help="of srkd (default: %(default)s)")
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--opt", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        seconds = basicsr_steps(args.opt) if args.one == "basicsr" else srkd_steps(args.opt, args.precision)
        sys.stdout.write("\n" + json.dumps(seconds) + "\n")
        return

    import yaml
    from rich.console import Console

    from srkd.provenance import environment

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, args.images, args.patch)
        sizes = {"batch": args.batch, "patch": args.patch, "iterations": args.iterations, "workers": args.workers}
        opt = folder / "bench.yml"
        opt.write_text(yaml.safe_dump(options(folder, **sizes), sort_keys=False), encoding="utf-8")
        rows = {how: in_own_process(args, how, opt) for how in ("basicsr", "srkd")}
    where = environment("cpu")
    console = Console(width=140)
    console.print(
        f"EDSR-baseline ×4, batch {args.batch}, patch {args.patch}{', tuned allocator' if args.tuned else ''}: BasicSR "
        f"{rows['basicsr']:.3f} s an iteration, srkd ({args.precision}) {rows['srkd']:.3f} s: "
        f"{rows['basicsr'] / rows['srkd']:.2f} × as fast.",
        highlight=False,
    )
    console.print(", ".join(f"{key} {value}" for key, value in where.items()), highlight=False)
    if args.output:
        content = {"environment": where, "command": " ".join(sys.argv), "tuned": args.tuned, "seconds": rows}
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
