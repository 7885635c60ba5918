from __future__ import annotations

from typing import Any

from srkd.options import dump_options, load_train_options


def test_a_dump_loads_to_equal_options(write: Any) -> None:
    options = load_train_options(
        write(),
        [
            "network_g_teacher={type: EDSR, num_feat: 16}",
            "datasets.val_2={name: '010', type: PairedImageDataset, dataroot_gt: [a, b], dataroot_lq: [c, d]}",
            "val.widths=[1/3, 1]",
            "val.suffix='no'",
            "val.metrics.psnr.better=lower",
            "train.optim_g.betas=[0.9, 0.99]",
            "train.scheduler={type: MultiStepLR, milestones: [5e0, 7]}",
            "train.grad_clip=1e-5",
            "datasets.train.pin_memory=true",
        ],
    )
    text = dump_options(options)
    again = load_train_options(write(text, "again.yml"))
    assert again == options
    assert dump_options(again) == text
    assert list(again.datasets.val) == ["Set5", "010"]
    assert options.notices
    assert not again.notices


def test_options_that_differ_are_not_equal(write: Any) -> None:
    assert load_train_options(write()) != load_train_options(write(), ["train.optim_g.lr=2e-4"])
