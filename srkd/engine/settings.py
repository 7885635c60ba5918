"""How long and how exactly to train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Compile = Literal["default", "reduce-overhead", "max-autotune-no-cudagraphs"]


@dataclass(frozen=True)
class Settings:
    """The words are those of the option file.

    Attributes:
        cuda_graph: record the step on CUDA and replay it, where that is possible.
        compile: how the method was compiled, if it was.
    """

    total_iter: int
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    accumulate: int = 1
    grad_clip: float | None = None
    print_freq: int = 100
    save_freq: int = 5000
    val_freq: int | None = None
    num_workers: int = 0
    cuda_graph: bool = True
    compile: Compile | None = None
