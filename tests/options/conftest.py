from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

MINIMAL = """\
name: tiny
scale: 4
datasets:
  train: {type: PairedImageDataset, dataroot_gt: gt, dataroot_lq: lq, gt_size: 48}
  val: {name: Set5, type: PairedImageDataset, dataroot_gt: gt, dataroot_lq: lq}
network_g:
  type: EDSR
  num_feat: 8
  num_block: 2
train:
  optim_g:
    type: Adam
    lr: 1e-4
  total_iter: 10
val:
  val_freq: 5
  metrics:
    psnr: {type: calculate_psnr, crop_border: 4}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write an option file, by default a small correct one, and return its path."""

    def write_file(text: str = MINIMAL, name: str = "tiny.yml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write_file
