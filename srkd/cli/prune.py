"""Put a network's channels in order of importance, so that a narrower network keeps the best of them.

srkd prune net_g_latest.pth -o ordered.pth
srkd prune net_g_latest.pth -o ordered.pth --by search --images photos/
srkd export ordered.pth --width 0.5 -o half.pth                      (then cut it)

The network computes the same as before; only its narrower widths differ. Train these further
(path.pretrain_network_g): a part that is cut out has not learnt to work alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from srkd.cli.common import add_overwrite
from srkd.cli.display import bar, keep_existing, say, say_written
from srkd.types import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from srkd.networks.slim import Network

SIDE = 48
"""Of the pieces of development images, at low resolution: a search looks at them thousands of times."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The network, what is important, and on which images."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="weight file")
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="network file: .pth or .safetensors")
    add(
        "--by",
        choices=["norm", "scale", "search"],
        default="norm",
        help="norm of the weights (default), learnt scales (network slimming), or greedy search on images",
    )
    add("--images", type=Path, metavar="DIR", help="development images (default: photographs of scikit-image)")
    add("--steps", type=int, default=200, metavar="N", help="training steps of --by scale (%(default)s)")
    add_overwrite(parser, "replace a file that exists")


def run(args: argparse.Namespace) -> int:
    """Measure, order, show, write."""
    import torch
    from torch.nn import functional as F

    from srkd.inference.export.int8 import read_samples
    from srkd.networks.prune import by_norm, by_scale, by_search, ordered
    from srkd.networks.weights import history_of, network_of, read_weights, save_network

    if args.output.suffix not in (".pth", ".safetensors"):
        raise InputError(f"-o {args.output} must end in .pth or .safetensors.")
    keep_existing([args.output], args.overwrite)
    if args.steps < 1:
        raise InputError(f"--steps is at least 1, not {args.steps}.")
    weights = read_weights(args.model)
    network = network_of(weights).eval()
    if trained := [width for width in network.trained_widths or () if width < 1]:
        raise InputError(
            f"{args.model} was trained at widths below 1 ({', '.join(f'{width:g}' for width in trained)}), which need "
            "its channels in the order that they have."
        )
    samples = read_samples(args.images, scale=network.scale, channels=network.num_in_ch)
    lq = torch.cat([torch.from_numpy(sample.lq[:, :, :SIDE, :SIDE].copy()) for sample in samples])
    side = SIDE * network.scale
    gt = torch.stack([torch.from_numpy(sample.gt[:side, :side].copy()).permute(2, 0, 1) / 255 for sample in samples])

    def loss(other: Network) -> Tensor:
        return F.l1_loss(other(lq), gt)

    ways = {
        "norm": lambda: by_norm(network),
        "scale": lambda: by_scale(network, loss, steps=args.steps),
        "search": lambda: by_search(network, loss),
    }
    try:
        with bar(args.by):
            orders = ways[args.by]()
    except ValueError as error:
        raise InputError(f"{args.model}: {error}") from None
    best = ordered(network, orders)
    say(f"Untrained, on {SIDE} × {SIDE} pixels of each of {len(samples)} images, RGB:")
    with torch.no_grad():
        for width in [width for width in (1.0, 0.75, 0.5, 0.25) if width in network.widths]:
            before, after = (-10 * float(F.mse_loss(n(lq, width).clamp(0, 1), gt).log10()) for n in (network, best))
            say(f"width {width:g}: {before:.3f} dB before, {after:.3f} dB in order")
    save_network(args.output, best, **history_of(weights))
    say_written(args.output)
    return 0
