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
from srkd.registry import METHODS

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


def test_pictures_travel_in_eight_bits_and_in_parts(stub):
    """Copies are real under the stub: what comes back from the device is what lay there."""
    out = stub("""
import numpy as np, torch
from srkd.inference import transfer
from srkd import Upscaler
from srkd.networks.edsr import EDSR
transfer.PART = 4096
for count, dtype in ((1, torch.uint8), (4096, torch.uint8), (9000, torch.uint8), (3 * 4096, torch.float32)):
    x = torch.randint(0, 256, (count,)).to(dtype).reshape(1, -1)
    before = torch.cuda_stub()
    there = transfer.to_device(x, torch.device("cuda"))
    back = transfer.to_host(there)
    seen = {k: v - before[k] for k, v in torch.cuda_stub().items()}
    print(torch.equal(back, x), seen["h2d"], seen["d2h"], seen["d2h_bytes"] == x.nbytes, back.is_pinned())
print(transfer.to_host(torch.zeros(0, device="cuda")).shape)
up = Upscaler(EDSR(num_feat=4, num_block=0, upscale=4), device="cuda", precision="fp32")
up.upscale(image := np.zeros((40, 50, 3), np.uint8))
before = torch.cuda_stub()
print(up.upscale(image).shape)
seen = {k: v - before[k] for k, v in torch.cuda_stub().items()}
print(seen["h2d_bytes"], seen["d2h_bytes"])
""")
    *lines, empty, shape, sizes = out.splitlines()
    assert lines == [f"True 1 {parts} True False" for parts in (1, 1, 3, 12)]
    assert empty == "torch.Size([0])" and shape == "(160, 200, 3)"
    up, down = map(int, sizes.split())
    assert up == 40 * 50 * 3 and 160 * 200 * 3 <= down < 160 * 200 * 3 + 64  # and whether all is finite


@pytest.mark.parametrize("precision", ["bf16", *(pytest.param(p, marks=pytest.mark.slow) for p in ("fp32", "fp16"))])
def test_every_method_mixes_nothing_and_waits_for_nothing(stub, precision):
    out = stub(f"""
import runpy, sys
sys.path.insert(0, "scripts/bench")
sys.argv = ["launches.py", "--tiny", "--precision", {precision!r}]
try:
    runpy.run_path("scripts/bench/launches.py", run_name="__main__")
except SystemExit as error:
    print("status", error.code)
""")

    *lines, status = out.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert status == "status 0" and {row[1] for row in rows} == {precision}
    assert all(row[-1] == "0" for row in rows), [row for row in rows if row[-1] != "0"]
    names = {row[0].split()[0] for row in rows}
    assert {name for name in METHODS.names() if name not in names} <= {"Supervised"}  # under the networks' names
    assert all(row[4] == "0" for row in rows if row[0] in ("EDSR-baseline", "four widths", "SRKD", "TNSR", "CSD vgg"))


def test_vgg_alone_rounds_to_tf32_where_that_is_asked_for(stub):
    out = stub("""
import sitecustomize, torch
from srkd import tf32
from srkd.losses.pixel import L1Loss
from srkd.methods.csd import CSD, VGGSpace
from srkd.networks.edsr import EDSR
from srkd.types import Batch
seen, usual = [], sitecustomize._layout
sitecustomize._layout = lambda x, w: (seen.append((w.shape[0] >= 64, tf32.convolutions_round())), usual(x, w))[1]
batch = Batch(torch.zeros(2, 3, 8, 8).cuda(), torch.zeros(2, 3, 16, 16).cuda())
for rounds in (False, True):
    seen.clear()
    space = VGGSpace(weights="random", tf32=rounds)
    student = EDSR(num_feat=8, num_block=1, upscale=2)
    method = CSD(student, None, L1Loss(), widths=(0.5,), num_negatives=1, perceptual=space).cuda()
    with tf32.convolutions(tf32=False):
        method.total(method(batch), 0.0).backward()
    print(sorted(set(seen)), len(seen))
""")
    exact, rounded = out.splitlines()
    assert exact.startswith("[(False, False), (True, False)]")
    assert rounded == exact.replace("(True, False)", "(True, True)")


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
        assert launches <= most and copies == 0 and waits == 0
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
