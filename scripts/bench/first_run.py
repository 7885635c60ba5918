"""The first run on a GPU, in five calls of a few minutes each, on a machine with PyTorch and little else; docs/gpu.md.

  python3 scripts/bench/first_run.py 1 --wheels WHEELS
  scripts/bench/cuda_stub/run scripts/bench/first_run.py 1 --tiny     # without a GPU: only shows that everything runs

1: is it right (every method against the CPU, one training in each precision)? 2: resuming, upscaling, Set5 against the
CPU. 3 and 4: the benchmarks, and a profile. 5: the distillation table. Wheels in WHEELS are put into a folder of their
own, nothing is installed. A step that fails, or takes longer than its share of the time, is named; the others go on.
Needs datasets/Set5, datasets/train/bsds399 and datasets/train/t90. Results go to $OUT, or to first_run/.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCH = Path("scripts/bench")
OUT = Path(os.environ.get("OUT") or ROOT / "first_run")
OPTIONS = "options/train/Supervised/scratch_edsr12x8_x4_bsds.yml"
LARGE = """
import sys; sys.path.insert(0, "scripts/bench")
from photographs import mosaics, photographs
from srkd.imaging.files import write_image
height, width = map(int, sys.argv[2:])
write_image(sys.argv[1], mosaics(list(photographs(None).values()), 1)[0][:height, :width])
"""
FURTHEST = """
import sys
from srkd.networks.weights import load_network
one, other = (load_network(path).state_dict() for path in sys.argv[1:])
print("weights: furthest apart", max(float((one[name] - other[name]).abs().max()) for name in one))
"""
KINDS = {
    "fp32": ["train.precision=fp32"],
    "tf32": ["train.precision=tf32"],
    "bf16": ["train.precision=bf16"],
    "bf16-eager": ["train.precision=bf16", "train.cuda_graph=false"],
    "fp16": ["train.precision=fp16"],
    "bf16-compiled": ["train.precision=bf16", "train.compile=default"],
}


class Run:
    """One call: its steps, and which of them failed."""

    def __init__(self, *, tiny: bool, stub: bool, wheels: Path | None) -> None:
        self.tiny, self.stub, self.failed = tiny, stub, []
        self.patience = float(os.environ.get("PATIENCE", "1"))
        paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
        if wheels:
            paths.insert(1, str(site_of(wheels)))
        self.environment = {**os.environ, "PYTHON": sys.executable, "PYTHONUNBUFFERED": "1"}
        # what stood first stays first: the stub's own module is found before any other of its name
        shim = [path for path in paths[-1].split(":") if path.endswith("cuda_stub/shim")]
        self.environment["PYTHONPATH"] = ":".join([*shim, *paths]).strip(":")
        self.iterations = 12 if tiny else 300

    def step(self, seconds: float, *command: object, log: str = "", values: bool = False) -> bool:
        """Run a command in the checkout, for a while at most; whether all was well.

        One that compares `values` may fail under the stub, where they are zero.
        """
        words = [str(word) for word in command]
        name = log or " ".join(words)
        print(f"== {name}", flush=True)
        began = time.perf_counter()
        try:
            done = subprocess.run(
                words, cwd=ROOT, env=self.environment, timeout=seconds * self.patience, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            done = f"longer than {seconds * self.patience:.0f} s"
        print(f"== {time.perf_counter() - began:.0f} s, exit status {done}", flush=True)
        if done == 1 and values and self.stub:
            print("== (values, which the stub does not compute)")
        elif done != 0:
            self.failed.append(f"{name[:90]}: {done}")
        return done == 0

    def python(self, seconds: float, *words: object, log: str = "", values: bool = False) -> bool:
        """The interpreter with these arguments."""
        return self.step(seconds, sys.executable, *words, log=log, values=values)

    def srkd(self, seconds: float, *words: object) -> bool:
        """A command of srkd's."""
        return self.python(seconds, "-m", "srkd", *words, log=f"srkd {' '.join(map(str, words))}")

    def train(self, seconds: float, name: str, *overrides: str) -> dict[str, float]:
        """Train the small student; its last PSNR, and its seconds an iteration, of these waiting."""
        root = OUT / "experiments"
        usual = [f"name={name}", f"path.experiments_root={root}", f"train.total_iter={self.iterations}"]
        usual += [f"train.scheduler.T_max={self.iterations}", "val.val_freq=1000000", "logger.use_tb_logger=false"]
        usual += [f"logger.print_freq={self.iterations // 3}"]
        if self.tiny:
            usual += ["datasets.train.gt_size=48", "datasets.train.batch_size_per_gpu=2"]
        file = root / name / "metrics.jsonl"
        if "--auto_resume" not in overrides:
            shutil.rmtree(root / name, ignore_errors=True)
        if not self.srkd(seconds, "train", "-opt", OPTIONS, *usual, *overrides):
            return {}
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        last = [row for row in rows if row["kind"] == "train"][-1]
        psnr = [row["psnr"] for row in rows if row["kind"] == "val"][-1]
        return {"psnr": psnr or 0.0, "seconds": last["seconds"], "waiting": last["data_seconds"] / last["seconds"]}


