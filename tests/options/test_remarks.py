"""What a file may say and hardly means is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from srkd.options import load_train_options

SUPERVISED = "method={type: Supervised}"


def warnings(write: Callable[..., Path], *overrides: str) -> list[str]:
    return load_train_options(write(), overrides).warnings


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([SUPERVISED], None),
        (["model_type=SRModel"], None),
        ([], None),
        (["val.widths=[1, 0.25]"], "val.widths has widths below 1, but there is no `method`"),
        (["path.pretrain_network_g_teacher=a.pth"], "path.pretrain_network_g_teacher is given, but there is no"),
        ([SUPERVISED, "train.optim_g.lr=0"], "train.optim_g.lr is 0: nothing is learnt."),
        ([SUPERVISED, "train.warmup_iter=10"], "train.warmup_iter is 10, but train.total_iter is 10"),
        ([SUPERVISED, "train.warmup_iter=9"], None),
        ([SUPERVISED, "train.scheduler={type: CosineAnnealingLR, T_max: 10}"], None),
        (
            [SUPERVISED, "train.scheduler={type: CosineAnnealingLR, T_max: 5}"],
            "T_max is 5 in all, but",
        ),
        ([SUPERVISED, "train.scheduler={type: TrueCosineAnnealingLR, T_max: 99}"], "ends before its minimum"),
        (
            [SUPERVISED, "train.scheduler={type: CosineAnnealingRestartLR, periods: [4, 4], restart_weights: [1, 1]}"],
            "train.scheduler.periods is 8 in all, but train.total_iter is 10: the learning rate stays at its minimum",
        ),
        (
            [SUPERVISED, "train.scheduler={type: MultiStepLR, milestones: [5, 10, 20]}"],
            "train.scheduler.milestones: 10, 20 are never reached: train.total_iter is 10.",
        ),
        ([SUPERVISED, "train.scheduler={type: MultiStepLR, milestones: [5, 9]}"], None),
        (["method={type: CSD}"], "method CSD starts from a trained network (path.pretrain_network_g)"),
        (["method={type: CSD}", "path.pretrain_network_g=a.pth"], None),
        ([SUPERVISED, "logger.wandb.entity=me"], "logger.wandb.entity: is left out, srkd does not know it."),
        ([SUPERVISED, "logger.log_images=true"], "logger.log_images: is left out, srkd does not know it."),
        ([SUPERVISED, "val.metrics.niqe={type: calculate_niqe, better: lower}"], "no metric 'calculate_niqe'"),
        ([SUPERVISED, "val.metrics.fid={type: calculate_fid}"], "srkd has no metric 'calculate_fid'. Available: "),
    ],
)
def test_each_remark(write: Callable[..., Path], overrides: list[str], expected: str | None) -> None:
    found = warnings(write, *overrides)
    assert len(found) == (expected is not None), found
    assert expected is None or expected in found[0]


@pytest.mark.parametrize(
    "override",
    ["val.metrics.niqe=~", "val.metrics=~", "datasets.val_2=~", "path=~", "logger=~", "plugins=~", "method=~"],
)
def test_null_takes_an_entry_out(write: Callable[..., Path], override: str) -> None:
    assert warnings(write, override) == []
