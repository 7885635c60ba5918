"""srkd's CUDA path without a GPU: scripts/bench/cuda_stub counts kernels instead of executing them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from srkd.imaging.files import write_image

ROOT = Path(__file__).resolve().parents[2]
STUB = ROOT / "scripts" / "bench" / "cuda_stub" / "run"
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("gcc") is None or torch.version.cuda is None,
    reason="the CUDA stub needs Linux, gcc and a CUDA build of PyTorch",
)


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory):
    """Run code under the stub; returns what it prints."""
    cache = tmp_path_factory.mktemp("stub")

    def run(code: str, **environment: str) -> str:
        here = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache)}
        done = subprocess.run(
            [STUB, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT, env=here | environment
        )
        if "cuda_runtime_api.h" in done.stderr or "needs a CUDA build" in done.stderr:
            pytest.skip("the headers of the CUDA runtime are not installed")
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return run


def test_it_counts_launches_copies_waits_and_graphs(stub):
    out = stub("""
import torch
x = torch.zeros(4, device="cuda")
before = torch.cuda_stub()
y = x + 1
y.cpu()
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    z = (x * y).exp()
seen = torch.cuda_stub()
for _ in range(3):
    graph.replay()
after = torch.cuda_stub()
print([seen[k] - before[k] for k in ("launches", "d2h", "captured")], seen["sync"] > before["sync"])
print([after[k] - seen[k] for k in ("launches", "graph_launches", "captured", "sync")])
for what in (lambda: x.sum().item(), lambda: torch.ones(3).to("cuda", non_blocking=True)):
    try:
        with torch.cuda.graph(torch.cuda.CUDAGraph()):
            what()
    except RuntimeError as error:
        print("refused:", str(error).split("\\n")[0])
print(torch.cuda.get_device_capability(), torch.cuda.mem_get_info()[1] >> 30)
""", CUDA_STUB_SM="75", CUDA_STUB_MEM_GB="2")  # fmt: skip
    assert out.splitlines() == [
        "[1, 1, 2] True",
        "[3, 3, 0, 0]",
        *["refused: CUDA error: operation not permitted when stream is capturing"] * 2,
        "(7, 5) 2",
    ]


def test_features_stay_in_channels_last_memory(stub):
    out = stub("""
import torch
from srkd.networks.edsr import EDSR
network = EDSR(num_feat=8, num_block=2, upscale=4, res_scale=0.1).cuda().to(memory_format=torch.channels_last)
lq = torch.zeros(2, 3, 12, 12, device="cuda").contiguous(memory_format=torch.channels_last)
sr = network(lq)
sr.sum().backward()
print(torch.cuda_stub()["layout_copies"], sr.is_contiguous(memory_format=torch.channels_last))
""")
    assert out.split() == ["1", "True"]  # the sum's gradient, which is one number expanded


TRAINING = """
import logging, sys, torch, yaml
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
from srkd.engine.build import Start, build_trainer
from srkd.engine.runtime import Clock
from srkd.options import load_train_options

def train(file, *overrides, steps=4):
    run = build_trainer(load_train_options(file, overrides), Start(dry=True))
    loader, clock = run._batches(), Clock()
    run.method.train()
    for _ in range(5):
        run._step(loader, clock)
    before = torch.cuda_stub()
    torch.cuda.set_sync_debug_mode("error")
    for _ in range(steps):
        run._step(loader, clock)
    torch.cuda.set_sync_debug_mode("default")
    after = torch.cuda_stub()
    return {name: (after[name] - before[name]) / steps for name in after}
