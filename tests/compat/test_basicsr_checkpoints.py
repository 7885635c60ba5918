"""Checkpoints in both directions, by BasicSR's own reading and writing: `SRModel.load_network` and `SRModel.save`."""

from __future__ import annotations

import importlib

import pytest
import torch

from srkd.networks.edsr import EDSR
from srkd.networks.rcan import RCAN
from srkd.networks.weights import load_params, read_weights, save_network
from srkd.types import InputError

COMMON = {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 8, "num_block": 2, "upscale": 2}
NETWORKS = [(EDSR, COMMON), (RCAN, {**COMMON, "num_group": 2, "squeeze_factor": 4})]


@pytest.fixture
def sr_model(basicsr, tmp_path):
    """BasicSR's model around its own network of that name."""

    def build(kind, options):
        opt = {
            "model_type": "SRModel",
            "num_gpu": 0,
            "dist": False,
            "rank": 0,
            "is_train": True,
            "network_g": {"type": kind, **options},
            "path": {"models": str(tmp_path), "training_states": str(tmp_path)},
            "train": {
                "ema_decay": 0.5,
                "pixel_opt": {"type": "L1Loss"},
                "optim_g": {"type": "Adam", "lr": 1e-3},
                "scheduler": {"type": "MultiStepLR", "milestones": [10]},
            },
        }
        return importlib.import_module("basicsr.models").build_model(opt)

    return build


def assert_equal_outputs(one, other):
    x = torch.rand(1, 3, 7, 9, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert (one.eval()(x) - other.eval()(x)).abs().max() <= 1e-6


@pytest.mark.parametrize(("kind", "options"), NETWORKS)
@pytest.mark.parametrize("key", ["params", "params_ema"])
def test_basicsrs_model_loads_our_file_strictly(sr_model, tmp_path, kind, options, key):
    current, averaged = kind(**options), kind(**options)
    save_network(tmp_path / "ours.pth", current, params_ema=averaged.state_dict())
    model = sr_model(kind.__name__, options)
    model.load_network(model.net_g, str(tmp_path / "ours.pth"), True, key)
    assert_equal_outputs(model.net_g, {"params": current, "params_ema": averaged}[key])


@pytest.mark.parametrize(("kind", "options"), NETWORKS)
def test_we_load_the_file_of_basicsrs_model_strictly(sr_model, tmp_path, kind, options):
    model = sr_model(kind.__name__, options)
    model.feed_data({"lq": torch.rand(1, 3, 8, 8), "gt": torch.rand(1, 3, 16, 16)})
    model.optimize_parameters(1)  # from here on the average differs from the network
    model.save(0, 1)
    for key, theirs in (("params", model.net_g), ("params_ema", model.net_g_ema), (None, model.net_g_ema)):
        ours = kind(**options)
        assert load_params(ours, read_weights(tmp_path / "net_g_1.pth", key)) == []
        assert_equal_outputs(ours, theirs)
    with pytest.raises(InputError, match="does not fit"):
        load_params(kind(**{**options, "num_feat": 12}), read_weights(tmp_path / "net_g_1.pth"))
