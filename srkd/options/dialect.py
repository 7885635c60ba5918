"""BasicSR's dialect: its option files are read as they are; keys that mean nothing here are answered with one line."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from srkd.options.components import option_names_of
from srkd.options.schema import LoggerBlock, PathBlock, TrainBlock, TrainOptions, ValBlock, WandbBlock
from srkd.options.tree import Node, Problems
from srkd.registry import DATASETS, METRICS
from srkd.types import did_you_mean, shortened

OLD_NAMES = {"pretrain_model_g": "pretrain_network_g", "strict_load": "strict_load_g", "use_flip": "use_hflip"}
"""Names of BasicSR's older files and what they are called now."""

MEANINGLESS = {
    ("find_unused_parameters",): "methods use all their parameters",
    ("is_train",): "the command decides",
    ("dist_params",): "the launcher decides",
    ("path", "ignore_resume_networks"): "a run resumes as a whole, and teachers are no part of its state",
    ("val", "pbar"): "progress is shown where there is a terminal",
}
"""Keys without meaning here, and why."""

MEANINGLESS_IN_DATASETS = {
    "phase": "the block's own name decides",
    "use_shuffle": "training images are always shuffled, others never",
    "dataset_enlarge_ratio": "the sampler never ends, so there are no epochs to lengthen",
    "prefetch_mode": "batches are always prepared ahead",
    "num_prefetch_queue": "batches are always prepared ahead",
    "pin_memory": "memory is pinned where there is a GPU",
    "persistent_workers": "workers always live as long as the loader",
}
"""Keys of dataset blocks without meaning here, unless the dataset's class has an option of that name."""

NULLS_IN_DATASETS = ("mean", "std", "color")
"""Keys of dataset blocks which public files spell out as null; with a value they must be options of the class."""


CALLED_ELSEWHERE = {
    "use_amp": "train.precision (auto, bf16 or fp16)",
    "amp": "train.precision (auto, bf16 or fp16)",
    "fp16": "train.precision: fp16",
    "amp_bf16": "train.precision: bf16",
    "bfloat16": "train.precision: bf16",
    "use_compile": "train.compile",
    "compile": "train.compile",
    "use_grad_clip": "train.grad_clip (the largest norm, for example 1.0)",
    "accum_iter": "train.accumulate",
    "use_ema": "train.ema_decay (for example 0.999)",
}
"""Keys of BasicSR's descendants, on the top level or in `train`, and what srkd calls them."""

OTHER_DATASETS = {
    "SingleImageDataset": "has nothing to measure against; `srkd upscale FOLDER -m FILE` makes the images",
    "RealESRGANDataset": "degrades at random; PairedImageDataset has `degradation: {type: BD, DN or JPEG}`",
}
"""Data sets of BasicSR and its descendants that have no equivalent in an option file, and what to do."""

OPTIONAL = ("method", "path", "logger", "plugins", "val.metrics")
"""Blocks that may be left empty: all their lines commented out, the block is null."""


def translate(root: Node, problems: Problems) -> tuple[list[str], list[str]]:
    """Turn BasicSR's dialect into srkd's schema, in place; returns notices and warnings for the log."""
    notices: list[str] = []
    _take_out_nulls(root)
    _model_type(root, problems)
    for (*block, key), reason in MEANINGLESS.items():
        _drop(root.children(*block), {key: reason}, notices)
    if path := root.child("path"):
        _rename(path, problems)
    for block, known in (
        (root.children(), TrainOptions.model_fields),
        (root.children("train"), TrainBlock.model_fields),
    ):
        _called_elsewhere(block, known, problems, notices)
    _misplaced(root, problems)
    colours = root.child("network_g", "num_in_ch")
    for key, block in root.children("datasets").items():
        if re.fullmatch(r"(train|val|test)(_\w+)?", key):
            _dataset(block, colours.value if colours else 3, problems, notices)
    if train := root.child("train"):
        _perceptual(train, problems)
    return notices, [*_monitoring(root), *_unknown_metrics(root)]


def _take_out_nulls(root: Node) -> None:
    """Null takes an entry out: a data set, a metric, or a block that need not be there."""
    for blocks in (root.children("datasets"), root.children("val", "metrics")):
        for key in [key for key, node in blocks.items() if node.value is None]:
            del blocks[key]
    for name in OPTIONAL:
        *above, key = name.split(".")
        block = root.children(*above)
        if key in block and block[key].value is None:
            del block[key]


