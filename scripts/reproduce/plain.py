"""Are plain convolutions with branches for training ahead of residual blocks? All at 2.9 G multiply-adds, ×4.

  OMP_NUM_THREADS=1 python scripts/reproduce/plain.py                  rates, 5,000 iterations each
  OMP_NUM_THREADS=1 python scripts/reproduce/plain.py --iterations 30000 --kinds residual xc   the best rate of each

`none` are the convolutions alone; `ecb` are the branches of X. Zhang et al., "Edge-oriented convolution block for
real-time super resolution on mobile devices" (ACM MM 2021); `xc` those of Conv3XC in C. Wan et al., "Swift
parameter-free attention network" (2024). Both become the convolutions alone when training ends (`fused`). Everything is
decided on the 30 development photographs. Results go to docs/results/plain_x4.json. The file is a plugin, too: it
registers `Plain`.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from torch import Tensor, nn

from srkd.atomic import atomic_write_text
from srkd.compat.foreign import Foreign, foreign
from srkd.compat.onnx_file import session
from srkd.networks.weights import build_network
from srkd.registry import NETWORKS

RESULT = Path("docs/results/plain_x4.json")
ROOT = Path("experiments/plain_x4")
RESIDUAL = {"type": "EDSR", "num_feat": 16, "num_block": 9, "upscale": 4, "img_range": 1.0, "upsampler": "direct"}
RATES = (2e-4, 5e-4, 1e-3, 1.5e-3)
SLOPE = 0.25  # of PReLU at the start
Kind = Literal["none", "ecb", "xc"]
KINDS = ("residual", "none", "ecb", "xc")


class Edge(nn.Module):
    """A 1 × 1 convolution, then a fixed edge filter of each channel with a learnt factor; on padded input."""

    FILTERS = (
        ((1, 0, -1), (2, 0, -2), (1, 0, -1)),
        ((1, 2, 1), (0, 0, 0), (-1, -2, -1)),
        ((0, 1, 0), (1, -4, 1), (0, 1, 0)),
    )

    def __init__(self, c_in: int, c_out: int, number: int) -> None:
        super().__init__()
        self.point = nn.Conv2d(c_in, c_out, 1)
        self.factor = nn.Parameter(torch.randn(c_out, 1, 1, 1) * 1e-3)
        self.bias = nn.Parameter(torch.randn(c_out) * 1e-3)
        self.register_buffer("filter", torch.tensor(self.FILTERS[number], dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        y = self.point(x)
        return nn.functional.conv2d(y, self.factor * self.get_buffer("filter"), self.bias, groups=y.shape[1])


class Block(nn.Module):
    """A 3 × 3 convolution as the sum of branches, all linear: one kernel after training."""

    def __init__(self, c_in: int, c_out: int, kind: Kind) -> None:
        super().__init__()
        self.c_in, self.kind = c_in, kind
        self.skip = kind == "ecb" and c_in == c_out
        inner = 2 * c_in
        self.pixels: Tensor
        self.register_buffer("pixels", torch.eye(9 * c_in).view(-1, c_in, 3, 3), persistent=False)
        self.branches = nn.ModuleList()
        self.point = nn.Conv2d(c_in, c_out, 1) if kind == "xc" else None
        if kind != "xc":
            self.branches.append(nn.Conv2d(c_in, c_out, 3))
        if kind == "ecb":
            self.branches.append(nn.Sequential(nn.Conv2d(c_in, 2 * c_out, 1), nn.Conv2d(2 * c_out, c_out, 3)))
            self.branches.extend(Edge(c_in, c_out, number) for number in range(3))
        if kind == "xc":
            self.branches.append(
                nn.Sequential(nn.Conv2d(c_in, inner, 1), nn.Conv2d(inner, 2 * c_out, 3), nn.Conv2d(2 * c_out, c_out, 1))
            )
        if kind != "ecb":  # these add the input
            self.balance()

    @torch.no_grad()
    def balance(self) -> None:
        """Scale the last weights so that twenty blocks in a row pass a signal on: K. He et al., ICCV 2015, eq. 15.

        With torch's own start it is a third in each, and a chain of them never learns.
        """
        weight, _ = self.kernel()
        factor = math.sqrt(2 / (1 + SLOPE**2) / weight[0].numel()) / weight.std()
        (branch,) = self.branches
        for last in (branch[-1] if isinstance(branch, nn.Sequential) else branch, self.point):
            if isinstance(last, nn.Conv2d):
                last.weight.mul_(factor)

    def valid(self, x: Tensor) -> Tensor:
        """On input that is padded already."""
        centre = x[..., 1:-1, 1:-1]
        first, *others = (branch(x) for branch in self.branches)
        y = sum(others, start=first)
        if self.point is not None:
            y = y + self.point(centre)
        return y + centre if self.skip else y

    def kernel(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the one convolution that this is: its answers to single pixels."""
        bias = self.valid(self.pixels.new_zeros(1, self.c_in, 3, 3))
        answers = (self.valid(self.pixels) - bias)[..., 0, 0].view(self.c_in, 3, 3, -1)
        return answers.permute(3, 0, 1, 2), bias.flatten()

    def forward(self, x: Tensor) -> Tensor:
        """By that convolution. Branches of whole images give the same, with gradients, at several times the cost."""
        with torch.autocast(x.device.type, enabled=False):
            weight, bias = self.kernel()
        return nn.functional.conv2d(x, weight, bias, padding=1)

    @torch.no_grad()
    def fused(self) -> nn.Conv2d:
        """That convolution alone."""
        weight, bias = self.kernel()
        conv = nn.Conv2d(self.c_in, weight.shape[0], 3, padding=1)
        conv.weight.copy_(weight)
        assert conv.bias is not None
        conv.bias.copy_(bias)
        return conv


