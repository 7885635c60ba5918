"""Time and memory of one frame: srkd's upscaler against eager PyTorch, onnxruntime and OpenVINO.

  python scripts/bench/infer.py
  python scripts/bench/infer.py --widths 1 0.75 0.5 0.25 --rounds 20 --save

EDSR-baseline ×4 (64 channels, 16 blocks, random weights: they change no time), a frame of 320 × 180, uint8 in and out.
srkd is `Upscaler` as it is by default (channels-last, the upsampler in bands of rows), in every precision of the
device. Eager PyTorch is the papers' way: the full network in fp32, NCHW, which cuts its weights at every call where
the width is below 1. The runtimes get the ONNX file that `srkd export` writes, fixed to the frame's size in OpenVINO,
and as many threads as torch has. `srkd auto` is `Upscaler(runtime="auto")`; with `--int8` the runtimes get the file of
`srkd export --int8` too, calibrated on `--calibrate` (default scikit-image's photographs). `--model` measures a network
of yours. Memory is what a frame adds at its peak.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from common import comparison, measured, parse, report
from torch import Tensor, nn
from turns import Key, Values, peak_mib, serve, timed, worker

TINY = {"frame": "32x24", "widths": [0.25]}
OPENVINO = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}


class Planar(nn.Module):
    """A network that is given planes one after the other (NCHW), at a width that it slices at every call."""

    def __init__(self, network: nn.Module, width: float) -> None:
        super().__init__()
        self.network, self.width_of_calls = network, width

    def forward(self, x: Tensor, width: float = 1.0) -> Tensor:
        return self.network(x.contiguous(), self.width_of_calls)


class OnnxRuntime(nn.Module):
    """An ONNX file in onnxruntime."""

    def __init__(self, file: Path) -> None:
        import onnxruntime

        super().__init__()
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = torch.get_num_threads()
        self.session = onnxruntime.InferenceSession(file, settings, providers=["CPUExecutionProvider"])

    def forward(self, x: Tensor, width: float = 1.0) -> Tensor:
        return torch.from_numpy(self.session.run(None, {"lq": x.contiguous().numpy()})[0])


class OpenVINO(nn.Module):
    """An ONNX file in OpenVINO, for frames of one size."""

    def __init__(self, file: Path, precision: str, height: int, width_px: int) -> None:
        import openvino

        super().__init__()
        core = openvino.Core()
        model = core.read_model(file)
        model.reshape([1, 3, height, width_px])
        settings = {
            "INFERENCE_PRECISION_HINT": OPENVINO[precision],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        self.model = core.compile_model(model, "CPU", settings)

    def forward(self, x: Tensor, width: float = 1.0) -> Tensor:
        return torch.from_numpy(self.model(x.contiguous().numpy(), share_inputs=True, share_outputs=True)[0])


def serve_one(variant: str, folder: str, width: float, frame: list[int], device: str) -> None:
    """The worker: seconds of a frame, and the memory it adds."""
    import srkd
    from srkd.inference.forward import upscale_image

    how, _, precision = variant.partition(" ")
    image = np.random.default_rng(0).integers(0, 256, (*frame, 3), np.uint8)
    network = srkd.load_network(Path(folder) / "network.pth")
    onnx = Path(folder) / f"{width}{'.int8' * (precision == 'int8')}.onnx"
    if how == "srkd":
        runtime = "auto" if precision == "auto" else "torch"
        up = srkd.Upscaler(network, width=width, device=device, precision=precision, runtime=runtime)
    elif how == "eager":
        model = Planar(network.eval().to(device), width)
    elif how == "onnxruntime":
        model = OnnxRuntime(onnx)
    else:
        model = OpenVINO(onnx, precision, *frame)

    def run() -> object:
        return up.upscale(image) if how == "srkd" else upscale_image(model, image)

    before = peak_mib(device, reset=True)
    run()
    added = peak_mib(device) - before
    run()
    serve(lambda: {"seconds": timed(device, run), "mib": added})


def missing(device: str) -> dict[str, str]:
    """Runtimes that cannot be measured here, and why."""
    reasons = {name: "not installed" for name in ("onnxruntime", "openvino") if importlib.util.find_spec(name) is None}
    return reasons if device == "cpu" else dict.fromkeys(("onnxruntime", "openvino"), "measured on the CPU only")


def measure_width(
    args: argparse.Namespace, folder: Path, width: float, skipped: dict[str, str], before: Sequence[Values]
) -> tuple[list[Values], Values]:
    """The rows of `before`, and one for each precision and peer."""
    import srkd
    from srkd.inference.precision import precisions
    from srkd.metrics.cost import multi_adds

    width_px, height = map(int, args.frame.split("x"))
    kinds = precisions(torch.device(args.device))
    peers = {"eager": "PyTorch, fp32, NCHW" + (", sliced at every call" if width < 1 else "")}
    if "onnxruntime" not in skipped:
        peers["onnxruntime"] = "onnxruntime, fp32"
    if "openvino" not in skipped:
        peers |= {f"openvino {kind}": f"OpenVINO, {kind}" for kind in kinds if kind in OPENVINO}
    if args.int8:
        names = {"onnxruntime": "onnxruntime", "openvino": "OpenVINO"}
        peers |= {f"{key} int8": f"{name}, int8" for key, name in names.items() if key not in skipped}
    if len(skipped) < 2:
        kinds = [*kinds, "auto"]
    own = [f"srkd {kind}" for kind in kinds]
    settings = {"folder": str(folder), "width": width, "frame": [height, width_px]}
    network = srkd.load_network(folder / "network.pth")
    flops = 2 * multi_adds(network, height=height, width_px=width_px, width=width)

    def rows_of(medians: Mapping[Key, Values], ceiling: Values) -> list[Values]:
        rows = []
        for kind in kinds:
            for peer, told in peers.items():
                if kind != "auto" and ((kind == "fp32" and peer.endswith("bf16")) or peer.endswith("int8")):
                    continue  # fp32 against bf16 says nothing
                row = comparison(
                    medians,
                    what=f"frame of {width_px} × {height}, width {width:g}, {kind}",
                    peer=peer,
                    peer_name=told,
                    own=f"srkd {kind}",
                    flops=flops,
                    ceiling=ceiling.get(f"conv_{kind}", ceiling["conv_fp32"]),
                    headline=kind not in ("fp16", "auto") and (peer == "eager" or told.endswith(kind)),
                )
                mib = {
                    key: medians[name, first]["mib"]
                    for key, name, first in (("peer_mib", peer, "stock"), ("mib", f"srkd {kind}", "default"))
                }
                rows.append(row | mib)
        return rows

    variants = dict.fromkeys([*own, *peers], settings)
    return measured(__file__, args, variants, rows_of, before=before, own=own)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--widths", type=float, nargs="+", default=[1.0, 0.25])
    parser.add_argument("--model", type=Path, help="a network file (default: EDSR-baseline ×4)")
    parser.add_argument("--int8", action="store_true", help="integers in onnxruntime and OpenVINO too")
    parser.add_argument("--calibrate", type=Path, help="photographs for the ranges of int8")
    parser.add_argument("--frame", default="320x180", help="columns x rows (default: %(default)s)")
    parser.set_defaults(rounds=7)


def main() -> None:
    if given := worker():
        return serve_one(**given)
    args = parse(__doc__, TINY, options)
    from srkd.inference.export.export import Form, export
    from srkd.inference.export.int8 import Int8
    from srkd.networks.edsr import EDSR
    from srkd.networks.weights import save_network

    skipped = missing(args.device)
    torch.manual_seed(0)
    network = EDSR(num_feat=64, num_block=16, upscale=4).eval()
    if args.model:
        import srkd

        network = srkd.load_network(args.model)
    rows: list[Values] = []
    ceilings: list[Values] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_network(folder / "network.pth", network)
        for width in args.widths:
            if len(skipped) < 2:
                export(network, folder / f"{width}.onnx", width=width)
            if args.int8 and len(skipped) < 2:
                form = Form(int8=Int8(8, 100.0, args.calibrate))
                export(network, folder / f"{width}.int8.onnx", width=width, form=form)
            rows, ceiling = measure_width(args, folder, width, skipped, rows)
            ceilings.append(ceiling)
    rows += [{"skipped": runtime, "reason": why} for runtime, why in skipped.items()]
    versions = [name for name in ("onnxruntime", "openvino") if name not in skipped]
    report(__file__, args, rows, ceilings[0], *versions)


if __name__ == "__main__":
    main()
