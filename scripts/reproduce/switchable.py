"""Train the networks that come with the package, one switchable EDSR for each scale, and write them into it.

  python scripts/reproduce/switchable.py                        all
  python scripts/reproduce/switchable.py --networks switchable-x4

Each in the steps of `RECIPES`, option files below options/train/; the one for ×4 learns from the smaller photographs of
reduced.py too. The same command goes on where it was interrupted; with --kept it also takes the steps that
weights/steps/ has, instead of training them.
Weights go to srkd/pretrained/ in half precision, each with its card; the benchmark, of these very files, to
docs/results/NAME/; what each step took, to docs/results/switchable_steps.json.
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from steps import ROOT, cost, run, told, train

from srkd.atomic import atomic_write_text
from srkd.evaluation.card import results_of
from srkd.evaluation.models import multi_adds_720p
from srkd.evaluation.result import read_result
from srkd.inference.export.card import entry, model_card
from srkd.inference.export.export import Form, Written, open_source
from srkd.inference.export.parity import check_images, compare
from srkd.networks.weights import load_network, origin_of, read_weights, save_network
from srkd.options import load_train_options
from srkd.provenance import environment

PRETRAINED, RESULTS, KEPT = ROOT / "srkd/pretrained", ROOT / "docs/results", ROOT / "weights/steps"
CHOSEN = (
    "BSDS500's train and test images without Set5's `woman` and 30 to choose by (369), T91 without a duplicate (90)"
)
LICENCE = "BSDS500: non-commercial research and education; T91: none stated"
WIDTHS = (1.0, 0.75, 0.5, 0.25)
CLEAN = (
    "Trained on {images} small photographs, reduced by MATLAB's bicubic and nothing else: noise, blur and compression "
    "are enlarged with the picture, and the kernel of a camera is another one."
)
SHORT = "The training was a fraction of what published networks had. Widths between the four trained ones give noise."


@dataclass(frozen=True)
class Recipe:
    """How a network of the package is made.

    Attributes:
        scale: how many times it enlarges.
        steps: its trainings, option files below options/train/; each begins from the one before.
        limits: what its card says of its data.
        more: what else.
        images: that it was trained on; one of T91 is smaller than patches of 96.
        qualities: of the JPEGs that it is measured on beside clean images.
    """

    scale: int
    steps: tuple[str, ...]
    limits: str = CLEAN
    more: str = ""
    images: int = 459
    qualities: tuple[int, ...] = ()


RECIPES = {
    "switchable-x2": Recipe(
        2,
        (
            "Supervised/direct_edsr12x9_x2",  # the quarter
            "Supervised/switchable_edsr48x9_x2_full",  # around it
            "Supervised/switchable_edsr48x9_x2_reduced",  # with the photographs of reduced.py, as the one after it
            "Supervised/switchable_edsr48x9_x2_middle",  # which leaves the quarter as it is
        ),
        more=" From the third step on, the photographs at 0.8 and 0.6 of their size were there too.\n\n"
        "Expected on sets that were not looked at, by the network's place between FSRCNN and EDSR-baseline on "
        "Set5 and Urban100: Set14 about 33.1 dB at full width and 32.9 at a quarter, B100 about 31.85 and 31.7.",
    ),
    "switchable-x2-photo": Recipe(
        2,
        ("Supervised/switchable_edsr48x8_x2_photo",),
        limits="Trained on {images} small photographs, reduced by MATLAB's bicubic; three patches in ten then had "
        "noise of up to 3 levels, and three in ten went through JPEG of quality 40 to 95. On clean images "
        "`switchable-x2` is better. Stronger noise and blur are enlarged with the picture.",
        more=" It began from `switchable-x2-2026-11`, which had seen the 30 images to choose by too.",
        images=458,
        qualities=(60, 75, 90),
    ),
    "switchable-x3": Recipe(
        3,
        (
            "Supervised/direct_edsr16x9_x3",  # the quarter
            "Supervised/switchable_edsr64x9_x3_full",  # around it
            "Supervised/switchable_edsr64x9_x3_middle",  # which leaves the quarter as it is
        ),
        more="\n\nExpected on sets that were not looked at, by the network's place between FSRCNN and EDSR-baseline on "
        "Set5 and Urban100: Set14 about 29.8 dB at full width and 29.65 at a quarter, B100 about 28.8 and 28.7.",
    ),
    "switchable-x4": Recipe(
        4,
        (
            "Supervised/direct_edsr16x9_x4",  # the quarter
            "OutputKD/output_kd_craft_edsr16x9_x4",
            "OutputKD/output_kd_craft_edsr64x9_x4_full",  # around it
            "OutputKD/output_kd_craft_edsr64x9_x4_reduced",  # with the photographs of reduced.py, as the two after it
            "OutputKD/output_kd_craft_edsr64x9_x4_longer",
            "OutputKD/output_kd_craft_edsr64x9_x4_middle",  # which leaves the quarter as it is
        ),
        more=" From the fourth step on, the photographs at 0.8 and 0.6 of their size were there too. In all steps but "
        "the first, half of the loss was against the pictures of CRAFT (NTIRE 2024 ESR model zoo, team 34; MIT).\n\n"
        "Expected on sets that were not looked at, by the network's place between FSRCNN and EDSR-baseline on "
        "Set5 and Urban100: Set14 about 28.2 dB at full width and 28.0 at a quarter, B100 about 27.35 and 27.2.",
        images=458,
    ),
}


def missing(recipe: Recipe) -> list[str]:
    """Folders of photographs that a step needs and that are not there: a late step would say so after hours."""
    found: list[str] = []
    for step in recipe.steps:
        given = load_train_options(ROOT / f"options/train/{step}.yml").datasets.train.component.args["dataroot_gt"]
        found += [given] if isinstance(given, str) else given
    return [folder for folder in dict.fromkeys(found) if not Path(folder).is_dir()]


def train_step(option_file: Path, before: Path | None, *, kept: bool) -> Path:
    """Run a training from the step before, or what is left of it; returns its network, or the one that was kept."""
    options = load_train_options(option_file)
    trained = Path("experiments") / options.name / "models/net_g_latest.pth"
    finished = KEPT / f"{options.name}.safetensors"
    if kept and not trained.exists() and finished.exists():  # a network, whose training's folder may be gone
        return finished
    start = [f"path.pretrain_network_g={before}"] if before else []
    train(option_file, trained, options.train.total_iter, *start)
    return trained


def trained_step(trained: Path, whole: int, known: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What a step took, and PSNR after it; of one that was kept what is known of it, or its length alone."""
    if trained.parent == KEPT:
        step = {"step": trained.stem, "iterations": read_weights(trained).meta["iter"]}
        return next((each for each in known if each.items() >= step.items()), {**step, "psnr": {}})
    folder = trained.parents[1]
    seen = told(folder, "val")
    share = load_network(trained).num_feat / whole  # of a quarter that is trained by itself
    first = [line for line in seen if line["set"] == seen[0]["set"]]
    last = {line["width"] * share: line["psnr"] for line in first}  # the last one stays
    return {"step": folder.name, **cost(folder), "set": seen[0]["set"], "psnr": last}