class PlainNet(nn.Module):
    """Blocks and PReLU one after the other; the image itself, repeated, is added before the PixelShuffle."""

    def __init__(self, num_feat: int, num_block: int, upscale: int, make: Callable[[int, int], nn.Module]) -> None:
        super().__init__()
        self.times = upscale**2
        self.shuffle = nn.PixelShuffle(upscale)
        layers: list[nn.Module] = []
        for number in range(num_block + 1):
            layers += [make(num_feat if number else 3, num_feat), nn.PReLU(num_feat)]
        self.body = nn.Sequential(*layers, make(num_feat, 3 * self.times))

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.body(x) + x.repeat_interleave(self.times, dim=1))

    def fused(self) -> PlainNet:
        """The same network of single convolutions."""
        blocks = iter([layer.fused() for layer in self.body if isinstance(layer, Block)])
        deployed = PlainNet(1, 0, round(self.times**0.5), plain_conv)
        deployed.body = nn.Sequential(*(next(blocks) if isinstance(layer, Block) else layer for layer in self.body))
        return deployed


@NETWORKS.register
def Plain(*, branches: Kind = "none", num_feat: int = 16, num_block: int = 19, upscale: int = 4) -> Foreign:  # noqa: N802
    """Plain convolutions, with branches while they are trained.

    Args:
        branches: `none`, `ecb` or `xc`.
        num_feat: channels.
        num_block: convolutions between the first and the last.
        upscale: how many times larger the result is.
    """
    options = {"branches": branches, "num_feat": num_feat, "num_block": num_block, "upscale": upscale}
    net = PlainNet(num_feat, num_block, upscale, lambda c_in, c_out: Block(c_in, c_out, branches))
    return foreign("Plain", net, scale=upscale, num_in_ch=3, config=options)


def train_arm(network: dict[str, Any], rate: float, iterations: int) -> dict[str, Any]:
    """Train one network, or what is left of it; what came of it."""
    from steps import run, told

    name = f"{network.get('branches', 'residual')}_{rate:g}_{iterations}"
    content = {
        "include": str(Path("options/train/base/bsds_x4.yml").resolve()),
        "name": name,
        "plugins": [str(Path(__file__).resolve())],
        "datasets": {"train": {"gt_size": 96}},
        "network_g": network,
        "path": {"experiments_root": str(ROOT)},
        "method": {"type": "Supervised"},
        "train": {
            "precision": "bf16",
            "optim_g": {"lr": rate},
            "scheduler": {"T_max": iterations},
            "total_iter": iterations,
        },
        "val": {"val_freq": iterations},
        "logger": {"save_checkpoint_freq": 2500},
    }
    folder = ROOT / name
    done = folder.exists() and any(line["iter"] == iterations for line in told(folder, "val"))
    if not done:
        ROOT.mkdir(parents=True, exist_ok=True)
        file = ROOT / f"{name}.yml"
        atomic_write_text(file, yaml.safe_dump(content, sort_keys=False))
        run("train", "-opt", file, "--auto_resume", "-q")
    seconds = statistics.median(line["seconds"] for line in told(folder, "train"))
    return {"rate": rate, "psnr": told(folder, "val")[-1]["psnr"], "ms_per_iteration": 1000 * seconds}


def deployed_ms(turns: int = 25) -> dict[str, dict[str, float]]:
    """Milliseconds of both kinds at 320 × 180, as they are used: medians of turns, one after the other."""
    frame = torch.rand(1, 3, 180, 320)
    residual = build_network("EDSR", {key: value for key, value in RESIDUAL.items() if key != "type"})
    networks: dict[str, nn.Module] = {"residual": residual, "plain": PlainNet(16, 19, 4, plain_conv)}
    ways: dict[tuple[str, str], Callable[[], object]] = {}
    for name, network in networks.items():
        for kind in (torch.float32, torch.bfloat16):
            its = deepcopy(network).eval().to(kind, memory_format=torch.channels_last)
            ways[name, str(kind).removeprefix("torch.")] = partial(its, frame.to(kind))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "network.onnx"
            torch.onnx.export(network.eval(), (frame,), file, dynamo=True, external_data=False, verbose=False)
            ways[name, "onnxruntime"] = partial(session(file, "onnxruntime"), frame)
    took: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    with torch.inference_mode():
        for turn in range(turns + 3):
            for way, step in ways.items():
                began = time.perf_counter()
                step()
                took[way] += [1000 * (time.perf_counter() - began)] * (turn >= 3)  # the first warm up
    ways_of = ("float32", "bfloat16", "onnxruntime")
    return {name: {way: statistics.median(took[name, way]) for way in ways_of} for name in networks}


def plain_conv(c_in: int, c_out: int) -> nn.Module:
    """A block after training."""
    return nn.Conv2d(c_in, c_out, 3, padding=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=5_000)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="(default: all)")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="to try (default: %(default)s)")
    args = parser.parse_args()
    record = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    plain = {"type": "Plain", "num_feat": 16, "num_block": 19, "upscale": 4}
    for name in args.kinds:
        network = RESIDUAL if name == "residual" else {**plain, "branches": name}
        known = [arm for key in record if key != "ms" for arm in record[key].get(name, [])]
        rates = [max(known, key=lambda arm: arm["psnr"])["rate"]] if known and args.iterations > 5_000 else args.rates
        for rate in rates:
            arms = record.setdefault(str(args.iterations), {}).setdefault(name, [])
            if rate not in [arm["rate"] for arm in arms]:
                arms.append(train_arm(network, rate, args.iterations))
                atomic_write_text(RESULT, json.dumps(record, indent=1) + "\n")
    record["ms"] = {"threads": torch.get_num_threads(), **deployed_ms()}
    atomic_write_text(RESULT, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
