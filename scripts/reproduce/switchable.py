"""Train the networks that come with the package: one switchable EDSR for ×2, one for ×4, and write them into it.

  python scripts/reproduce/switchable.py
  python scripts/reproduce/switchable.py --budget gpu-10min

In four steps each, options/train/Supervised/switchable_*.yml, ×4 begun from ×2. The same command goes on where it was
interrupted. Weights go to srkd/pretrained/ in half precision, each with its card; the benchmark, of these
very files, to docs/results/switchable_x<scale>/.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from steps import ROOT, cost, run, told, train

from srkd.atomic import atomic_write_text
from srkd.evaluation.card import results_of
from srkd.evaluation.result import read_result
from srkd.inference.export.card import entry, model_card
from srkd.inference.export.export import Form, Written, open_source
from srkd.inference.export.parity import check_images, compare
from srkd.metrics.cost import multi_adds
from srkd.networks.weights import load_network, read_weights, save_network
from srkd.options import load_train_options
from srkd.provenance import environment

PRETRAINED = ROOT / "srkd/pretrained"
STEPS = ("_first", "_quarter", "_third", "")  # all widths; the narrowest alone, which learns last; all; all
BUDGETS: dict[str, tuple[int, list[str]]] = {  # how many times the iterations of the option files, and other overrides
    "cpu-hours": (1, []),  # about two hours on 2 cores
    # estimated for an H100 (83,000 iterations of 1 to 4 ms), not run
    "gpu-10min": (4, ["network_g.num_feat=64", "network_g.num_block=16"]),
}
DATA = "BSDS500's train and test images without Set5's `woman` (399), T91 without a duplicate (90)"
LICENCE = "BSDS500: non-commercial research and education; T91: none stated"
LIMITS = """
## Limits

Trained on {images} small photographs, reduced by MATLAB's bicubic and nothing else: noise, blur and compression are
enlarged with the picture, and the kernel of a camera is another one. The training was a fraction of what published
networks had. Widths between the four trained ones give noise.
"""


def train_step(option_file: Path, times: int, overrides: list[str]) -> Path:
    """Run a training, or what is left of it; returns its network."""
    as_it_is = load_train_options(option_file)
    schedule = as_it_is.train.scheduler
    assert schedule is not None
    iterations = times * as_it_is.train.total_iter
    trained = Path("experiments") / as_it_is.name / "models/net_g_latest.pth"
    longer = [f"train.total_iter={iterations}", f"train.scheduler.T_max={times * schedule.args['T_max']}"]
    train(option_file, trained, iterations, *longer, *overrides)
    return trained


def ship(trained: Path, scale: int) -> Path:
    """Write the network of a training into the package, in half precision."""
    weights, network = read_weights(trained), load_network(trained)
    file = PRETRAINED / f"switchable-x{scale}.safetensors"
    save_network(
        file,
        network.half(),
        iter=weights.meta["iter"],
        method="Supervised, the last of four steps",
        widths=tuple(weights.meta["widths"]),
        training_set=DATA,
        data_licence=LICENCE,
    )
    return file


def write_card(file: Path, trained: Path, result: Path) -> None:
    """The card beside `file`: what it is, how far half precision is from the training's, results, limits."""
    source, before = open_source(file), load_network(trained)
    pixels = {"height": 720 // before.scale, "width_px": 1280 // before.scale}
    parity = {"PyTorch, before the weights were halved": compare(before, source.network, check_images(3))}
    written = Written(file, 1.0, source.network, parity, 0.0)
    card = model_card(
        source,
        Form(),
        [entry(written, multi_adds(before, **pixels))],
        results=results_of(read_result(result), source.network, source.path),
    )
    atomic_write_text(file.with_suffix(".md"), card + LIMITS.format(images=489))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--budget", choices=BUDGETS, default="cpu-hours")
    parser.add_argument("--sets", nargs="+", default=["Set5", "Urban100"])
    args = parser.parse_args()
    times, overrides = BUDGETS[args.budget]
    steps: list[dict[str, Any]] = []
    for scale in (2, 4):
        for step in STEPS:
            option_file = ROOT / f"options/train/Supervised/switchable_edsr48x8_x{scale}{step}.yml"
            trained = train_step(option_file, times, overrides)
            folder = trained.parents[1]
            last = {line["width"]: line["psnr"] for line in told(folder, "val")}  # the last one stays
            steps.append({"scale": scale, "step": folder.name, **cost(folder), "psnr": last})
        file = ship(trained, scale)
        results = ROOT / f"docs/results/switchable_x{scale}"
        for kind, extra in (("benchmark", ()), ("self_ensemble", ("--self-ensemble",))):
            sets = args.sets[: 1 if extra else None]  # eight times the time
            run("benchmark", file, "--sets", *sets, *extra, "-o", results / f"{kind}.json", "--overwrite")
        write_card(file, trained, results / "benchmark.json")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    record = {"budget": args.budget, "environment": environment(device), "steps": steps}
    atomic_write_text(ROOT / "docs/results/switchable_steps.json", json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
