import pytest
import torch

from srkd.inference.prepared import tail_rows
from srkd.inference.upscaler import Upscaler
from srkd.metrics.cost import peak_activations
from srkd.networks.carn import CARN
from srkd.networks.edsr import EDSR
from srkd.networks.rcan import RCAN

NETWORKS = {
    "EDSR x4": lambda: EDSR(num_feat=32, num_block=1, upscale=4, img_range=1.0),
    "EDSR x3": lambda: EDSR(num_feat=16, num_block=1, upscale=3, img_range=1.0),
    "EDSR x1": lambda: EDSR(num_feat=16, num_block=1, upscale=1, img_range=1.0),
    "direct EDSR x4": lambda: EDSR(num_feat=32, num_block=1, upscale=4, img_range=1.0, upsampler="direct"),
    "RCAN x2": lambda: RCAN(num_feat=16, num_group=1, num_block=1, upscale=2, squeeze_factor=4, img_range=1.0),
    "CARN x8": lambda: CARN(num_feat=16, num_group=1, num_block=1, upscale=8),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("width", [1.0, 0.5])
@pytest.mark.parametrize("rows", [1, 7, 16, 20, 1000])
def test_bands_of_rows_make_the_same_image(name, width, rows):
    torch.manual_seed(0)
    network = NETWORKS[name]().eval().to(memory_format=torch.channels_last)
    x = torch.rand(2, 3, 45, 12).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        whole = network(x, width)
        network.tail_rows = rows
        assert torch.allclose(network(x, width), whole, rtol=0, atol=1e-6)


@pytest.mark.skipif(torch.backends.cpu.get_cpu_capability() != "AVX512", reason="exact with whole vectors of channels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_bands_are_exact_for_networks_and_images_as_they_are_used(dtype):
    torch.manual_seed(0)
    network = EDSR(num_feat=64, num_block=1, upscale=4, img_range=1.0).eval()
    network.to(dtype=dtype, memory_format=torch.channels_last)
    x = torch.rand(1, 3, 90, 64).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        whole = network(x)
        network.tail_rows = 20
        assert torch.equal(network(x), whole)


def test_gradients_are_the_same():
    network = NETWORKS["EDSR x4"]().double()
    x = torch.rand(1, 3, 9, 5, dtype=torch.float64, requires_grad=True)
    (whole,) = torch.autograd.grad(network(x).square().sum(), x)
    network.tail_rows = 2
    (bands,) = torch.autograd.grad(network(x).square().sum(), x)
    assert torch.allclose(bands, whole)


def test_the_upscaler_uses_them_and_takes_a_third_of_the_memory():
    network = EDSR(num_feat=64, num_block=2, upscale=4)
    upscaler = Upscaler(network, device="cpu", precision="fp32")
    small = next(iter(upscaler._prepared._narrow.values()))
    assert small.tail_rows == tail_rows(small) == 20 and network.tail_rows is None
    assert tail_rows(EDSR(num_feat=16).bfloat16()) == 160 and tail_rows(EDSR(num_feat=256, num_block=1)) == 16
    plain, banded = (peak_activations(each, height=180, width_px=64) for each in (network, small))
    assert 3 * banded < plain
