"""BasicSR's dialect: its option files are read as they are; keys that mean nothing here are answered with one line."""

from __future__ import annotations

import re

from srkd.options.components import option_names_of
from srkd.options.tree import Node, Problems
from srkd.registry import DATASETS

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


def translate(root: Node, problems: Problems) -> list[str]:
    """Turn BasicSR's dialect into srkd's schema, in place; returns the lines for the log."""
    notices: list[str] = []
    _model_type(root, problems)
    for (*block, key), reason in MEANINGLESS.items():
        _drop(root.children(*block), {key: reason}, notices)
    if path := root.child("path"):
        _rename(path, problems)
    for key, block in root.children("datasets").items():
        if re.fullmatch(r"(train|val|test)(_\w+)?", key):
            _dataset(block, problems, notices)
    if train := root.child("train"):
        _perceptual(train, problems)
    return notices


def _model_type(root: Node, problems: Problems) -> None:
    node = root.children().pop("model_type", None)
    if node is None:
        return
    if node.value != "SRModel":
        problems.add(
            node,
            f"unknown model type {node.value!r}. Allowed: SRModel (training without a teacher); "
            "a distillation method is named by `method: {type: …}`.",
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


def _dataset(block: Node, problems: Problems, notices: list[str]) -> None:
    kind = block.child("type")
    own = option_names_of(DATASETS, kind.value) if kind else []
    _rename(block, problems)
    children = block.children()
    reasons = dict(MEANINGLESS_IN_DATASETS)
    reasons |= {key: "being null" for key in NULLS_IN_DATASETS if key in children and children[key].value is None}
    _drop(children, {key: reason for key, reason in reasons.items() if key not in own}, notices)


def _perceptual(train: Node, problems: Problems) -> None:
    node = train.children().pop("perceptual_opt", None)
    if node is not None and node.value is not None:
        problems.add(node, "srkd has no perceptual loss beside the pixel loss; remove it, or choose a `method`.")
