"""Time and memory of one CSD step: srkd's against a straight evaluation of the paper's formula.

  python scripts/bench/csd_step.py
  python scripts/bench/csd_step.py --batch 16 --negatives 10 --rounds 1 -o docs/benchmarks/MACHINE/csd_step.json

EDSR-baseline ×4 (64 channels, 16 blocks) and its quarter, patches of 48 × 48, the authors' negatives and ratio
(`faithful: true`), VGG-19 with random weights, in fp32. One step is forward, backward and Adam.

`plain` writes the formula down: NCHW, fp32, VGG on the student, the teacher (detached afterwards) and all negatives,
the distances to the negatives on K repeated batches' features, one after the other, left to autograd. `srkd` is the
method as it ships, in `--precision`. Each has a process of its own. Before they are timed, loss and gradient on given
images are compared. With `--tuned` both run with glibc's allocator told to keep large blocks (like for like).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srkd.imaging.resize import imresize
from srkd.losses.contrastive import contrastive_loss, first_negatives
from srkd.losses.perceptual import VGG19
from srkd.losses.pixel import L1Loss
from srkd.methods.csd import CSD, VGGSpace
from srkd.networks.edsr import EDSR
from srkd.provenance import environment
from srkd.types import Batch

MIB = 2**20
SCALE, PATCH, WIDTH = 4, 48, 0.25
LAYER_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
TUNED = "glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592:glibc.malloc.top_pad=268435456"


def photographs(batch: int) -> Batch:
    """Crops of a photograph that ships with scikit-image, and their MATLAB-bicubic reductions."""
    from skimage.data import astronaut

    rng, size = np.random.default_rng(0), SCALE * PATCH
    corners = rng.integers(0, 512 - size, (batch, 2))
    crops = [astronaut()[top : top + size, left : left + size] for top, left in corners]
    small = [imresize(crop, scale=1 / SCALE) for crop in crops]
    gt, lq = (torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255 for images in (crops, small))
    return Batch(lq, gt)


def plain_contrast(vgg: VGG19, sr: Tensor, positive: Tensor, negatives: Tensor) -> Tensor:
    """The formula as it reads: Σ_j λ_j · mean|φ(T) − φ(S)| / Σ_k mean|φ(N_k) − φ(S)|."""
    student, teacher = vgg(sr), [feature.detach() for feature in vgg(positive)]
    others = [vgg(negative.expand_as(sr)) for negative in negatives.unsqueeze(1)]
    total = sr.new_zeros(())
    for layer, weight in enumerate(LAYER_WEIGHTS):
        near = F.l1_loss(teacher[layer], student[layer])
        far = torch.stack([F.l1_loss(other[layer], student[layer]) for other in others]).sum()
        total = total + weight * near / (far + 1e-7)
    return total


class Plain(nn.Module):
    """One step's loss, written down."""

    def __init__(self, network: EDSR, vgg: VGG19, negatives: int) -> None:
        super().__init__()
        self.network, self.negatives = network, negatives
        self._vgg = [vgg]

    def forward(self, batch: Batch) -> Tensor:
        lq, gt = batch.lq.contiguous(), batch.gt.contiguous()
        full, split = self.network(lq), self.network(lq, WIDTH)
        upsampled = F.interpolate(lq[: self.negatives], scale_factor=SCALE, mode="bicubic", align_corners=False)
        contrast = plain_contrast(self._vgg[0], split, full, upsampled)
        return F.l1_loss(full, gt) + F.l1_loss(split, gt) + 200 / 255 * contrast


def build(how: str, negatives: int) -> nn.Module:
    torch.manual_seed(0)
    network = EDSR(num_feat=64, num_block=16, upscale=SCALE, img_range=1.0)
    if how == "plain":
        return Plain(network, VGG19(weights="random"), negatives)
    space = VGGSpace(weights="random")
    method = CSD(network, None, L1Loss(), widths=(WIDTH,), num_negatives=negatives, perceptual=space, faithful=True)
    return method.to(memory_format=torch.channels_last)


