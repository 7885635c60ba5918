import logging

import numpy as np
import pytest
import torch
from torch import nn

from srkd.inference.precision import LEAST_PSNR, check_precision, choose_precision, precisions
from srkd.inference.upscaler import Upscaler
from srkd.networks.edsr import EDSR
from srkd.types import InputError

IMAGE = np.random.default_rng(0).integers(0, 256, (120, 130, 3), np.uint8)
CPU = torch.device("cpu")


class Twice(nn.Module):
    """Nearest enlargement, off by `error`; the time it takes is made up."""

    def __init__(self, error=0.0):
        super().__init__()
        self.error = error

    def forward(self, x, width=1.0):
        return nn.functional.interpolate(x, scale_factor=2) * (1 - self.error)


@pytest.fixture
def seconds(monkeypatch):
    """How long each network takes, by its error."""
    import srkd.inference.precision as module

    run, times = module._run, {}
    monkeypatch.setattr(module, "_run", lambda network, tiles: (run(network, tiles)[0], times[network.error]))
    return times


EXACT, CLOSE, FAR = 0.0, 1e-4, 1e-2  # about 84 dB and 44 dB from the exact one


@pytest.mark.parametrize(
    ("error", "time", "chosen"),
    [(CLOSE, 0.5, "bf16"), (CLOSE, 0.95, "fp32"), (CLOSE, 2.0, "fp32"), (FAR, 0.1, "fp32")],
    ids=["faster and close", "hardly faster", "slower", "fast but far"],
)
def test_the_fastest_that_is_close_enough(seconds, caplog, error, time, chosen):
    caplog.set_level(logging.INFO)
    seconds.update({EXACT: 1.0, error: time})
    networks = {"fp32": Twice(EXACT), "bf16": Twice(error)}
    assert choose_precision(networks.__getitem__, ["fp32", "bf16"], IMAGE) == chosen
    assert f"dB from fp32 (at least {LEAST_PSNR:g} asked), {1 / time:.2f} times as fast" in caplog.text


def test_of_two_that_are_close_the_faster(seconds):
    seconds.update({EXACT: 1.0, CLOSE: 0.5, CLOSE / 2: 0.4})
    networks = {"fp32": Twice(EXACT), "bf16": Twice(CLOSE), "fp16": Twice(CLOSE / 2)}
    assert choose_precision(networks.__getitem__, ["fp32", "bf16", "fp16"], IMAGE) == "fp16"


def test_what_cannot_run_or_is_not_a_number_is_left_out(seconds):
    class Fails(Twice):
        def forward(self, x, width=1.0):
            raise RuntimeError('"some_kernel" not implemented for BFloat16')

    not_a_number = float("nan")
    seconds.update({EXACT: 1.0, not_a_number: 0.1})
    networks = {"fp32": Twice(EXACT), "bf16": Fails(), "fp16": Twice(not_a_number)}
    assert choose_precision(networks.__getitem__, ["fp32", "bf16", "fp16"], IMAGE) == "fp32"


@pytest.mark.parametrize("shape", [(3, 5, 3), (300, 20), (97, 97, 4), (1, 1, 3)])
def test_images_of_every_size_and_kind(shape):
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    assert choose_precision(lambda precision: Twice(), ["fp32", "bf16"], image) in ("fp32", "bf16")


def test_bf16_of_a_real_network_is_close():
    torch.manual_seed(0)
    network = EDSR(num_feat=16, num_block=2, upscale=2)
    exact = Upscaler(network, device="cpu", precision="fp32")(IMAGE).astype(float)
    close = Upscaler(network, device="cpu", precision="bf16")(IMAGE).astype(float)
    assert 0 < np.abs(exact - close).max() <= 3
    assert 10 * np.log10(255**2 / np.square(exact - close).mean()) > 50


def test_auto_settles_each_width_on_its_first_image():
    upscaler = Upscaler(EDSR(num_feat=16, num_block=1, upscale=2), device="cpu")
    assert upscaler.precision == "auto" and upscaler.memory == {}
    upscaler(IMAGE)
    settled = upscaler.precision
    assert settled in precisions(CPU) and list(upscaler.memory) == [1.0]
    upscaler.width = 0.5
    assert upscaler.precision == "auto"
    upscaler.width = 1.0
    assert upscaler.precision == settled


def test_unknown_precisions():
    for wanted in ("fp16", "int8"):
        with pytest.raises(InputError, match=f"'{wanted}' is not available on cpu; allowed: fp32, bf16"):
            check_precision(wanted, CPU)
    with pytest.raises(InputError, match="precision 'fp16'"):
        Upscaler(EDSR(num_feat=4, num_block=1), device="cpu", precision="fp16")
