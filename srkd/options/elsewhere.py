"""Option files of other toolkits: recognised by their keys, and answered with what each key is called here."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from srkd.options.tree import Node
from srkd.types import InputError, shortened


@dataclass(frozen=True)
class Toolkit:
    """Another toolkit's option files.

    Attributes:
        name: what it is called.
        marks: whether a file is one of its files.
        keys: its keys, dotted, with what srkd calls them.
    """

    name: str
    marks: Callable[[Node], bool]
    keys: dict[str, str]


def _is_kair(root: Node) -> bool:
    return root.child("netG", "net_type") is not None


def _is_neosr(root: Node) -> bool:
    kind, data = root.child("model_type"), root.child("datasets", "train", "type")
    return (kind is not None and kind.value in ("image", "otf")) or (
        data is not None and data.value in ("paired", "otf")
    )


def _is_redux(root: Node) -> bool:
    losses = root.child("train", "losses")
    known = (("amp_bf16",), ("val", "val_enabled"), ("val", "metrics_enabled"), ("datasets", "train", "lq_size"))
    return (losses is not None and isinstance(losses.value, list)) or any(root.child(*keys) for keys in known)


_LIKE_BASICSR = {
    "name": "name",
    "scale": "scale",
    "num_gpu": "num_gpu",
    "manual_seed": "manual_seed",
    "use_amp": "train.precision: auto, bf16 or fp16",
    "use_compile": "train.compile",
    "compile": "train.compile",
    "datasets.train.type": "datasets.train.type: PairedImageDataset",
    "datasets.train.dataroot_gt": "datasets.train.dataroot_gt",
    "datasets.train.dataroot_lq": "datasets.train.dataroot_lq (without it the images are made from dataroot_gt)",
    "datasets.train.num_worker_per_gpu": "datasets.train.num_worker_per_gpu",
    "datasets.val.dataroot_gt": "datasets.val.dataroot_gt",
    "datasets.val.dataroot_lq": "datasets.val.dataroot_lq",
    "network_g.type": "network_g.type (`srkd list networks`)",
    "path.pretrain_network_g": "path.pretrain_network_g",
    "train.optim_g.type": "train.optim_g.type: Adam, AdamW or SGD",
    "train.optim_g.lr": "train.optim_g.lr",
    "train.optim_g.betas": "train.optim_g.betas",
    "train.optim_g.weight_decay": "train.optim_g.weight_decay",
    "train.scheduler": "train.scheduler",
    "val.val_freq": "val.val_freq",
    "val.save_img": "val.save_img",
    "val.metrics": "val.metrics",
    "logger.print_freq": "logger.print_freq",
    "logger.save_checkpoint_freq": "logger.save_checkpoint_freq",
    "logger.use_tb_logger": "logger.use_tb_logger",
}

TOOLKITS = (
    Toolkit(
        "KAIR",
        _is_kair,
        {
            "task": "name",
            "scale": "scale",
            "gpu_ids": "num_gpu: how many",
            "n_channels": "network_g.num_in_ch and num_out_ch",
            "path.root": "path.experiments_root",
            "path.pretrained_netG": "path.pretrain_network_g",
            "datasets.train.dataset_type": "datasets.train.type: PairedImageDataset",
            "datasets.train.dataroot_H": "datasets.train.dataroot_gt",
            "datasets.train.dataroot_L": "datasets.train.dataroot_lq (without it the images are made from dataroot_gt)",
            "datasets.train.H_size": "datasets.train.gt_size",
            "datasets.train.dataloader_num_workers": "datasets.train.num_worker_per_gpu",
            "datasets.train.dataloader_batch_size": "datasets.train.batch_size_per_gpu",
            "datasets.test.dataroot_H": "datasets.val.dataroot_gt",
            "datasets.test.dataroot_L": "datasets.val.dataroot_lq",
            "netG.net_type": "network_g.type (`srkd list networks`)",
            "netG.in_nc": "network_g.num_in_ch",
            "netG.out_nc": "network_g.num_out_ch",
            "netG.nc": "network_g.num_feat",
            "netG.nb": "network_g.num_block",
            "train.G_lossfn_type": "train.pixel_opt.type: L1Loss, MSELoss or CharbonnierLoss",
            "train.G_lossfn_weight": "train.pixel_opt.loss_weight",
            "train.G_optimizer_type": "train.optim_g.type: Adam, AdamW or SGD",
            "train.G_optimizer_lr": "train.optim_g.lr",
            "train.G_optimizer_wd": "train.optim_g.weight_decay",
            "train.G_optimizer_clipgrad": "train.grad_clip",
            "train.G_scheduler_type": "train.scheduler.type",
            "train.G_scheduler_milestones": "train.scheduler.milestones",
            "train.G_scheduler_gamma": "train.scheduler.gamma",
            "train.E_decay": "train.ema_decay",
            "train.G_param_strict": "path.strict_load_g",
            "train.manual_seed": "manual_seed",
            "train.checkpoint_test": "val.val_freq",
            "train.checkpoint_save": "logger.save_checkpoint_freq",
            "train.checkpoint_print": "logger.print_freq",
        },
    ),
    Toolkit(
        "neosr",
        _is_neosr,
        _LIKE_BASICSR
        | {
            "bfloat16": "train.precision: bf16",
            "datasets.train.patch_size": "datasets.train.gt_size: patch_size × scale",
            "datasets.train.batch_size": "datasets.train.batch_size_per_gpu",
            "datasets.train.accumulate": "train.accumulate",
            "datasets.train.hflip": "datasets.train.use_hflip",
            "datasets.train.rotation": "datasets.train.use_rot",
            "train.ema": "train.ema_decay",
            "train.grad_clip": "train.grad_clip: the largest norm, for example 1.0",
            "train.pixel_opt": "train.pixel_opt",
            "logger.total_iter": "train.total_iter",
        },
    ),
    Toolkit(
        "traiNNer-redux",
        _is_redux,
        _LIKE_BASICSR
        | {
            "amp_bf16": "train.precision: bf16",
            "datasets.train.lq_size": "datasets.train.gt_size: lq_size × scale",
            "datasets.train.gt_size": "datasets.train.gt_size",
            "datasets.train.batch_size_per_gpu": "datasets.train.batch_size_per_gpu",
            "datasets.train.accum_iter": "train.accumulate",
            "datasets.train.use_hflip": "datasets.train.use_hflip",
            "datasets.train.use_rot": "datasets.train.use_rot",
            "train.ema_decay": "train.ema_decay",
            "train.grad_clip": "train.grad_clip: the largest norm, for example 1.0",
            "train.losses": "train.pixel_opt: the one pixel loss of the list",
            "train.total_iter": "train.total_iter",
            "train.warmup_iter": "train.warmup_iter",
        },
    ),
)


def refuse_other_toolkits(root: Node) -> None:
    """Raise `InputError` for an option file of another toolkit: one sentence, and its keys as srkd calls them."""
    toolkit = next((toolkit for toolkit in TOOLKITS if toolkit.marks(root)), None)
    if toolkit is None:
        return
    lines: list[str] = []
    for theirs, ours in toolkit.keys.items():
        node = root.child(*theirs.split("."))
        if node is not None:
            lines.append(f"  {theirs}: {shortened(node.plain())}  →  {ours}")
    others = len(_leaves(root)) - len(lines)
    rest = f"\n  {others} other keys have no equivalent, or need none." if others > 0 else ""
    raise InputError(
        f"{root.where}: this is an option file of {toolkit.name}, and srkd reads BasicSR's form: copy a file of "
        "options/train and fill in your values; what has an equivalent is called\n" + "\n".join(lines) + rest
    )


def _leaves(node: Node) -> list[Node]:
    children = node.children()
    return [leaf for child in children.values() for leaf in _leaves(child)] if children else [node]


def as_yaml(text: str, suffix: str, where: str) -> str:
    """`text` of a file with this suffix: JSON without its `//` comments is YAML.

    Raises:
        InputError: it is TOML, which only other toolkits use.
    """
    if suffix == ".json":
        return re.sub(r'("(?:\\.|[^"\\\n])*")|//[^\n]*|\t', lambda match: match[1] or " ", text)
    if suffix == ".toml":
        try:
            tree = _tree(tomllib.loads(text), where, ())
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise InputError(f"{where}: is no TOML ({error}); srkd's option files are YAML.") from None
        refuse_other_toolkits(tree)
        raise InputError(f"{where}: this is TOML; srkd's option files are YAML, as in options/train.")
    return text


def _tree(value: Any, where: str, path: tuple[str, ...]) -> Node:
    if isinstance(value, dict):
        value = {key: _tree(item, where, (*path, key)) for key, item in value.items()}
    elif isinstance(value, list):
        value = [_tree(item, where, (*path, str(i))) for i, item in enumerate(value)]
    return Node(value, where, path)
