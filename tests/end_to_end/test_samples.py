"""The samples in docs/samples compute what the network computes, where their tools are.

C++: g++, and $ONNXRUNTIME_ROOT with include/ and lib/. JavaScript: node, and $SRKD_NODE_MODULES with onnxruntime-node
and sharp in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from srkd.imaging.files import read_image, write_image
from srkd.inference.export import export
from srkd.inference.upscaler import Upscaler
from srkd.networks.edsr import EDSR

SAMPLES = Path(__file__).resolve().parents[2] / "docs" / "samples"


@pytest.fixture
def network(tmp_path):
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    network = EDSR(num_feat=8, num_block=2, upscale=2).eval()
    export(network, tmp_path / "small.onnx")
    return network


def check(network, source: Path, result: Path) -> None:
    expected = Upscaler(network, device="cpu", precision="fp32")(source)
    assert np.abs(read_image(result).astype(int) - expected.astype(int)).max() <= 1


def test_cpp(network, tmp_path, photo):
    root = os.environ.get("ONNXRUNTIME_ROOT")
    if root is None or shutil.which("g++") is None:
        pytest.skip("needs g++, and $ONNXRUNTIME_ROOT with include/ and lib/")
    write_image(tmp_path / "in.ppm", photo)
    program = tmp_path / "upscale"
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-isystem", f"{root}/include", f"-L{root}/lib"]
    rpath = f"-Wl,-rpath,{root}/lib"
    command = ["g++", *flags, str(SAMPLES / "upscale.cpp"), "-lonnxruntime", rpath, "-o", str(program)]
    subprocess.run(command, check=True)
    subprocess.run([program, "small.onnx", "in.ppm", "out.ppm"], cwd=tmp_path, check=True)
    check(network, tmp_path / "in.ppm", tmp_path / "out.ppm")
    wrong = subprocess.run([program, "small.onnx", "small.onnx", "x.ppm"], cwd=tmp_path, capture_output=True, text=True)
    assert wrong.returncode == 1 and "no 8-bit P6 file" in wrong.stderr


def test_javascript(network, tmp_path, photo):
    modules = os.environ.get("SRKD_NODE_MODULES")
    if modules is None or shutil.which("node") is None:
        pytest.skip("needs node, and $SRKD_NODE_MODULES with onnxruntime-node and sharp in it")
    write_image(tmp_path / "in.png", photo)
    shutil.copy(SAMPLES / "upscale.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(modules)
    subprocess.run(["node", "upscale.mjs", "small.onnx", "in.png", "out.png"], cwd=tmp_path, check=True)
    check(network, tmp_path / "in.png", tmp_path / "out.png")
