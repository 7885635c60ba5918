"""Optimisers by the names option files use: each function's keyword-only parameters are its options."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from srkd.registry import OPTIMIZERS
from srkd.types import InputError

Rate = Annotated[float, Field(ge=0)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Parameters = Iterable[nn.Parameter]


@OPTIMIZERS.register
def Adam(  # noqa: N802 (torch's and the option files' name)
    params: Parameters,
    *,
    lr: Rate,
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Rate = 1e-8,
    weight_decay: Rate = 0.0,
    amsgrad: bool = False,
) -> torch.optim.Optimizer:
    """Adam (Kingma, Ba, ICLR 2015)."""
    return torch.optim.Adam(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad)


@OPTIMIZERS.register
def AdamW(  # noqa: N802
    params: Parameters,
    *,
    lr: Rate,
    betas: tuple[Beta, Beta] = (0.9, 0.999),
    eps: Rate = 1e-8,
    weight_decay: Rate = 1e-2,
    amsgrad: bool = False,
) -> torch.optim.Optimizer:
    """Adam with decoupled weight decay (Loshchilov, Hutter, ICLR 2019)."""
    return torch.optim.AdamW(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad)


@OPTIMIZERS.register
def SGD(  # noqa: N802
    params: Parameters, *, lr: Rate, momentum: Rate = 0.0, weight_decay: Rate = 0.0, nesterov: bool = False
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum."""
    return torch.optim.SGD(params, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)


class Ema:
    """Exponential moving average of a network's parameters and buffers.

    Args:
        network: what is averaged.
        decay: asymptotic decay, in [0, 1).
        warmup: start with the decay min(decay, (1 + n) / (10 + n)) at update n. A plain 0.999 still holds 37 % of the
            starting weights after 1,000 updates, useless for a network that started as a slice; False is BasicSR's.
    """

    def __init__(self, network: nn.Module, *, decay: float, warmup: bool = True) -> None:
        self.decay = decay
        self.warmup = warmup
        self.updates = 0
        self._averaged: tuple[nn.Module, dict[str, Tensor]] | None = None
        self.params: dict[str, Tensor] = {name: value.detach().clone() for name, value in network.state_dict().items()}

    def restart(self, params: Mapping[str, Tensor], updates: int) -> None:
        """Go on from `params` after `updates` updates."""
        self.updates = updates
        for name, value in params.items():
            self.params[name].copy_(value)

    def update(self, network: nn.Module) -> None:
        """Average in the network's current values."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        self.updates += 1
        if self._averaged is None or self._averaged[0] is not network:
            self._averaged = network, network.state_dict()  # its tensors stay the same; finding thousands takes a while
        current = self._averaged[1]
        names = [name for name, value in self.params.items() if value.is_floating_point()]
        get_ema_multi_avg_fn(decay)([self.params[name] for name in names], [current[name] for name in names], None)
        for name in self.params.keys() - set(names):  # counters and tables of indices have no average
            self.params[name].copy_(current[name])

    @contextmanager
    def applied_to(self, network: nn.Module) -> Generator[None]:
        """The averaged values in place of the network's own, inside the `with` block."""
        own = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self.params)
        try:
            yield
        finally:
            network.load_state_dict(own)


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load moments and step counts; the options stay those of the option file, which may have changed.

    Raises:
        InputError: the state is of other parameters.
    """
    options = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    try:
        optimizer.load_state_dict(state)
    except ValueError as error:
        raise InputError(f"the training state is of another method, network or optimiser: {error}.") from None
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, Tensor) and value.numel() > 1 and value.shape != parameter.shape:
                raise InputError(
                    f"the training state is of another method or network: {name} of a parameter is "
                    f"{list(value.shape)}, the parameter {list(parameter.shape)}."
                )
    for group, own in zip(optimizer.param_groups, options, strict=True):
        group.update(own)
