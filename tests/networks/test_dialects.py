"""Checkpoints of other code bases: each one's forward written anew from its definition, and equal to ours."""

import logging
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import srkd
from srkd.networks.carn import CARN
from srkd.networks.dialects import recognise, to_dialect
from srkd.networks.edsr import EDSR
from srkd.networks.rcan import RCAN
from srkd.networks.weights import load_network, load_params, read_weights, save_network
from srkd.types import InputError

MEAN = (0.4488, 0.4371, 0.4040)


def conv(inside, outside, size=3):
    return nn.Conv2d(inside, outside, size, padding=size // 2)


class Shift(nn.Conv2d):
    def __init__(self, sign, rgb_range, mean=MEAN):
        super().__init__(3, 3, 1)
        self.weight.data = torch.eye(3).view(3, 3, 1, 1)
        self.bias.data = sign * rgb_range * torch.tensor(mean)


class Residual(nn.Module):
    """x + scale · body(x)."""

    def __init__(self, *layers, scale=1.0):
        super().__init__()
        self.body, self.scale = nn.Sequential(*layers), scale

    def forward(self, x):
        return x + self.body(x) * self.scale


class Attention(nn.Module):
    def __init__(self, feat, reduction):
        super().__init__()
        few = feat // reduction
        self.conv_du = nn.Sequential(conv(feat, few, 1), nn.ReLU(), conv(few, feat, 1), nn.Sigmoid())

    def forward(self, x):
        return x * self.conv_du(x.mean((2, 3), keepdim=True))


def factors(scale):
    return [3] if scale == 3 else [2] * int(math.log2(scale))


class EDSRPyTorch(nn.Module):
    """EDSR-PyTorch's EDSR, on images in [0, rgb_range]."""

    def __init__(self, feat, blocks, scale, res_scale, rgb_range=255, mean=MEAN):
        super().__init__()
        self.sub_mean, self.add_mean = Shift(-1, rgb_range, mean), Shift(1, rgb_range, mean)
        self.head = nn.Sequential(conv(3, feat))
        body = [Residual(conv(feat, feat), nn.ReLU(), conv(feat, feat), scale=res_scale) for _ in range(blocks)]
        self.finish(feat, body, scale)

    def finish(self, feat, body, scale):
        steps = [layer for f in factors(scale) for layer in (conv(feat, f * f * feat), nn.PixelShuffle(f))]
        self.body = nn.Sequential(*body, conv(feat, feat))
        self.tail = nn.Sequential(nn.Sequential(*steps), conv(feat, 3))

    def forward(self, x):
        x = self.head(self.sub_mean(x))
        return self.add_mean(self.tail(self.body(x) + x))


class RCANPyTorch(EDSRPyTorch):
    """EDSR-PyTorch's RCAN, and yulunzhang/RCAN."""

    def __init__(self, feat, groups, blocks, reduction, scale, rgb_range=255):
        super().__init__(feat, 0, 1, 1, rgb_range)

        def block():
            return Residual(conv(feat, feat), nn.ReLU(), conv(feat, feat), Attention(feat, reduction))

        body = [Residual(*(block() for _ in range(blocks)), conv(feat, feat)) for _ in range(groups)]
        self.finish(feat, body, scale)


class TorchSR(nn.Module):
    """torchSR's: EDSR-PyTorch's names, on images in [0, 1]."""

    def __init__(self, network):
        super().__init__()
        self.sub_mean, self.add_mean = network.sub_mean, network.add_mean
        self.head, self.body, self.tail = network.head, network.body, network.tail

    def forward(self, x):
        x = self.head(self.sub_mean(255 * x))
        return self.add_mean(self.tail(self.body(x) + x)) / 255


class CSDUpsampler(nn.Module):
    def __init__(self, feat, scale):
        super().__init__()
        self.factors = factors(scale)
        self.blocks = nn.ModuleList(conv(feat, f * f * feat) for f in self.factors)

    def forward(self, x):
        for factor, block in zip(self.factors, self.blocks, strict=True):
            x = F.pixel_shuffle(block(x), factor)
        return x


class CSDBlock(nn.Module):
    def __init__(self, feat, res_scale):
        super().__init__()
        self.conv1, self.conv2, self.res_scale = conv(feat, feat), conv(feat, feat), res_scale

    def forward(self, x):
        return x + self.conv2(self.conv1(x).relu()) * self.res_scale


class CSDAttention(nn.Module):
    def __init__(self, feat, reduction):
        super().__init__()
        self.conv_du = nn.ModuleList([conv(feat, feat // reduction, 1), conv(feat // reduction, feat, 1)])

    def forward(self, x):
        return x * self.conv_du[1](self.conv_du[0](x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class CSDAttentionBlock(nn.Module):
    def __init__(self, feat, reduction):
        super().__init__()
        self.body, self.caLayer = nn.ModuleList([conv(feat, feat), conv(feat, feat)]), CSDAttention(feat, reduction)

    def forward(self, x):
        return x + self.caLayer(self.body[1](self.body[0](x).relu()))


class CSDGroup(nn.Module):
    def __init__(self, feat, blocks, reduction):
        super().__init__()
        self.body = nn.ModuleList(CSDAttentionBlock(feat, reduction) for _ in range(blocks))
        self.conv = conv(feat, feat)

    def forward(self, x):
        return x + self.conv(nn.Sequential(*self.body)(x))


class CSD(nn.Module):
    """CSD's EDSR at full width, or with `groups` its RCAN; on images in [0, rgb_range]."""

    def __init__(self, feat, blocks, scale, res_scale, rgb_range=255, groups=0, reduction=4):
        super().__init__()
        self.sub_mean, self.add_mean = Shift(-1, rgb_range), Shift(1, rgb_range)
        if groups:
            self.head_conv = conv(3, feat)
            self.body = nn.ModuleList(CSDGroup(feat, blocks, reduction) for _ in range(groups))
        else:
            self.head = conv(3, feat)
            self.body = nn.ModuleList(CSDBlock(feat, res_scale) for _ in range(blocks))
        self.body_conv, self.tail_conv = conv(feat, feat), conv(feat, 3)
        self.upsampler = CSDUpsampler(feat, scale)

    def forward(self, x):
        x = (self.head_conv if hasattr(self, "head_conv") else self.head)(self.sub_mean(x))
        x = x + self.body_conv(nn.Sequential(*self.body)(x))
        return self.add_mean(self.tail_conv(self.upsampler(x)))


class OnUnitRange(nn.Module):
    """A network on [0, rgb_range], asked for images in [0, 1]."""

    def __init__(self, network, rgb_range=255):
        super().__init__()
        self.network, self.rgb_range = network, rgb_range

    def forward(self, x):
        return self.network(x * self.rgb_range) / self.rgb_range


def wrapped(network):
    """What CSD's trainer writes."""
    optimizer = torch.optim.Adam(network.parameters())
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    return {"epoch": 3, "model_state_dict": state, "optimizer_state_dict": optimizer.state_dict(), "best_psnr": 30.5}


def theirs(dialect, kind, scale, res_scale):
    """(their network on images in [0, 1], the contents of their file, the options it must give)."""
    options = {"num_feat": 8, "num_block": 3, "upscale": scale, "res_scale": res_scale, "img_range": 255.0}
    if kind == "RCAN":
        options |= {"num_group": 2, "squeeze_factor": 4}
    if dialect == "csd":
        network = CSD(8, 3, scale, res_scale, groups=2 if kind == "RCAN" else 0)
        return OnUnitRange(network), wrapped(network), options
    network = RCANPyTorch(8, 2, 3, 4, scale) if kind == "RCAN" else EDSRPyTorch(8, 3, scale, res_scale)
    if dialect == "torchsr":
        network = TorchSR(network)
        return network, {"state_dict": network.state_dict(), "epoch": 1, "best_psnr": None}, options
    return OnUnitRange(network), network.state_dict(), options


CASES = [
    (dialect, kind, scale, res_scale)
    for dialect in ("edsr-pytorch", "torchsr", "csd")
    for kind, res_scale in (("EDSR", 1.0), ("EDSR", 0.1), ("RCAN", 1.0))
    for scale in (2, 3, 4)
]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def x():
    return torch.rand(2, 3, 9, 7)


@pytest.mark.parametrize(("dialect", "kind", "scale", "res_scale"), CASES)
@torch.inference_mode()
def test_their_file_computes_what_their_code_computes(dialect, kind, scale, res_scale, x, tmp_path):
    network, content, options = theirs(dialect, kind, scale, res_scale)
    torch.save(content, tmp_path / "theirs.pt")
    ours = load_network(tmp_path / "theirs.pt", network={"res_scale": res_scale})
    assert type(ours).__name__ == kind
    assert {name: ours.config[name] for name in options} == options and ours.config["rgb_mean"] == MEAN
    assert (ours(x) - network(x)).abs().max() <= 1e-6


@pytest.mark.parametrize(("dialect", "kind", "scale", "res_scale"), CASES)
@torch.inference_mode()
def test_their_code_loads_what_we_write(dialect, kind, scale, res_scale, x):
    network, _, options = theirs(dialect, kind, scale, res_scale)
    ours = {"EDSR": EDSR, "RCAN": RCAN}[kind](**options).eval()
    written = to_dialect(ours, dialect)
    inner = network if dialect == "torchsr" else network.network
    if dialect == "csd":
        assert {"epoch", "best_psnr", "best_psnr_epoch"} <= set(written)  # its trainer reads them
        inner, written = nn.DataParallel(inner), written["model_state_dict"]
    before = {name: value.clone() for name, value in inner.state_dict().items() if "_mean" in name}
    inner.load_state_dict(written, strict=True)
    assert all(torch.equal(written[name], value) for name, value in before.items())  # the mean, to the bit
    assert (ours(x) - network(x)).abs().max() <= 1e-6


@pytest.mark.parametrize("dialect", ["edsr-pytorch", "torchsr", "csd"])
@pytest.mark.parametrize("network", [EDSR, RCAN])
def test_round_trip_is_bit_identical(dialect, network):
    ours = network(num_feat=8, num_block=2, upscale=4, **({"squeeze_factor": 2} if network is RCAN else {}))
    content = to_dialect(ours, dialect)
    again = recognise(content.get("model_state_dict", content))
    assert again is not None and again.network == network.__name__ and not again.folded
    assert list(again.params) == list(ours.state_dict()) or set(again.params) == set(ours.state_dict())
    assert all(torch.equal(again.params[name], value) for name, value in ours.state_dict().items())


@pytest.mark.parametrize(("feat", "blocks", "res_scale"), [(64, 16, 1.0), (256, 32, 0.1)])
def test_the_papers_sizes_decide_res_scale_and_the_log_says_so(feat, blocks, res_scale, tmp_path, caplog):
    with torch.device("meta"):
        shapes = EDSRPyTorch(feat, blocks, 4, res_scale).state_dict()
    state = {name: torch.zeros(1).expand(value.shape) for name, value in shapes.items()}
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        state |= {f"{name}.{part}": value for part, value in Shift(sign, 255).state_dict().items()}
    torch.save(state, tmp_path / "theirs.pt")
    network = load_network(tmp_path / "theirs.pt")
    assert network.config["res_scale"] == res_scale and network.config["img_range"] == 255.0
    assert f"res_scale {res_scale}" in caplog.text and "img_range 255" in caplog.text and "EDSR-PyTorch" in caplog.text


def test_other_sizes_are_refused_with_what_must_be_given(tmp_path):
    torch.save(EDSRPyTorch(8, 2, 2, 0.1).state_dict(), tmp_path / "theirs.pt")
    for load in (load_network, srkd.load_network):
        message = r"EDSR-PyTorch.*res_scale.*srkd export .*--network res_scale=VALUE"
        with pytest.raises(InputError, match=message) as error:
            load(tmp_path / "theirs.pt")
        assert "img_range=" not in str(error.value) and str(tmp_path) in str(error.value)
        assert "spandrel" not in str(error.value)
        assert load(tmp_path / "theirs.pt", network={"res_scale": 0.1}).config["res_scale"] == 0.1


@pytest.mark.parametrize(
    ("rgb_range", "mean", "expected"), [(1, MEAN, 1.0), (255, (0.4690, 0.4490, 0.4036), 255.0), (255, MEAN, 255.0)]
)
@torch.inference_mode()
def test_range_and_mean_are_read_from_the_file(rgb_range, mean, expected, x, tmp_path):
    network = EDSRPyTorch(8, 2, 2, 0.1, rgb_range, mean)
    torch.save(network.state_dict(), tmp_path / "theirs.pt")
    ours = load_network(tmp_path / "theirs.pt", network={"res_scale": 0.1})
    assert ours.config["img_range"] == expected and ours.config["rgb_mean"] == pytest.approx(mean, abs=1e-7)
    assert (ours(x) - OnUnitRange(network, rgb_range)(x)).abs().max() <= 1e-6


@torch.inference_mode()
def test_an_unusual_range_must_be_given(x, tmp_path):
    network = EDSRPyTorch(8, 2, 2, 0.1, rgb_range=100)
    torch.save(network.state_dict(), tmp_path / "theirs.pt")
    with pytest.raises(InputError, match=r"does not say img_range.*--network img_range=VALUE"):
        load_network(tmp_path / "theirs.pt", network={"res_scale": 0.1})
    ours = load_network(tmp_path / "theirs.pt", network={"res_scale": 0.1, "img_range": 100})
    assert (ours(x) - OnUnitRange(network, 100)(x)).abs().max() <= 1e-6


@torch.inference_mode()
def test_a_file_without_a_mean_shift_needs_range_and_mean(x, tmp_path):
    network = EDSRPyTorch(8, 2, 2, 0.1, mean=(0.0, 0.0, 0.0))
    torch.save({k: v for k, v in network.state_dict().items() if "mean" not in k}, tmp_path / "theirs.pt")
    with pytest.raises(InputError, match=r"does not say img_range .* or rgb_mean"):
        load_network(tmp_path / "theirs.pt", network={"res_scale": 0.1})
    given = {"res_scale": 0.1, "img_range": 255, "rgb_mean": [0, 0, 0]}
    ours = load_network(tmp_path / "theirs.pt", network=given)
    assert (ours(x) - OnUnitRange(network)(x)).abs().max() <= 1e-6


def test_a_mean_of_zero_tells_no_range(tmp_path):
    torch.save(EDSRPyTorch(8, 2, 2, 0.1, mean=(0.0, 0.0, 0.0)).state_dict(), tmp_path / "theirs.pt")
    with pytest.raises(InputError, match="does not say img_range"):
        load_network(tmp_path / "theirs.pt", network={"res_scale": 0.1, "rgb_mean": [0, 0, 0]})


@torch.inference_mode()
def test_a_trained_mean_shift_is_folded_exactly(x, tmp_path, caplog):
    """Versions that froze the mean shift by mistake in name only trained it: EDSR-PyTorch's issue 80."""
    network = RCANPyTorch(8, 2, 2, 4, 3)
    for shift in (network.sub_mean, network.add_mean):
        shift.weight.data += 0.05 * torch.randn(3, 3, 1, 1)
        shift.bias.data += torch.randn(3)
    torch.save(network.state_dict(), tmp_path / "theirs.pt")
    ours = load_network(tmp_path / "theirs.pt")
    assert (ours(x) - OnUnitRange(network)(x)).abs().max() <= 1e-6  # at the border too, where zeros are padded
    assert ours.config["rgb_mean"] != MEAN and "folded" in caplog.text


@pytest.mark.parametrize("weight", [torch.ones(3, 3), torch.eye(3).flip(0), -torch.eye(3), torch.zeros(3, 3)])
def test_what_is_no_mean_shift_is_refused(weight, tmp_path):
    network = EDSRPyTorch(8, 2, 2, 0.1)
    network.sub_mean.weight.data = weight.view(3, 3, 1, 1)
    torch.save(network.state_dict(), tmp_path / "theirs.pt")
    with pytest.raises(InputError, match=r"theirs\.pt.*not mean shifts"):
        read_weights(tmp_path / "theirs.pt")


def test_prefixes_are_stripped():
    state = EDSRPyTorch(8, 2, 2, 0.1).state_dict()
    for prefix in ("module.", "model.", "model.module."):
        found = recognise({prefix + name: value for name, value in state.items()})
        assert found is not None and torch.equal(found.params["conv_first.weight"], state["head.0.weight"])


def test_other_names_are_not_recognised():
    state = EDSRPyTorch(8, 2, 2, 0.1).state_dict()
    without = dict(list(state.items())[:-1])
    assert recognise(without) is None
    assert recognise({**state, "extra.weight": torch.ones(1)}) is None
    assert recognise({name: value for name, value in state.items() if name != "add_mean.bias"}) is None
    assert recognise(CARN(num_feat=8).state_dict()) is None
    assert recognise({}) is None


def test_given_options_may_not_contradict_the_file(tmp_path):
    torch.save(EDSRPyTorch(8, 2, 2, 0.1).state_dict(), tmp_path / "theirs.pt")
    for given, message in (
        ({"num_feat": 16}, "num_feat is 8 in this file, not 16"),
        ({"res_scael": 0.1}, "Did you mean 'res_scale'"),
        ({"res_scale": "x"}, "must be a number"),
        ({"res_scale": 0.1, "img_range": 1}, "mean shift takes off"),
        ({"res_scale": 0.1, "img_range": 0}, "must be positive"),
        ({"res_scale": 0.1, "rgb_mean": [0.5, 0.5]}, "does not say img_range"),
    ):
        with pytest.raises(InputError, match=message):
            load_network(tmp_path / "theirs.pt", network=given)
    torch.save(RCANPyTorch(8, 1, 1, 4, 2).state_dict(), tmp_path / "rcan.pt")
    with pytest.raises(InputError, match=r"res_scale is 1\.0 in this file, not 0\.5"):
        load_network(tmp_path / "rcan.pt", network={"res_scale": 0.5})


def test_options_are_not_given_for_a_file_that_holds_them(tmp_path):
    save_network(tmp_path / "ours.pth", EDSR(num_feat=8, num_block=1))
    with pytest.raises(InputError, match="res_scale cannot be given"):
        load_network(tmp_path / "ours.pth", network={"res_scale": 0.1})


@torch.inference_mode()
def test_an_option_files_network_takes_the_parameters(x, tmp_path, caplog):
    network = EDSRPyTorch(8, 2, 2, 0.3)
    torch.save(network.state_dict(), tmp_path / "theirs.pt")
    weights = read_weights(tmp_path / "theirs.pt")
    ours = EDSR(num_feat=8, num_block=2, upscale=2, res_scale=0.3)
    with caplog.at_level(logging.INFO):
        assert load_params(ours, weights) == []
    assert "EDSR-PyTorch" in caplog.text
    assert (ours(x) - OnUnitRange(network)(x)).abs().max() <= 1e-6
    with pytest.raises(InputError, match="does not fit EDSR"):
        load_params(EDSR(num_feat=8, num_block=3, upscale=2), weights)
    with pytest.raises(InputError, match="does not fit EDSR: its mean shift"):
        load_params(EDSR(num_feat=8, num_block=2, upscale=2, img_range=1.0), weights)
    warm = EDSR(num_feat=8, num_block=2, upscale=4)
    assert set(load_params(warm, weights, strict=False)) == {"upsample.2.weight", "upsample.2.bias"}


@pytest.mark.parametrize(
    ("network", "dialect", "message"),
    [
        (CARN(num_feat=8, upscale=2), "csd", "no names for CARN"),
        (EDSR(num_feat=8, num_block=1), "edsrpytorch", "Did you mean 'edsr-pytorch'"),
        (EDSR(num_feat=8, num_block=1, img_range=1.0), "torchsr", r"img_range \(=1\) must be 255"),
        (EDSR(num_feat=8, num_block=1, img_range=0.5), "csd", "whole number"),
        (EDSR(num_feat=8, num_block=1, upscale=8), "csd", r"upscale \(=8\)"),
        (EDSR(num_feat=8, num_block=1, num_in_ch=1, num_out_ch=1, rgb_mean=(0.0,)), "csd", "num_in_ch"),
        (RCAN(num_feat=8, num_group=1, num_block=1, squeeze_factor=2, res_scale=0.5), "csd", r"res_scale \(=0.5\)"),
        (RCAN(num_feat=8, num_group=1, num_block=1, squeeze_factor=16), "edsr-pytorch", "squeeze_factor"),
    ],
)
def test_what_a_dialect_cannot_express_is_refused(network, dialect, message):
    with pytest.raises(ValueError, match=message):
        to_dialect(network, dialect)


@pytest.mark.parametrize("kind", ["EDSR", "RCAN"])
@torch.inference_mode()
def test_bare_files_of_basicsr_are_complete_at_the_papers_sizes_only(kind, x, tmp_path, caplog, basicsr):
    from basicsr.archs import edsr_arch, rcan_arch

    network = edsr_arch.EDSR if kind == "EDSR" else rcan_arch.RCAN
    small = {"num_feat": 8, "num_block": 3, **({"num_group": 2, "squeeze_factor": 4} if kind == "RCAN" else {})}
    theirs = network(3, 3, **small, upscale=2, img_range=255.0)
    torch.save({"params": theirs.state_dict()}, tmp_path / "theirs.pth")
    with pytest.raises(InputError, match=r"names of BasicSR.*--network res_scale=VALUE --network img_range=VALUE"):
        load_network(tmp_path / "theirs.pth")
    given = {"res_scale": 1, "img_range": 255, "rgb_mean": MEAN}
    assert (load_network(tmp_path / "theirs.pth", network=given)(x) - theirs(x)).abs().max() <= 1e-6

    size = {"num_feat": 64, "num_block": 16} if kind == "EDSR" else {"num_feat": 64, "num_block": 20, "num_group": 1}
    theirs = network(3, 3, **size, upscale=2, img_range=255.0)
    torch.save({"params": theirs.state_dict()}, tmp_path / "theirs.pth")
    assert (load_network(tmp_path / "theirs.pth")(x) - theirs(x)).abs().max() <= 1e-6
    assert "img_range 255.0, as in BasicSR's files" in caplog.text