def measure(how: str, batch_size: int, negatives: int, precision: str, rounds: int) -> dict[str, float]:
    """Median seconds of a step, and what it adds to the resident set at its peak."""
    model, batch = build(how, negatives), photographs(batch_size)
    if how == "srkd":
        batch = Batch(*(image.contiguous(memory_format=torch.channels_last) for image in batch))
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    before, seconds = peak_mib(reset=True), []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=how == "srkd" and precision == "bf16"):
            losses = model(batch)
            total = losses if how == "plain" else model.total(losses, 0.0)
        total.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - began)
    warm = seconds[1:] or seconds
    return {"seconds": statistics.median(warm), "mib": peak_mib() - before, "loss": float(total)}


def agreement(batch_size: int, negatives: int) -> dict[str, float]:
    """Relative difference of the contrastive term, and cosine of its gradients on the student's images."""
    torch.manual_seed(0)
    vgg, batch = VGG19(weights="random"), photographs(batch_size)
    upsampled = F.interpolate(batch.lq, scale_factor=SCALE, mode="bicubic", align_corners=False)
    positive = (batch.gt + upsampled) / 2
    values, gradients = [], []
    for how in ("plain", "srkd"):
        sr = (0.7 * upsampled + 0.3 * batch.gt.flip(1)).requires_grad_()
        if how == "plain":
            value = plain_contrast(vgg, sr, positive, upsampled[:negatives])
        else:
            last = torch.channels_last
            with torch.no_grad():
                near = vgg(positive.contiguous(memory_format=last))
                far = vgg(upsampled[:negatives].contiguous(memory_format=last))
            value = contrastive_loss(
                vgg(sr.contiguous(memory_format=last)),
                near,
                negatives=far,
                index_BK=first_negatives(batch_size, negatives),
                weights=LAYER_WEIGHTS,
                per_image=False,
            )
        values.append(value.item())
        gradients.append(torch.autograd.grad(value, sr)[0].flatten().double())
    cosine = F.cosine_similarity(gradients[0], gradients[1], dim=0).item()
    return {"loss": abs(values[1] / values[0] - 1), "cosine": cosine}


def peak_mib(*, reset: bool = False) -> float:
    """MiB of the resident set at its peak since the last reset (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024


def in_own_process(args: argparse.Namespace, how: str) -> dict[str, float]:
    given = {name: value for name, value in vars(args).items() if name in ("batch", "negatives", "precision", "rounds")}
    command = [sys.executable, __file__, "--one", how]
    command += [word for name, value in given.items() for word in (f"--{name}", str(value))]
    tuned = {"GLIBC_TUNABLES": TUNED} if args.tuned else {}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **tuned})
    if done.returncode:
        raise SystemExit(f"{how}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--negatives", type=int, default=8)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="bf16", help="of the networks; VGG is fp32")
    parser.add_argument("--rounds", type=int, default=3, help="timed steps after one that warms up")
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json")
    args = parser.parse_args()
    if args.one:
        sys.stdout.write(json.dumps(measure(args.one, args.batch, args.negatives, args.precision, args.rounds)))
        return

    from rich.console import Console
    from rich.table import Table

    agrees = agreement(args.batch, args.negatives)
    rows = {how: in_own_process(args, how) for how in ("plain", "srkd")}
    table = Table("", "seconds a step", "peak memory", "loss")
    for how, row in rows.items():
        table.add_row(how, f"{row['seconds']:.2f}", f"{row['mib']:,.0f} MiB", f"{row['loss']:.5f}")
    plain, own = rows["plain"], rows["srkd"]
    table.add_row("ratio", f"{plain['seconds'] / own['seconds']:.2f} ×", f"{plain['mib'] / own['mib']:.2f} × less", "")
    console = Console(width=120)
    console.print(table)
    console.print(
        f"On given images in fp32: relative difference of the term {agrees['loss']:.1e}, cosine of the gradients "
        f"{agrees['cosine']:.6f}."
    )
    where = environment("cpu")
    console.print(", ".join(f"{key} {value}" for key, value in where.items()), highlight=False)
    if args.output:
        content = {
            "environment": where,
            "command": " ".join(sys.argv),
            "load": os.getloadavg()[0],
            "tuned": args.tuned,
            "agreement": agrees,
            "rows": rows,
        }
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