def site_of(wheels: Path) -> Path:
    """The folder with what the wheels hold."""
    site = ROOT / "first_run" / "site"
    files = sorted(map(str, wheels.glob("*.whl")))
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--no-compile", "--upgrade"]
    subprocess.run([*command, "--target", str(site), *files], check=True)
    return site


def call_1(run: Run) -> None:
    """Is it right?"""
    if shutil.which("nvidia-smi"):
        run.step(20, "nvidia-smi")
    run.srkd(60, "doctor")
    run.python(60, "-m", "pytest", "-q", "tests/data/test_resident.py", values=True)
    sizes = ["--steps", 2, "--tiny"] if run.tiny else ["--steps", 20]
    run.python(150, BENCH / "gpu_smoke.py", *sizes, values=True)
    rows = {}
    for kind, overrides in KINDS.items():
        if run.stub and kind == "bf16-compiled":
            print("== train.compile: the stub has no Triton")
            continue
        rows[kind] = run.train(60, f"first_{kind}", *overrides)
    for kind, row in rows.items():
        if row:
            print(f"{kind:14} PSNR {row['psnr']:.3f} dB, {1e3 * row['seconds']:.2f} ms, waiting {row['waiting']:.1%}")
    found = [row["psnr"] for row in rows.values() if row]
    if found:
        print(f"PSNR: {max(found) - min(found):.3f} dB apart (at most 0.3); waiting should be below 10 %")


def call_2(run: Run) -> None:
    """Resuming, upscaling, Set5."""
    part = 2 * run.iterations // 3
    run.train(60, "first_whole", "train.precision=fp32")
    run.train(60, "first_parts", "train.precision=fp32", f"train.total_iter={part}")
    run.train(60, "first_parts", "train.precision=fp32", "--auto_resume")
    models = [OUT / f"experiments/first_{name}/models/net_g_latest.pth" for name in ("whole", "parts")]
    run.python(30, "-c", FURTHEST, *models, log="200 and 100 iterations against 300")
    picture, size = OUT / "large.png", (60, 80) if run.tiny else (1356, 2040)
    if run.python(30, "-c", LARGE, picture, *size, log=f"a picture of {size[1]} × {size[0]}"):
        for kind in ("fp32", "bf16", "fp16"):
            name = OUT / f"large_{kind}.png"
            run.srkd(60, "upscale", picture, "-m", "switchable-x4", "--precision", kind, "-o", name, "--overwrite")
    for device in ("cuda", "cpu"):
        file = OUT / f"set5_{device}.json"
        few = ["--limit", "1"] if run.tiny else []
        command = ["benchmark", "switchable-x4", "--sets", "Set5", "--widths", "0.25", "--device", device]
        run.srkd(90, *command, *few, "-o", file, "--overwrite")
    print("Set5: the PSNRs of the two tables should be within 0.001 dB")


def call_3(run: Run) -> None:
    """Training's benchmarks."""
    run.step(420, "bash", BENCH / "gpu.sh", "a", "--save", OUT / "benchmarks", *(["--tiny"] if run.tiny else []))


def call_4(run: Run) -> None:
    """The other benchmarks, and a profile."""
    run.step(420, "bash", BENCH / "gpu.sh", "b", "--save", OUT / "benchmarks", *(["--tiny"] if run.tiny else []))
    if run.stub:
        print("== profile: PyTorch's profiler needs a GPU")
    else:
        run.python(60, BENCH / "profile_steps.py", OPTIONS, "train.precision=bf16")


def call_5(run: Run) -> None:
    """The distillation table, as far as the time goes; the same call goes on."""
    command = ["scripts/reproduce/distillation.py", "--scale", 4, "--seeds", 0 if run.tiny else "0,1,2", "--jobs", 3]
    sets = ["--sets", "Set5", "--ensemble-sets", "Set5"]
    run.python(570, *command, "--budget", "try" if run.tiny else "gpu-10min", *sets)


CALLS: dict[int, Callable[[Run], None]] = {1: call_1, 2: call_2, 3: call_3, 4: call_4, 5: call_5}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("call", type=int, choices=CALLS)
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="wheels of what the machine lacks")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that everything runs")
    args = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    run = Run(tiny=args.tiny, stub="CUDA_STUB_LIBRARY" in os.environ, wheels=args.wheels)
    CALLS[args.call](run)
    for failure in run.failed:
        print(f"failed: {failure}")
    print(f"call {args.call}: {len(run.failed)} failed")
    return int(bool(run.failed))


if __name__ == "__main__":
    sys.exit(main())
