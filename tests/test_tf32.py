"""Exact convolutions, whichever of PyTorch's interfaces to TF32 the user's program has used before."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import srkd
from srkd import tf32
from srkd.engine.build import build_trainer
from srkd.evaluation.models import Model
from srkd.evaluation.network_cost import cost, to_json
from srkd.imaging.files import write_image
from srkd.networks.edsr import EDSR
from srkd.networks.frozen import rounded
from srkd.options import load_train_options

NEW = hasattr(torch.backends.cudnn, "conv")
SET_BEFORE = [
    "torch.backends.cudnn.allow_tf32 = False",
    "torch.backends.cudnn.allow_tf32 = True",
    "torch.set_float32_matmul_precision('high')",
    *(
        [
            "torch.backends.cudnn.conv.fp32_precision = 'ieee'",
            "torch.backends.cudnn.conv.fp32_precision = 'tf32'",
            "torch.backends.cudnn.fp32_precision = 'ieee'",
            "torch.backends.cudnn.rnn.fp32_precision = 'ieee'",
            "torch.backends.fp32_precision = 'tf32'",
            "torch.backends.fp32_precision = 'ieee'",
            "torch.backends.fp32_precision = 'bf16'",
            "torch.backends.mkldnn.conv.fp32_precision = 'bf16'",
        ]
        if NEW
        else []
    ),
]


def _state() -> list[object]:
    backends: Any = torch.backends
    if not NEW:
        return [backends.cudnn.allow_tf32]
    return [part.fp32_precision for part in (backends, backends.cudnn.conv, backends.cudnn.rnn, backends.mkldnn.conv)]


def _upscale_train_count(setting: str, options: Path) -> None:
    """What a program may do that has said something about TF32 already."""
    exec(setting)
    inside: list[bool] = []

    def ask(*_: object) -> None:
        mkldnn: Any = torch.backends.mkldnn
        inside.append(not tf32.convolutions_round() and not (NEW and mkldnn.conv.fp32_precision in ("bf16", "tf32")))

    before, network = _state(), EDSR(num_feat=4, num_block=1, upscale=2)
    network.register_forward_pre_hook(ask)
    srkd.Upscaler(network, device="cpu", precision="fp32")(np.zeros((20, 24, 3), np.uint8))
    assert _state() == before

    rows = [cost(Model("net", EDSR(num_feat=4, num_block=1)), 1.0, size=(8, 8), runs=1)]
    machine = {"device": "cuda:0", "hardware": "", "threads": 1, "torch": "", "srkd_version": ""}
    assert ("TF32" in to_json(rows, machine)["precision"]) == tf32.convolutions_round()

    trainer = build_trainer(load_train_options(options))
    trainer.method.student.register_forward_pre_hook(ask)
    assert trainer.run() == 0
    assert _state() == before
    assert len(inside) > 3 and all(inside)


@pytest.fixture
def options(tmp_path: Path, rng: np.random.Generator) -> Path:
    write_image(tmp_path / "images" / "a.png", rng.integers(0, 256, (40, 40, 3), np.uint8))
    file = tmp_path / "tiny.yml"
    file.write_text(f"""
name: tiny
scale: 2
device: cpu
datasets: {{train: {{type: PairedImageDataset, dataroot_gt: {tmp_path}/images, gt_size: 16, batch_size_per_gpu: 2}}}}
network_g: {{type: EDSR, num_feat: 4, num_block: 1, upscale: 2}}
path: {{experiments_root: {tmp_path}/experiments}}
train: {{optim_g: {{type: Adam, lr: 1e-3}}, total_iter: 3, pixel_opt: {{type: L1Loss}}, precision: fp32}}
""")
    return file


def in_a_process_of_its_own(run: Callable[..., None], *given: Any) -> None:
    # from a server that has imported this and run nothing: a fork of a process whose threads compute may hang or abort
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=run, args=given)
    process.start()
    process.join()
    assert process.exitcode == 0, "its traceback is above"


@pytest.mark.parametrize("setting", ["pass", *SET_BEFORE])
def test_what_a_program_has_set_before_breaks_nothing_and_is_left_as_it_was(setting: str, options: Path) -> None:
    in_a_process_of_its_own(_upscale_train_count, setting, options)


def _upscale_and_ask_the_old_interface() -> None:
    srkd.Upscaler(EDSR(num_feat=4, num_block=1), device="cpu", precision="fp32")(np.zeros((9, 9, 3), np.uint8))
    assert torch.backends.cudnn.allow_tf32 and torch.get_float32_matmul_precision() == "highest"


def test_the_old_interface_stays_readable_after_upscaling() -> None:
    in_a_process_of_its_own(_upscale_and_ask_the_old_interface)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
def test_before_torch_2_9_there_is_one_switch(monkeypatch: pytest.MonkeyPatch, before: bool, wanted: bool) -> None:
    cudnn = SimpleNamespace(allow_tf32=before)
    monkeypatch.setattr(torch, "backends", SimpleNamespace(cudnn=cudnn, mkldnn=SimpleNamespace()))
    with tf32.convolutions(tf32=wanted):
        assert tf32.convolutions_round() == wanted
    assert tf32.convolutions_round() == before


def _inherit(above: str) -> None:
    backends: Any = torch.backends
    backends.cudnn.conv.fp32_precision = "none"
    backends.fp32_precision = above
    with tf32.convolutions(tf32=above != "tf32"):
        assert tf32.convolutions_round() == (above != "tf32")
    backends.fp32_precision = "ieee" if above == "tf32" else "tf32"
    assert backends.cudnn.conv.fp32_precision == backends.fp32_precision


@pytest.mark.skipif(not NEW, reason="torch 2.9 brought the new interface")
@pytest.mark.parametrize("above", ["ieee", "tf32"])
def test_a_value_that_comes_from_above_still_does_afterwards(above: str) -> None:
    in_a_process_of_its_own(_inherit, above)


def test_a_rounded_part_has_the_values_and_gradients_of_the_plain_one():
    """On the CPU, where nothing rounds; that it rounds on CUDA, and it alone, tests/scripts/test_cuda_stub.py shows."""
    first, second = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 2, 3)

    def features(x):
        return [inner := first(x).relu(), second(inner)]

    x = torch.rand(2, 3, 9, 8, requires_grad=True)
    found = []
    for results in (features(x * 2), rounded(features, x * 2)):
        losses = [result.square().sum() for result in results]
        found.append(
            [*results, *(torch.autograd.grad(loss, x, retain_graph=True)[0] for loss in [*losses, sum(losses)])]
        )
    assert all(map(torch.equal, *found))
    with torch.no_grad():
        assert not any(result.requires_grad for result in rounded(features, x))
    assert not any(result.requires_grad for result in rounded(features, x.detach().requires_grad_(False)))
