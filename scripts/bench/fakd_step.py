"""Memory and time of FAKD's affinity term: by blocks of rows, as srkd does it, against the plain formula.

  python scripts/bench/fakd_step.py
  python scripts/bench/fakd_step.py --cases 48:16:16 96:16:2 -o docs/benchmarks/MACHINE/fakd_step.json

The plain formula holds the affinities of both networks, [B, N, N] with N = H·W, at once and leaves the gradient to
autograd. Both compute value and gradient of the sum over three taps, for a student of 64 channels and a teacher of 256.
Every case has a process of its own; its features exist, and a small problem has been computed, before measuring begins.
Memory is what the term adds at its peak: the resident set's on a CPU (Linux), that of torch's allocator on CUDA.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

STUDENT, TEACHER, TAPS = 64, 256, 3
MIB = 2**20


@dataclass(frozen=True)
class Case:
    """One measurement: `how` is `blocks` or `plain`, `size` the side of the features."""

    how: str
    size: int
    batch: int


@dataclass(frozen=True)
class Measured:
    """`mib`: memory that the term adds at its peak; `seconds`: the fastest of the repeats."""

    mib: float
    seconds: float
    value: float
    device: str


def measure(case: Case, repeats: int) -> Measured:
    """Run one case in this process."""
    import torch
    from torch import Tensor

    from srkd.losses.affinity import affinity_distance, spatial_affinity

    def plain(student: Tensor, teacher: Tensor) -> Tensor:
        return (spatial_affinity(student) - spatial_affinity(teacher)).abs().mean()

    def step(pairs: list[tuple[Tensor, Tensor]]) -> float:
        distance = affinity_distance if case.how == "blocks" else plain
        total = torch.stack([distance(student, teacher) for student, teacher in pairs]).sum()
        total.backward()
        return total.item()  # waits for the device

    def features(batch: int, size: int) -> list[tuple[Tensor, Tensor]]:
        shapes = (batch, STUDENT, size, size), (batch, TEACHER, size, size)
        pairs = [tuple(torch.randn(shape, device=device) for shape in shapes) for _ in range(TAPS)]
        return [(student.requires_grad_(), teacher) for student, teacher in pairs]

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    step(features(1, 8))
    pairs = features(case.batch, case.size)
    before = peak_bytes(device, reset=True)
    value, seconds = 0.0, []
    for _ in range(repeats):
        began = time.perf_counter()
        value = step(pairs)
        seconds.append(time.perf_counter() - began)
        for student, _ in pairs:
            student.grad = None
    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return Measured((peak_bytes(device) - before) / MIB, min(seconds), value, name)


def peak_bytes(device: str, *, reset: bool = False) -> int:
    """The most memory in use since the last reset; with `reset` the peak becomes what is in use now."""
    if device == "cuda":
        import torch

        if reset:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated()
    if reset:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024


def processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def in_own_process(case: Case, repeats: int) -> Measured:
    arguments = ["--one", json.dumps(asdict(case)), "--repeats", str(repeats)]
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{case}: exit status {done.returncode}, out of memory?\n{done.stderr[-2000:]}")
    return Measured(**json.loads(done.stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--cases",
        nargs="+",
        default=["48:16:16", "96:16:2"],
        metavar="SIZE:BATCH:PLAIN",
        help="side of the features, images, and images of the plain formula (default: %(default)s)",
    )
    parser.add_argument("--repeats", type=int, default=3, help="default: %(default)s; the fastest counts")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.json")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        sys.stdout.write(json.dumps(asdict(measure(Case(**json.loads(args.one)), args.repeats))))
        return

    from rich.console import Console
    from rich.table import Table

    table = Table("features", "images", "how", "peak memory", "time", "memory / image", "time / image")
    rows = []
    for size, batch, plain_batch in (map(int, case.split(":")) for case in args.cases):
        for case in (Case("blocks", size, batch), Case("plain", size, plain_batch)):
            result = in_own_process(case, args.repeats)
            rows.append({**asdict(case), **asdict(result)})
            table.add_row(
                f"{size} × {size}",
                f"{case.batch}",
                case.how,
                f"{result.mib:,.0f} MiB",
                f"{result.seconds:.2f} s",
                f"{result.mib / case.batch:,.1f} MiB",
                f"{result.seconds / case.batch:.3f} s",
            )
    where = f"{processor()}, {rows[0]['device']}, {time.strftime('%Y-%m-%d')}"
    Console(width=120).print(table, where, highlight=False)
    if args.output:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        content = {"machine": where, "command": " ".join(sys.argv), "load": load, "taps": TAPS, "rows": rows}
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
