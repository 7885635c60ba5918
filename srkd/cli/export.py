"""Write a physically smaller network as a file of its own, checked against the network it came from.

srkd export net_g_latest.pth --width 0.5 -o small.pth             (srkd and BasicSR)
srkd export net_g_latest.pth --width 1/4 -o small.safetensors
srkd export net_g_latest.pth --width 0.5 -o small.onnx            (needs: pip install "srkd[export]")
srkd export theirs.pt --network res_scale=0.1 -o ours.pth         (from EDSR-PyTorch, torchSR or CSD)
srkd export net_g_latest.pth --dialect csd -o theirs.pth          (for them)
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model, width, file."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="checkpoint")
    parser.add_argument("--width", default="1.0", help="share of the channels, such as 0.5 or 1/3 (default 1.0)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help=".pth, .safetensors or .onnx")
    parser.add_argument(
        "--network",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="option of the network that MODEL, a file of another code base, does not hold; repeatable",
    )
    parser.add_argument("--dialect", help="write for another code base: edsr-pytorch, torchsr or csd (.pt or .pth)")


def run(args: argparse.Namespace) -> int:
    """Export, and say how exact it is."""

    from srkd.cli.display import show_line, stdout_console
    from srkd.inference.export import OPSET, export
    from srkd.options import read_assignments
    from srkd.registry import parse_width

    width = parse_width(args.width)
    given = read_assignments(args.network)
    parity = export(args.model, args.output, width=width, options=given, dialect=args.dialect)
    opset = f", ONNX opset {OPSET}" if args.output.suffix == ".onnx" else ""
    show_line(
        stdout_console(),
        f"{args.output}: {args.output.stat().st_size / 1e6:.2f} MB, width {width:.4g}{opset}. "
        f"Largest difference from the sliced network: {parity.max_difference:.1e} (images in 0..1).",
    )
    return 0
