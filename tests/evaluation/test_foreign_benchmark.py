"""A published network, loaded by spandrel, gets the numbers that were measured outside srkd."""

import pytest

from srkd.evaluation.benchmark import benchmark
from srkd.evaluation.models import load_models
from srkd.evaluation.protocols import protocol_of
from srkd.evaluation.sets import find_set


def test_craft_on_set5(shared_data):
    pytest.importorskip("spandrel")
    models = load_models([shared_data / "weights" / "craft_x4.pth"])
    result = benchmark(models, [find_set(str(shared_data / "Set5"))], protocol=protocol_of("y", 4))
    (summary,) = [summary for summary in result.summary if summary.model == "craft_x4"]
    assert f"{summary.metrics['psnr']:.3f} {summary.metrics['ssim']:.4f}" == "32.387 0.8971"
    assert (summary.n, summary.params, summary.multi_adds) == (5, 753_344, 59_068_268_000)
    assert result.models[1]["network"]["type"] == "spandrel.CRAFT"
