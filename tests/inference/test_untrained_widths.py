"""A width that training did not supervise gives noise: whoever uses it is told."""

import pytest

from srkd.inference.export.export import export
from srkd.inference.upscaler import Upscaler
from srkd.inference.widths import trained_at
from srkd.networks.edsr import EDSR


@pytest.fixture
def network():
    network = EDSR(num_feat=8, num_block=1, upscale=2)
    network.trained_widths = (1.0, 0.5)
    return network


def test_upscaler_and_export_warn_once(network, tmp_path, caplog):
    up = Upscaler(network, device="cpu")
    up.width = 0.5
    assert not caplog.records
    up.width = 0.25
    up.width = 1.0
    up.width = 0.25
    assert [record.getMessage() for record in caplog.records] == [
        "width 0.25 was not trained (trained: 1, 0.5): expect noise."
    ]
    export(network, tmp_path / "x.pth", width=0.125)
    assert "width 0.125 was not trained" in caplog.text


def test_unknown_widths_are_not_complained_about(network, caplog):
    network.trained_widths = None
    Upscaler(network, width=0.25, device="cpu")
    assert trained_at(network, 0.25) and not caplog.records
