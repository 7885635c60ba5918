import numpy as np
import torch

from srkd import tf32
from srkd.evaluation.models import Model
from srkd.evaluation.network_cost import CONVENTION, conventions, cost, table_of, to_json
from srkd.inference.upscaler import Upscaler
from srkd.metrics.cost import convolutions, multi_adds, parameters
from srkd.networks.edsr import EDSR
from srkd.networks.slim import narrow

MACHINE = {"hardware": "abacus", "device": "cpu", "threads": 1, "torch": "2", "srkd_version": "1"}


def test_every_count_is_of_the_narrow_network_at_the_stated_size(network):
    small = narrow(network, 0.5)
    found = cost(Model("net", network), 0.5, runs=0)
    assert (found.params, found.width) == (parameters(small), 0.5)
    assert found.multi_adds == multi_adds(small, height=360, width_px=640)
    assert found.flops == multi_adds(small, height=256, width_px=256)
    assert (found.convolutions, found.activations) == convolutions(small, height=256, width_px=256)
    assert found.size == (360, 640) and found.peak_bytes == _planned(network, 0.5, 360, 640)
    assert found.latency is found.measured_peak_bytes is None


def _planned(network, width, height, width_px):
    """What planning says of an image in one piece."""
    upscaler = Upscaler(network, width=width, precision="fp32", device="cpu", tile=0)
    upscaler(np.zeros((4, 4, 3), np.uint8))
    return round(upscaler.memory[width] + height * width_px * upscaler.bytes_per_pixel())


def test_precision_and_size_decide_about_memory_and_not_about_counts(network):
    single, half = (
        cost(Model("net", network, precision=name), 1.0, size=(10, 12), runs=0) for name in ("fp32", "bf16")
    )
    assert half.size == (10, 12) and half.flops == single.flops and half.peak_bytes < single.peak_bytes
    assert next(network.parameters()).dtype == torch.float32  # the model's own network stays as it was


def test_at_scale_three_the_size_is_rounded():
    network = EDSR(num_feat=4, num_block=0, upscale=3)
    assert cost(Model("net", network), 1.0, runs=0).size == (240, 427)


def test_table_and_json_say_how(network):
    rows = [cost(Model("net", network), width, size=(8, 8), runs=2) for width in (1.0, 0.5)]
    assert all(row.latency.runs == 2 and 0 < row.latency.median <= row.latency.p95 for row in rows)
    assert len(table_of(rows).columns) == len(table_of(rows).rows[0]) == 11
    text = "\n".join(conventions(rows, MACHINE))
    for word in ("1280 × 720 output", "256 × 256 input", "one multiply-add = one FLOP", "8 × 8", "2 passes after 3",
                 "abacus (cpu), fp32, 1 threads, torch 2"):  # fmt: skip
        assert word in text
    content = to_json(rows, MACHINE)
    for rounds in (True, False):
        with tf32.convolutions(tf32=rounds):
            assert ("TF32" in to_json(rows, {**MACHINE, "device": "cuda:0"})["precision"]) == rounds
    assert set(CONVENTION) <= content["rows"][0].keys() and content["kind"] == "cost"
    counted = [cost(Model("net", network), 1.0, runs=0)]
    assert len(table_of(counted).columns) == len(table_of(counted).rows[0]) == 9
