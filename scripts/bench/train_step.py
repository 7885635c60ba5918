"""Time of a training iteration, end to end: srkd's trainer against BasicSR's own pipeline, run for real.

  python scripts/bench/train_step.py
  python scripts/bench/train_step.py --images datasets/train/bsds399 --block 4 --save
  python scripts/bench/train_step.py --device cuda --workers 8 --block 100 --save

EDSR-baseline ×4 (64 channels, 16 blocks), L1, Adam, moving average, batch 16, patch 192, on folders of PNG files.
BasicSR's `train_pipeline` runs as its users run it; the time between the ends of two optimiser steps is taken. On CUDA
it runs a second time with data that are ready tensors in memory, which tells the network's part from the data's. srkd
runs the same option file, in fp32 and in bf16. A GPU of 2020 or later rounds BasicSR's convolutions to TF32, as PyTorch
comes: srkd runs in `tf32` too, and BasicSR without it, to compare like with like. A turn is `--block` iterations; the
first ones do not count.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from common import comparison, measured, parse, report, rounds_to_tf32
from photographs import photographs, write_pairs
from turns import Key, Values, answer, serve, wait_for_turn, worker

WARM = 3  # iterations that allocate, decode and choose kernels
SCALE, READY = 4, 256  # crops that are ready tensors
TINY = {"batch": 2, "patch": 32, "block": 1, "features": 8}


def options_of(
    folder: Path, *, batch: int, patch: int, workers: int, features: int, iterations: int, cuda: bool
) -> dict:
    """An option file of BasicSR's, which srkd reads as it stands."""
    network = {"type": "EDSR", "num_in_ch": 3, "num_out_ch": 3, "num_feat": features, "num_block": 16, "upscale": SCALE}
    return {
        "name": "bench",
        "model_type": "SRModel",
        "scale": SCALE,
        "num_gpu": int(cuda),
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
                "dataset_enlarge_ratio": math.ceil(iterations * batch / len(list((folder / "gt").iterdir()))),
                "prefetch_mode": "cuda" if cuda else None,
                "pin_memory": cuda,
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
        "logger": {"print_freq": 10**6, "save_checkpoint_freq": 10**6, "use_tb_logger": False},
        "dist_params": {"backend": "nccl", "port": 29500},
    }


def write_options(file: Path, content: dict[str, Any]) -> None:
    import yaml

    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def basicsr_turns(opt: Path, block: int) -> None:
    """BasicSR's pipeline, which hands over after every block of iterations."""
    from srkd.compat.basicsr import import_basicsr

    import_basicsr()
    from basicsr import train
    from basicsr.data.prefetch_dataloader import CPUPrefetcher, CUDAPrefetcher
    from basicsr.models.sr_model import SRModel
    from basicsr.utils.registry import DATASET_REGISTRY

    clock = {"began": 0.0, "waited": 0.0}

    @DATASET_REGISTRY.register()
    class ReadyTensors(torch.utils.data.Dataset):
        def __init__(self, opt: dict[str, Any]) -> None:
            self.opt, self.pairs = opt, torch.load(opt["tensors"], weights_only=True)

        def __len__(self) -> int:
            return len(self.pairs["gt"])

        def __getitem__(self, index: int) -> dict[str, Any]:
            return {**{name: self.pairs[name][index] for name in ("lq", "gt")}, "lq_path": "", "gt_path": ""}

    def waiting(next_batch: Any) -> Any:
        def counted(self: Any) -> Any:
            began = time.perf_counter()
            batch = next_batch(self)
            clock["waited"] += time.perf_counter() - began
            return batch

        return counted

    def handing_over(step: Any) -> Any:
        def counted(self: SRModel, iteration: int) -> None:
            step(self, iteration)
            if iteration < WARM or (iteration - WARM) % block:
                return
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds = time.perf_counter() - clock["began"]
            answer({} if iteration == WARM else rates(seconds / block, clock["waited"] / block))
            if not wait_for_turn():
                os._exit(0)
            clock.update(began=time.perf_counter(), waited=0.0)

        return counted

    for prefetcher in (CPUPrefetcher, CUDAPrefetcher):
        prefetcher.next = waiting(prefetcher.next)
    SRModel.optimize_parameters = handing_over(SRModel.optimize_parameters)
    sys.argv = ["train.py", "-opt", str(opt)]
    train.train_pipeline(str(opt.parent))


def srkd_turns(opt: Path, block: int, precision: str) -> None:
    """srkd's trainer: a rehearsal, which writes nothing, in every turn."""
    began = time.perf_counter()
    from srkd.engine import build
    from srkd.engine.trainer import Trainer
    from srkd.options import load_train_options

    options = load_train_options(opt, [f"train.precision={precision}", "datasets.train.io_backend={type: cache}"])
    trainer: Trainer = build.build_trainer(options, build.Start(dry=True))
    trainer.rehearse(WARM)
    start = time.perf_counter() - began

    def turn() -> Values:
        (seconds, waited), _ = trainer.rehearse(1 + block)  # the first one is not counted
        return rates(seconds, waited) | {"start": start}

    if trainer.world.is_main:
        return serve(turn)
    turn()  # the other processes of a run have one turn, and are told nothing
    return None


