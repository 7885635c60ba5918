"""What EDSR's and RCAN's layers are called here (as in BasicSR) and in other code bases, and how to go between them."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import product

# One row a layer, in the same order for every code base. {step} counts the upsampler's convolutions, {shuffle} the
# places they have where PixelShuffle takes every second one.
OURS = {
    "EDSR": (
        "conv_first",
        "body.{block}.conv1",
        "body.{block}.conv2",
        "conv_after_body",
        "upsample.{shuffle}",
        "conv_last",
    ),
    "RCAN": (
        "conv_first",
        "body.{group}.residual_group.{block}.rcab.0",
        "body.{group}.residual_group.{block}.rcab.2",
        "body.{group}.residual_group.{block}.rcab.3.attention.1",
        "body.{group}.residual_group.{block}.rcab.3.attention.3",
        "body.{group}.conv",
        "conv_after_body",
        "upsample.{shuffle}",
        "conv_last",
    ),
}
EDSR_PYTORCH = {
    "EDSR": ("head.0", "body.{block}.body.0", "body.{block}.body.2", "body.{num_block}", "tail.0.{shuffle}", "tail.1"),
    "RCAN": (
        "head.0",
        "body.{group}.body.{block}.body.0",
        "body.{group}.body.{block}.body.2",
        "body.{group}.body.{block}.body.3.conv_du.0",
        "body.{group}.body.{block}.body.3.conv_du.2",
        "body.{group}.body.{num_block}",
        "body.{num_group}",
        "tail.0.{shuffle}",
        "tail.1",
    ),
}
CSD = {
    "EDSR": ("head", "body.{block}.conv1", "body.{block}.conv2", "body_conv", "upsampler.blocks.{step}", "tail_conv"),
    "RCAN": (
        "head_conv",
        "body.{group}.body.{block}.body.0",
        "body.{group}.body.{block}.body.1",
        "body.{group}.body.{block}.caLayer.conv_du.0",
        "body.{group}.body.{block}.caLayer.conv_du.1",
        "body.{group}.conv",
        "body_conv",
        "upsampler.blocks.{step}",
        "tail_conv",
    ),
}
THEIRS = {"edsr-pytorch": EDSR_PYTORCH, "torchsr": EDSR_PYTORCH, "csd": CSD}


def renaming(
    templates: tuple[str, ...], others: tuple[str, ...], *, num_group: int, num_block: int, steps: int
) -> dict[str, str]:
    """Parameter names by `templates` -> those by `others`."""
    names: dict[str, str] = {}
    for template, other in zip(templates, others, strict=True):
        counts = ((num_group, ("{group}",)), (num_block, ("{block}",)), (steps, ("{step}", "{shuffle}")))
        loops = [range(count) if any(mark in template for mark in marks) else range(1) for count, marks in counts]
        for group, block, step in product(*loops):
            at = {"group": group, "block": block, "step": step, "shuffle": 2 * step}
            at |= {"num_group": num_group, "num_block": num_block}
            for part in ("weight", "bias"):
                names[f"{template.format(**at)}.{part}"] = f"{other.format(**at)}.{part}"
    return names


def counts_of(templates: tuple[str, ...], names: Collection[str]) -> dict[str, int]:
    """How many groups, blocks and upsampling steps `names` have by `templates`."""
    found: dict[str, set[str]] = {"group": set(), "block": set(), "step": set(), "shuffle": set()}
    for template in templates:
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[0-9]+)", template.replace(".", r"\.")) + r"\.weight")
        for match in filter(None, map(pattern.fullmatch, names)):
            for field, index in match.groupdict().items():
                found.get(field, set()).add(index)
    steps = len(found["step"] | found["shuffle"])
    return {"num_group": len(found["group"]), "num_block": len(found["block"]), "steps": steps}