"""


@pytest.fixture
def options(tmp_path: Path) -> Path:
    """EDSR-baseline ×4, batch 16, patch 192: what launches are counted of."""
    for number in range(2):
        write_image(tmp_path / "images" / f"{number}.png", np.full((200, 208, 3), 60 * number, np.uint8))
    train = {
        "type": "PairedImageDataset",
        "dataroot_gt": str(tmp_path / "images"),
        "gt_size": 192,
        "batch_size_per_gpu": 16,
        "use_rot": True,
        "io_backend": {"type": "cache"},
    }
    content = {
        "name": "stub",
        "scale": 4,
        "datasets": {"train": train},
        "network_g": {"type": "EDSR", "num_feat": 64, "num_block": 16, "upscale": 4},
        "path": {"experiments_root": str(tmp_path / "experiments")},
        "train": {"ema_decay": 0.999, "total_iter": 100, "optim_g": {"type": "Adam", "lr": 1e-4}},
    }
    (tmp_path / "o.yml").write_text(yaml.safe_dump(content))
    return tmp_path / "o.yml"


def test_a_training_step_is_one_graph_and_few_launches_without_it(stub, options):
    out = stub(f"""{TRAINING}
whole = train({str(options)!r})
print("whole", whole["launches"], whole["graph_launches"], whole["sync"])
for precision in ("fp32", "bf16", "fp16"):
    eager = train({str(options)!r}, "train.cuda_graph=false", f"train.precision={{precision}}")
    print(precision, eager["launches"], eager["layout_copies"], eager["sync"])
four = train({str(options)!r}, "train.cuda_graph=false", "method={{type: Supervised, widths: [1, 0.75, 0.5, 0.25]}}")
print("four", four["launches"], four["sync"])
""")
    assert "The training step is one CUDA graph" in out and "by kernel, not as a CUDA graph: train.cuda_graph" in out
    found = {line.split()[0]: [float(x) for x in line.split()[1:]] for line in out.splitlines() if line[:4] in
             ("whol", "fp32", "bf16", "fp16", "four")}  # fmt: skip
    assert found["whole"] == [4, 1, 0]
    for precision, most in (("fp32", 310), ("bf16", 330), ("fp16", 345)):
        launches, copies, waits = found[precision]
        assert launches <= most and copies <= 1 and waits == 0
    assert found["four"][0] < 1300 and found["four"][1] == 0


def test_a_graph_that_is_refused_leaves_a_training_that_goes_on(stub, options):
    out = stub(f'{TRAINING}\nprint("launches", train({str(options)!r})["launches"])', CUDA_STUB_GRAPHS="0")
    assert "not as a CUDA graph: CUDA error: operation not permitted when stream is capturing" in out
    assert float(out.split()[-1]) > 100


@pytest.mark.parametrize(("architecture", "said"), [("90", "bf16"), ("75", "fp16"), ("70", "fp16"), ("61", "fp32")])
def test_auto_trains_in_what_the_architecture_has_units_for(stub, architecture, said):
    out = stub(
        "import torch\nfrom srkd.inference.precision import fastest_for_training\n"
        'print(fastest_for_training(torch.device("cuda")))',
        CUDA_STUB_SM=architecture,
    )
    assert out.split() == [said]


def test_tf32_is_refused_where_it_does_not_exist(stub, options):
    out = stub(f"""{TRAINING}
from srkd import tf32
for setting in ("tf32", "fp32"):
    try:
        run = build_trainer(load_train_options({str(options)!r}, [f"train.precision={{setting}}"]), Start(dry=True))
        print("answer", setting, tf32.convolutions_round(), run.settings.precision)
        run.held.close()
    except ValueError as error:
        print("answer", error)
""", CUDA_STUB_SM="80")  # fmt: skip
    assert [line for line in out.splitlines() if line.startswith("answer")] == [
        "answer tf32 True fp32", "answer fp32 False fp32"]  # fmt: skip
    out = stub(f"""{TRAINING}
try:
    build_trainer(load_train_options({str(options)!r}, ["train.precision=tf32"]), Start(dry=True))
except ValueError as error:
    print("answer", error)
""", CUDA_STUB_SM="75")  # fmt: skip
    assert "answer train.precision: tf32 needs an NVIDIA GPU of 2020 or later" in out