def ship(trained: Path, name: str, recipe: Recipe) -> Path:
    """Write the network of a training into the package, in half precision."""
    weights, network = read_weights(trained), load_network(trained)
    file = PRETRAINED / f"{name}.safetensors"
    last = f", the last of {len(recipe.steps)} steps" if len(recipe.steps) > 1 else ""
    save_network(
        file,
        network.half(),
        iter=weights.meta["iter"],
        method=f"{weights.meta['method']}{last}",
        widths=WIDTHS,
        training_set=CHOSEN,
        data_licence=LICENCE,
        origin=origin_of(weights),
    )
    return file


def write_card(file: Path, trained: Path, result: Path, recipe: Recipe) -> None:
    """The card beside `file`: what it is, how far half precision is from the training's, results, limits."""
    source, before = open_source(file), load_network(trained)
    parity = {"PyTorch, before the weights were halved": compare(before, source.network, check_images(3))}
    written = Written(file, 1.0, source.network, parity, 0.0)
    card = model_card(
        source,
        Form(),
        [entry(written, multi_adds_720p(before))],
        results=results_of(read_result(result), source.network, source.path),
    )
    limits = f"{recipe.limits.format(images=recipe.images)} {SHORT}{recipe.more}"
    paragraphs = "\n\n".join(textwrap.fill(each, 120) for each in limits.split("\n\n"))
    atomic_write_text(file.with_suffix(".md"), f"{card}\n## Limits\n\n{paragraphs}\n")


def measure(file: Path, results: Path, recipe: Recipe, sets: list[str]) -> None:
    """Benchmarks of the file as it is shipped; self-ensemble, eight times the time, on the first set alone."""
    for name, these, extra in (("benchmark", sets, ()), ("self_ensemble", sets[:1], ("--self-ensemble",))):
        run("benchmark", file, "--sets", *these, *extra, "-o", results / f"{name}.json", "--overwrite")
    for quality in recipe.qualities:
        models = (file, PRETRAINED / f"switchable-x{recipe.scale}.safetensors")
        how = ("--widths", "1,0.25", "--degradation", f"JPEG:{quality}", "-o", results / f"jpeg_{quality}.json")
        run("benchmark", *models, "--sets", *sets, *how, "--overwrite")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--kept", action="store_true", help="take what weights/steps/ has")
    parser.add_argument("--sets", nargs="+", default=["Set5", "Urban100"])
    args = parser.parse_args()
    for name in args.networks:
        if gone := missing(RECIPES[name]):
            parser.error(
                f"{name} needs {', '.join(gone)}, not there; datasets/README.md says where the photographs are from, "
                "and scripts/reproduce/reduced.py makes those whose names end in _x0.8 and _x0.6."
            )
    record_file = RESULTS / "switchable_steps.json"
    for name in args.networks:
        recipe = RECIPES[name]
        record = json.loads(record_file.read_text(encoding="utf-8")) if record_file.exists() else {}
        known = record.get(name, {}).get("steps", ())
        steps: list[dict[str, Any]] = []
        whole = load_train_options(ROOT / f"options/train/{recipe.steps[-1]}.yml").network_g.args["num_feat"]
        trained: Path | None = None
        for step in recipe.steps:
            trained = train_step(ROOT / f"options/train/{step}.yml", trained, kept=args.kept)
            steps.append(trained_step(trained, whole, known))
        assert trained is not None
        file = ship(trained, name, recipe)
        results = RESULTS / name.replace("-", "_")
        measure(file, results, recipe, args.sets)
        write_card(file, trained, results / "benchmark.json", recipe)
        record[name] = {"environment": environment("cuda" if torch.cuda.is_available() else "cpu"), "steps": steps}
        atomic_write_text(record_file, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
