"""How strongly each term of a method pulls at the student: a look that changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import nn

from srkd.engine.checkpoint import random_states, restore_random_states
from srkd.methods.base import Method
from srkd.types import Batch


def gradient_norms(
    method: Method, batch: Batch, *, autocast: Callable[[], AbstractContextManager[Any]], scaler: torch.amp.GradScaler
) -> dict[str, float]:
    """The norm of each weighted term's gradient on the student, so that a term that drowns the rest is seen."""
    parameters = list(method.student.parameters())
    states = random_states()
    with autocast():
        losses = method.forward(batch)  # not the compiled one, whose gradients are taken once
    norms: dict[str, float] = {}
    for name, value in losses.items():
        weighted = scaler.scale(method.weight(name, 0.0) * value)  # fp16 would lose small gradients
        gradients = torch.autograd.grad(weighted, parameters, retain_graph=True, materialize_grads=True)
        norms[name] = float(nn.utils.get_total_norm(gradients)) / scaler.get_scale()
    restore_random_states(states)  # looking must not change the run
    return norms
