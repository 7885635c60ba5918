"""srkd's CUDA path without a GPU: scripts/bench/cuda_stub counts kernels instead of executing them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

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