def _monitoring(root: Node) -> list[str]:
    """Take out what a logger of another toolkit would do: it changes no result, so it stops no training."""
    found: list[str] = []
    for keys, known in ((("logger",), LoggerBlock.model_fields), (("logger", "wandb"), WandbBlock.model_fields)):
        block = root.children(*keys)
        for key in [key for key in block if key not in known and not did_you_mean(key, known)]:
            found.append(f"{block.pop(key).label()}: is left out, srkd does not know it. Allowed: {', '.join(known)}.")
    return found


def _unknown_metrics(root: Node) -> list[str]:
    """Take out metrics that srkd does not have, if their names are no slips of ours."""
    found: list[str] = []
    metrics = root.children("val", "metrics")
    ours = METRICS.names()
    short = [name.removeprefix("calculate_") for name in ours]
    for key, node in list(metrics.items()):
        kind = node.child("type")
        name = kind.value if kind else None
        own = str(name).removeprefix("calculate_")
        if not isinstance(name, str) or name in ours or own in short or did_you_mean(own, short):
            continue
        found.append(
            f"{metrics.pop(key).label()}: is left out, srkd has no metric {name!r}. Available: {', '.join(ours)}."
        )
    return found


def _called_elsewhere(block: dict[str, Node], known: Collection[str], problems: Problems, notices: list[str]) -> None:
    for key in [key for key in CALLED_ELSEWHERE if key in block and key not in known]:
        node = block.pop(key)
        if node.value in (False, None):
            notices.append(f"{node.label()}: has no meaning here, srkd calls it {CALLED_ELSEWHERE[key]}.")
        else:
            problems.add(node, f"srkd calls this {CALLED_ELSEWHERE[key]}.")


def _misplaced(root: Node, problems: Problems) -> None:
    """Say where a key of the top level belongs that is one of a block's: `lr=1e-4`."""
    blocks = {"train": TrainBlock, "val": ValBlock, "logger": LoggerBlock, "path": PathBlock}
    for key, node in root.children().items() if root.child("train") else ():
        home = "train.optim_g" if key == "lr" else next((n for n, b in blocks.items() if key in b.model_fields), None)
        if home is not None and key not in TrainOptions.model_fields:
            problems.add(node, f"belongs elsewhere: {home}.{key}.")


def _model_type(root: Node, problems: Problems) -> None:
    node = root.children().pop("model_type", None)
    if node is None:
        return
    if node.value != "SRModel":
        problems.add(
            node,
            f"unknown model type {shortened(node.value)}. Allowed: SRModel (training without a teacher), which "
            "`model_type=SRModel` behind the command chooses; a distillation method is named by `method: {type: …}`.",
        )
    elif root.child("train"):
        method = Node({"type": Node("Supervised", node.where, node.path)}, node.where, node.path)
        root.value.setdefault("method", method)


def _rename(block: Node, problems: Problems) -> None:
    children = block.children()
    for old, new in OLD_NAMES.items():
        if old not in children:
            continue
        if new in children:
            problems.add(children[old], f"is the old name of {new!r}, which is given too ({children[new].where}).")
        children[new] = children.pop(old)


def _drop(children: dict[str, Node], reasons: dict[str, str], notices: list[str]) -> None:
    for key, reason in reasons.items():
        if key in children:
            notices.append(f"{children.pop(key).label()}: has no meaning here, {reason}.")


def _dataset(block: Node, colours: Any, problems: Problems, notices: list[str]) -> None:
    kind = block.child("type")
    own = option_names_of(DATASETS, kind.value) if kind else []
    if kind and not own and (advice := OTHER_DATASETS.get(str(kind.value))):
        problems.add(kind, f"{kind.value} {advice}.")
    _rename(block, problems)
    children = block.children()
    reasons = dict(MEANINGLESS_IN_DATASETS)
    reasons |= {key: "being null" for key in NULLS_IN_DATASETS if key in children and children[key].value is None}
    if colours == 1 and "color" in children and children["color"].value == "y":
        reasons["color"] = "a network of one channel is given the luma"
    _drop(children, {key: reason for key, reason in reasons.items() if key not in own}, notices)


def _perceptual(train: Node, problems: Problems) -> None:
    node = train.children().pop("perceptual_opt", None)
    if node is not None and node.value is not None:
        problems.add(node, "srkd has no perceptual loss beside the pixel loss; remove it, or choose a `method`.")
