"""First run on a GPU: every method and network on the CPU against CUDA, hidden waits, time of host and device.

  python scripts/bench/gpu_smoke.py
  python scripts/bench/gpu_smoke.py --steps 5

A line a case, as it comes; the last one says how many were `bad`: too far from the CPU, waiting for the device in a
step, or failed. Under scripts/bench/cuda_stub, where all values are zero, only waits and failures mean something.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from srkd import tf32
from srkd.engine.gradients import unchanged
from srkd.losses.pixel import L1Loss
from srkd.methods.base import Method, teacher_use
from srkd.methods.csd import CSD, NetworkSpace, VGGSpace
from srkd.methods.pisr import PISR, PISRTeacher
from srkd.methods.sum import Sum
from srkd.methods.supervised import Supervised
from srkd.networks.carn import CARN
from srkd.networks.edsr import EDSR
from srkd.networks.fsrcnn import FSRCNN
from srkd.networks.rcan import RCAN
from srkd.networks.snsr import SNSR, TNSR
from srkd.networks.weights import save_network
from srkd.registry import METHODS
from srkd.types import Batch

PIXEL = L1Loss()
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MOST = {"fp32": 1e-3, "bf16": 0.2}  # relative L2 distance of the gradients from the CPU's
FOUR = (1.0, 0.75, 0.5, 0.25)
LARGE = "EDSR 256x32"  # too large for the CPU


def cases(folder: Path, *, tiny: bool = False) -> dict[str, Callable[[], Method]]:
    """Every network, and every method that is registered, at the sizes of papers; `tiny` ones only show that they run.

    Args:
        folder: for what a method needs to find.
    """

    def edsr(channels: int = 64, blocks: int = 16, **options: float | str) -> EDSR:
        channels, blocks = (max(channels // 8, 4), min(blocks, 3)) if tiny else (channels, blocks)
        return EDSR(num_feat=channels, num_block=blocks, upscale=4, **options)  # type: ignore[arg-type]

    def of_registry(name: str) -> Callable[[], Method]:
        kind = METHODS.get(name)
        options = kind.example(folder)
        return lambda: kind(edsr(16), None if teacher_use(kind) == "no" else edsr(64), PIXEL, **options)

    teacher = edsr(16)
    save_network(folder / "stage1.pth", teacher, companions=PISRTeacher(teacher, None, PIXEL).companions)
    terms = ({"type": "OutputKD"}, {"type": "FAKD", "weight": 0.5})
    groups, blocks = (1, 1) if tiny else (10, 20)
    made: dict[str, Callable[[], Method]] = {
        "EDSR-baseline": lambda: Supervised(edsr(), None, PIXEL),
        "EDSR direct": lambda: Supervised(edsr(upsampler="direct"), None, PIXEL),
        "four widths": lambda: Supervised(edsr(), None, PIXEL, widths=FOUR),
        "RCAN": lambda: Supervised(RCAN(num_group=groups, num_block=blocks, upscale=4), None, PIXEL),
        "CARN": lambda: Supervised(CARN(upscale=4), None, PIXEL, widths=(1.0, 0.5)),
        "FSRCNN": lambda: Supervised(FSRCNN(upscale=4), None, PIXEL),
        "SNSR": lambda: Supervised(SNSR(upscale=4), None, PIXEL),
        "TNSR": lambda: Supervised(TNSR(upscale=4), None, PIXEL),
        "Sum": lambda: Sum(edsr(16), edsr(64), PIXEL, terms=terms),
        "PISRTeacher": lambda: PISRTeacher(edsr(16), None, PIXEL),
        "PISR": lambda: PISR(edsr(16), None, PIXEL, stage1=str(folder / "stage1.pth")),
        "CSD vgg": lambda: CSD(edsr(), None, PIXEL, num_negatives=3, perceptual=VGGSpace(weights="random")),
        "CSD vgg in TF32": lambda: CSD(
            edsr(), None, PIXEL, num_negatives=3, perceptual=VGGSpace(weights="random", tf32=True)
        ),
        "CSD network": lambda: CSD(edsr(), None, PIXEL, num_negatives=3, perceptual=NetworkSpace()),
    }
    shown = {"Supervised", "CSD", *made}
    made |= {name: of_registry(name) for name in METHODS.names() if name not in shown}
    return made | {LARGE: lambda: Supervised(edsr(256, 32, res_scale=0.1), None, PIXEL)}


def batch_of(method: Method, size: int, side: int, device: str) -> Batch:
    generator = torch.Generator().manual_seed(0)
    gt = torch.rand(size, method.student.num_in_ch, 4 * side, 4 * side, generator=generator)
    images = torch.nn.functional.avg_pool2d(gt, 4), gt
    return Batch(*(x.to(device).contiguous(memory_format=torch.channels_last) for x in images))


def backward(method: Method, batch: Batch, precision: str, inputs: dict[str, Tensor]) -> Tensor:
    batch = Batch(batch.lq, batch.gt, inputs=inputs)
    with torch.autocast(batch.lq.device.type, PRECISIONS[precision], enabled=precision != "fp32"):
        total = method.total(method(batch), 0.0)
    total.backward()
    return total.detach()


def gradient(method: Method) -> Tensor:
    return torch.cat([p.grad.flatten().double().cpu() for p in method.parameters() if p.grad is not None])


def compared(method: Method, row: list[str]) -> int:
    """The same step on the CPU and on the GPU; how many precisions are too far away."""
    inputs = method.inputs(4)
    torch.manual_seed(1)
    with unchanged(method):  # neither a bank of what was seen, nor what a method draws on the CPU
        loss = float(backward(method, batch_of(method, 4, 12, "cpu"), "fp32", inputs))
    exact, bad = gradient(method), 0
    method.cuda().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    there = {name: value.cuda() for name, value in inputs.items()}
    for precision, most in MOST.items():
        method.zero_grad(set_to_none=True)
        with unchanged(method):
            got = float(backward(method, batch_of(method, 4, 12, "cuda"), precision, there))
        error = ((gradient(method) - exact).norm() / exact.norm()).item()
        row.append(f"{precision}: loss {abs(got / loss - 1):.0e} grad {error:.0e}{'' if error < most else ' !!'}")
        bad += not error < most
    return bad


def timed(method: Method, precision: str, steps: int, size: int, side: int) -> str:
    """Milliseconds of host and device for one step; a hidden wait raises."""
    batch, there = batch_of(method, size, side, "cuda"), {n: v.cuda() for n, v in method.inputs(size).items()}
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=1e-6, fused=True)

    def step() -> None:
        backward(method, batch, precision, there)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(3):
        step()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.set_sync_debug_mode("error")
    began = time.perf_counter()
    for _ in range(steps):
        step()
    host = time.perf_counter() - began
    torch.cuda.set_sync_debug_mode("default")
    torch.cuda.synchronize()
    whole, memory = time.perf_counter() - began, torch.cuda.max_memory_allocated() / 2**20
    return f"{precision}: host {1e3 * host / steps:.2f} whole {1e3 * whole / steps:.2f} ms, {memory:.0f} MiB"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20, help="timed steps (default: %(default)s)")
    parser.add_argument("--only", nargs="+", metavar="CASE", help="some of the cases")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that everything runs")
    args = parser.parse_args()
    size, side = (4, 8) if args.tiny else (16, 48)
    torch.backends.cudnn.benchmark = True
    bad = 0
    with tempfile.TemporaryDirectory() as folder, tf32.convolutions(tf32=False):
        for name, make in cases(Path(folder), tiny=args.tiny).items():
            if args.only and name not in args.only:
                continue
            row = [f"{name:14}"]
            try:
                torch.manual_seed(0)
                method = make().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                bad += compared(method, row) if name != LARGE else 0
                method.cuda().to(memory_format=torch.channels_last)
                row += [timed(method, precision, args.steps, size, side) for precision in PRECISIONS]
            except Exception as error:
                torch.cuda.set_sync_debug_mode("default")
                bad += 1
                row.append(f"FAILED {type(error).__name__}: {str(error)[:300]}")
            print(" | ".join(row), flush=True)
            method = None
            torch.cuda.empty_cache()
    print("bad", bad)
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
