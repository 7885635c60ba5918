"""Files for spandrel: an EDSR as an RCAN of one group with attention that gives 1, the same function."""

import pytest
import torch

import srkd
from srkd.inference.export.export import export
from srkd.networks.dialects import to_dialect
from srkd.networks.edsr import EDSR
from srkd.networks.fsrcnn import FSRCNN
from srkd.networks.pretrained import PRETRAINED
from srkd.networks.rcan import RCAN
from srkd.networks.slim import narrow

EDSRS = {
    "two_step": {},
    "direct": {"upsampler": "direct"},
    "res_scale": {"res_scale": 0.1},
    "unit range": {"img_range": 1.0},
    "unit range, direct": {"img_range": 1.0, "upsampler": "direct"},
    "no mean": {"img_range": 1.0, "rgb_mean": (0.0, 0.0, 0.0)},
    "one grey mean": {"rgb_mean": (0.4,)},
}


@pytest.fixture
def spandrel():
    return pytest.importorskip("spandrel")


def theirs(spandrel, network):
    """The file's content, loaded by spandrel as ComfyUI does."""
    descriptor = spandrel.ModelLoader().load_from_state_dict(to_dialect(network, "spandrel"))
    assert descriptor.architecture.id == "RCAN" and descriptor.scale == network.scale
    return descriptor.model.eval()


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("kind", EDSRS)
@torch.inference_mode()
def test_spandrel_computes_the_same(spandrel, kind, scale):
    torch.manual_seed(0)
    network = EDSR(num_feat=16, num_block=3, upscale=scale, **EDSRS[kind]).eval()
    x = torch.rand(2, 3, 13, 10)
    for width in (1.0, 0.75):
        small = narrow(network, width)
        assert (theirs(spandrel, small)(x.clone()) - network(x, width)).abs().max() < 1e-6


@pytest.mark.parametrize("img_range", [1.0, 255.0])
@torch.inference_mode()
def test_an_rcan_of_any_range(spandrel, img_range):
    torch.manual_seed(0)
    network = RCAN(num_feat=8, num_group=2, num_block=2, squeeze_factor=4, upscale=2, img_range=img_range).eval()
    x = torch.rand(1, 3, 9, 12)
    assert (theirs(spandrel, network)(x.clone()) - network(x)).abs().max() < 1e-6


@pytest.mark.parametrize("name", PRETRAINED)
@pytest.mark.parametrize("width", [1.0, 0.75, 0.5, 0.25])
def test_the_shipped_networks(spandrel, name, width, tmp_path):
    """In float64: on noise the outputs reach 1.3, and float32 rounds them by more than 1e-6."""
    written = export(name, tmp_path / "theirs.pth", width=width, dialect="spandrel")
    assert written.parity["PyTorch"].max_difference < 1e-6
    model = spandrel.ModelLoader().load_from_file(tmp_path / "theirs.pth").model.eval().double()
    network, x = srkd.load_network(name).double(), torch.rand(1, 3, 20, 24, dtype=torch.float64)
    with torch.inference_mode():
        assert (model(x.clone()) - network(x, width)).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("network", "answer"),
    [
        (EDSR(num_feat=8, num_block=1, upscale=4, upsampler="direct"), r"num_feat \(=8\) must be at least 12"),
        (EDSR(num_feat=8, num_block=1, upscale=5, upsampler="direct"), r"`upscale` \(=5\) must be 3 or a power of two"),
        (EDSR(num_feat=8, num_block=1, upscale=1), r"upscale \(=1\) must be at least 2"),
        (
            EDSR(num_feat=8, num_block=1, num_in_ch=1, num_out_ch=1, rgb_mean=(0.4,)),
            "num_in_ch and num_out_ch must be 3",
        ),
        (RCAN(num_feat=8, num_group=1, num_block=1, squeeze_factor=4, res_scale=0.1), "res_scale must be 1"),
        (FSRCNN(upscale=2), "spandrel has no names for FSRCNN"),
    ],
)
def test_what_spandrel_cannot_express_is_refused(network, answer):
    with pytest.raises(ValueError, match=answer):
        to_dialect(network, "spandrel")
