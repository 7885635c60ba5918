"""srkd: compress image super-resolution networks by knowledge distillation; one network, switchable width.

The public names are imported at first use, so that `import srkd` is fast and loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0.dev0"

if TYPE_CHECKING:
    from srkd.allocator import tune_allocator
    from srkd.compat.loading import load_network
    from srkd.compression.run import compress
    from srkd.engine.run import train
    from srkd.inference.upscaler import Upscaler
    from srkd.methods.base import Method
    from srkd.metrics.psnr import psnr
    from srkd.metrics.ssim import ssim
    from srkd.networks.pretrained import pretrained

__all__ = [
    "Method",
    "Upscaler",
    "__version__",
    "compress",
    "load_network",
    "pretrained",
    "psnr",
    "ssim",
    "train",
    "tune_allocator",
]

_HOME = {
    "compress": "srkd.compression.run",
    "load_network": "srkd.compat.loading",
    "Upscaler": "srkd.inference.upscaler",
    "Method": "srkd.methods.base",
    "psnr": "srkd.metrics.psnr",
    "train": "srkd.engine.run",
    "ssim": "srkd.metrics.ssim",
    "pretrained": "srkd.networks.pretrained",
    "tune_allocator": "srkd.allocator",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'srkd' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
