"""A tiny report: two photographs of 48 × 64 pixels, two small networks, one of them with a hostile name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from skimage import data

from srkd.cli import main
from srkd.evaluation.benchmark import benchmark
from srkd.evaluation.models import Model
from srkd.evaluation.protocols import protocol_of
from srkd.evaluation.sets import folder_set
from srkd.evaluation.tables import write_result
from srkd.imaging.files import write_image
from srkd.networks.edsr import EDSR
from srkd.networks.weights import save_network

HOSTILE = '<script>alert("1")</script>'


class Tiny(NamedTuple):
    """Where everything is."""

    result: Path
    images: Path
    experiment: Path
    html: Path
    strips: Path


def tiny_report(folder: Path) -> Tiny:
    """Benchmark the networks and make the report."""
    photo, images = data.astronaut(), folder / "mine" / "HR"
    for number in range(2):
        write_image(images / f"p{number}.png", photo[60 : 60 + 48, 180 + 64 * number : 244 + 64 * number].copy())
    experiment = folder / "experiments" / "plain"
    models = [
        _model(HOSTILE, folder / "hostile.pth", seed=1),
        _model("plain", experiment / "models" / "net_g_latest.pth", seed=2),
    ]
    (experiment / "options.yml").write_text("name: </pre><script>alert(2)</script>\n", encoding="utf-8")
    lines: list[dict[str, Any]] = [
        {"kind": "train", "iter": at, "lr": 0.1, "seconds": 1, "data_seconds": 0, "l_pix": 1 / at} for at in (1, 2, 3)
    ]
    lines += [{"kind": "val", "iter": at, "set": "held", "width": 1.0, "psnr": 30 + at / 10} for at in (1, 3)]
    (experiment / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    result = benchmark(models, [folder_set(images, "mine")], protocol=protocol_of("y", 2))
    written = write_result(folder / "tiny.json", result)[0]
    tiny = Tiny(written, images.parent, experiment, folder / "report.html", folder / "strips")
    assert main(["report", str(written), "-o", str(tiny.html), "--strips", str(tiny.strips), "--device", "cpu"]) == 0
    return tiny._replace(images=images)


def result_file(path: Path, content: dict[str, Any]) -> Path:
    """Write a result file as it is given."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _model(name: str, path: Path, *, seed: int) -> Model:
    torch.manual_seed(seed)
    network = EDSR(num_feat=4, num_block=1, upscale=2)
    save_network(path, network)
    return Model(name, network.eval(), {"path": str(path), "key": None, "iter": None, "method": None})