def rates(seconds: float, waited: float) -> Values:
    return {"seconds": seconds, "rate": 1 / seconds, "waiting": waited / seconds}


def serve_one(variant: str, opt: str, block: int, device: str) -> None:
    """The worker."""
    os.chdir(Path(opt).parent)
    how, _, kind = variant.partition(" ")
    if how == "srkd":
        return srkd_turns(Path(opt), block, kind)
    with ExitStack() as stack:
        if variant.endswith("exact"):
            from srkd import tf32

            stack.enter_context(tf32.convolutions(tf32=False))
        return basicsr_turns(Path(opt), block)


def step_flops(features: int, batch: int, patch: int) -> float:
    """Three forward passes: the backward pass computes the gradients of weights and of features."""
    from srkd.metrics.cost import multi_adds
    from srkd.networks.edsr import EDSR

    network = EDSR(num_feat=features, num_block=16, upscale=SCALE)
    return 3 * 2 * batch * multi_adds(network, height=patch // SCALE, width_px=patch // SCALE)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--images", type=Path, metavar="FOLDER", help="HR images (default: scikit-image's photographs)")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--patch", type=int, default=192)
    parser.add_argument("--block", type=int, default=2, help="iterations a turn (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="of the loaders (default: %(default)s)")
    parser.set_defaults(features=64)


def main() -> None:
    if given := worker():
        return serve_one(**given)
    args = parse(__doc__, TINY, options)
    from srkd.data.batches import TrainBatches
    from srkd.data.paired_image import PairedImageDataset
    from srkd.inference.precision import precisions

    cuda, rounds = args.device == "cuda", rounds_to_tf32(args.device)
    kinds = [kind for kind in precisions(torch.device(args.device)) if kind != "fp16"] + ["tf32"] * rounds
    default, ready = ", TF32 as PyTorch comes" * rounds, ", data ready in memory"
    peers = {"BasicSR": f"BasicSR{default}"}
    if cuda or args.tiny:
        peers["BasicSR ram"] = f"BasicSR{default}{ready}"
    if rounds:
        peers["BasicSR ram exact"] = f"BasicSR, exact{ready}"

    def rows_of(medians: Mapping[Key, Values], ceiling: Values) -> list[Values]:
        return [
            comparison(
                medians,
                what=f"training iteration of EDSR-baseline ×4, batch {args.batch}, patch {args.patch}, {kind}",
                peer=peer,
                peer_name=told,
                own=f"srkd {kind}",
                flops=step_flops(args.features, args.batch, args.patch),
                ceiling=ceiling[f"conv_{kind}"],
                headline=True,
                peer_waiting=medians[peer, "stock"]["waiting"],
                waiting=medians[f"srkd {kind}", "default"]["waiting"],
                iterations_a_second=medians[f"srkd {kind}", "default"]["rate"],
            )
            for kind in kinds
            for peer, told in peers.items()
            if kind == "fp32" or not peer.endswith("exact")
        ]

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        large = {k: v for k, v in photographs(args.images).items() if min(v.shape[:2]) >= args.patch}
        write_pairs(folder, large, SCALE)
        iterations = WARM + (args.block + 1) * args.rounds + 1
        sizes = {"batch": args.batch, "patch": args.patch, "workers": args.workers, "features": args.features}
        content = options_of(folder, **sizes, iterations=iterations, cuda=cuda)
        write_options(folder / "bench.yml", content)
        if "BasicSR ram" in peers:
            dataset = PairedImageDataset(
                scale=SCALE, dataroot_gt=str(folder / "gt"), dataroot_lq=str(folder / "lq"), gt_size=args.patch
            )
            crops = TrainBatches(dataset, seed=0, batch_size=READY)[0]
            torch.save({"lq": crops.lq, "gt": crops.gt}, folder / "ready.pth")
            tensors = {"type": "ReadyTensors", "tensors": str(folder / "ready.pth")}
            train = content["datasets"]["train"] | tensors | {"dataset_enlarge_ratio": iterations}
            write_options(folder / "ready.yml", content | {"datasets": {"train": train}})
        own = [f"srkd {kind}" for kind in kinds]
        variants = {
            variant: {
                "opt": str(folder / ("ready.yml" if variant.startswith("BasicSR ram") else "bench.yml")),
                "block": args.block,
            }
            for variant in [*own, *peers]
        }
        rows, ceiling = measured(__file__, args, variants, rows_of, "basicsr", own=own)
    report(__file__, args, rows, ceiling, "basicsr")


if __name__ == "__main__":
    main()
