"""What padding other than zeros does at a picture's border: levels off on flat colours, and PSNR on photographs.

  python scripts/bench/borders.py
  python scripts/bench/borders.py --models switchable-x2 --widths 1 0.25

A network that pads with zeros sees the border, and on a flat colour, which no training photograph is, it errs there.
The picture can be continued by its own edge pixels before the network runs, and cut back after it. Photographs are
the 30 development ones (protocol y, MATLAB's bicubic); `whole` has the border, `shaved` leaves out s pixels as the
protocol does.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from srkd.imaging.color import rgb_to_y
from srkd.imaging.files import read_image
from srkd.imaging.resize import imresize, mod_crop
from srkd.networks.pretrained import resolve
from srkd.networks.slim import Network
from srkd.networks.weights import load_network

ROOT = Path(__file__).resolve().parents[2]
COLOURS = [(r, g, b) for r in (0, 1) for g in (0, 1) for b in (0, 1)] + [
    (0.5, 0.5, 0.5),
    (0.9, 0.2, 0.3),
    (0.2, 0.4, 0.9),
]
"""Corners of the colour cube, a grey, and two colours between."""


def run(network: Network, x: Tensor, width: float, padding: int) -> Tensor:
    """[1, 3, h, w] in [0, 1] enlarged, with `padding` pixels of its own border around it on the way."""
    with torch.no_grad():
        if not padding:
            return network(x, width).clamp(0, 1)
        cut = padding * network.scale
        return network(F.pad(x, (padding,) * 4, mode="replicate"), width)[..., cut:-cut, cut:-cut].clamp(0, 1)


def flat_error(network: Network, width: float, padding: int) -> float:
    """The largest distance from the colour, in levels of 255, over pictures of one colour."""
    colours = [torch.tensor(colour, dtype=torch.float32).view(1, 3, 1, 1) for colour in COLOURS]
    return max((run(network, c.expand(1, 3, 48, 48), width, padding) - c).abs().max().item() * 255 for c in colours)


def psnrs(network: Network, width: float, padding: int, photographs: list[np.ndarray]) -> tuple[float, float]:
    """Mean PSNR on Y of whole pictures, and without the border of s pixels."""
    scale, found = network.scale, []
    for photograph in photographs:
        gt = mod_crop(photograph, scale)
        x = torch.from_numpy(imresize(gt, scale=1 / scale).transpose(2, 0, 1)[None] / 255.0).float()
        sr = (run(network, x, width, padding)[0] * 255).round().byte().numpy().transpose(1, 2, 0)
        squares = (rgb_to_y(gt) - rgb_to_y(sr)) ** 2
        shaved = squares[scale:-scale, scale:-scale]
        found.append([10 * np.log10(255**2 / part.mean()) for part in (squares, shaved)])
    whole, shaved = np.mean(found, axis=0)
    return float(whole), float(shaved)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["switchable-x2", "switchable-x4"])
    parser.add_argument("--widths", nargs="+", type=float, default=[1.0, 0.25])
    parser.add_argument("--paddings", nargs="+", type=int, default=[0, 2, 4, 8])
    parser.add_argument("--photographs", type=Path, default=ROOT / "datasets/train/bsds399")
    args = parser.parse_args()
    names = (ROOT / "options/train/base/bsds_development_30.txt").read_text(encoding="utf-8").split()
    photographs = [read_image(args.photographs / name) for name in names]
    sys.stdout.write(
        "| network | width | padding | flat colours, levels off | whole | shaved |\n|---|---:|---:|---:|---:|---:|\n"
    )
    for model in args.models:
        network = load_network(resolve(model)).eval()
        for width in args.widths:
            for padding in args.paddings:
                whole, shaved = psnrs(network, width, padding, photographs)
                error = flat_error(network, width, padding)
                kind = f"{padding} px" if padding else "zeros"
                sys.stdout.write(f"| {model} | {width:g} | {kind} | {error:.1f} | {whole:.3f} | {shaved:.3f} |\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
