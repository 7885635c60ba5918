"""Optimisers by the names option files use: each function's keyword-only parameters are its options."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

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
    options: dict[str, Any] = {"betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
    return _on_its_device(torch.optim.Adam, params, lr, options, capturable=True)


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
    options: dict[str, Any] = {"betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
    return _on_its_device(torch.optim.AdamW, params, lr, options, capturable=True)


@OPTIMIZERS.register
def SGD(  # noqa: N802
    params: Parameters, *, lr: Rate, momentum: Rate = 0.0, weight_decay: Rate = 0.0, nesterov: bool = False
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum."""
    options: dict[str, Any] = {"momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
    return _on_its_device(torch.optim.SGD, params, lr, options)


def _on_its_device(
    kind: Callable[..., torch.optim.Optimizer], params: Parameters, lr: float, options: dict[str, Any], **on_cuda: Any
) -> torch.optim.Optimizer:
    """On CUDA one kernel updates all parameters, and everything is read there: such a step can be recorded."""
    groups: list[Any] = list(params)
    given = [p for group in groups for p in (group["params"] if isinstance(group, dict) else [group])]
    fast = {"fused": True, **on_cuda} if given and all(parameter.is_cuda for parameter in given) else {}
    return kind(groups, lr=lr, **options, **fast)


def move_rates(optimizer: torch.optim.Optimizer) -> None:
    """Keep learning rates on the device where the optimiser reads them there."""
    for group in optimizer.param_groups:
        if group.get("fused"):
            group["lr"] = torch.tensor(float(group["lr"]), device=group["params"][0].device)


def rates_on_device(optimizer: torch.optim.Optimizer) -> bool:
    """Whether learning rates are tensors, so that a recorded step sees them change."""
    return all(isinstance(group["lr"], Tensor) for group in optimizer.param_groups)


def set_rate(group: dict[str, Any], rate: float) -> None:
    """Set the learning rate of a parameter group."""
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


class Ema:
    """Exponential moving average of a network's parameters and buffers.

    Args:
        network: what is averaged: a network, or several in an `nn.ModuleDict`.
        decay: asymptotic decay, in [0, 1).
        warmup: start with the decay min(decay, (1 + n) / (10 + n)) at update n. A plain 0.999 still holds 37 % of the
            starting weights after 1,000 updates, useless for a network that started as a slice; False is BasicSR's.
    """

    def __init__(self, network: nn.Module, *, decay: float, warmup: bool = True) -> None:
        self.decay = decay
        self.warmup = warmup
        self.updates = 0
        self.network = network
        self._current: dict[str, Tensor] = {}
        self.params: dict[str, Tensor] = {name: value.detach().clone() for name, value in network.state_dict().items()}
        device = next((value.device for value in self.params.values()), torch.device("cpu"))
        self._share = 1.0
        self._share_on_device = torch.ones((), device=device) if device.type == "cuda" else None

    def restart(self, params: Mapping[str, Tensor], updates: int) -> None:
        """Go on from `params` after `updates` updates."""
        self.updates = updates
        for name, value in params.items():
            self.params[name].copy_(value)

    def advance(self) -> None:
        """Decide how much the next update takes of the current values."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        self._share = 1 - decay
        if self._share_on_device is not None:
            self._share_on_device.fill_(self._share)

    def blend(self) -> None:
        """Take in the network's current values; on CUDA the share is read on the device."""
        # its tensors stay the same; finding thousands takes a while
        current = self._current = self._current or self.network.state_dict()
        names = [name for name, value in self.params.items() if value.is_floating_point()]
        averages, values = [self.params[name] for name in names], [current[name] for name in names]
        many: Any = torch  # its functions for whole lists are private, and what its own optimisers are made of
        if self._share_on_device is None:
            many._foreach_lerp_(averages, values, self._share)
        else:
            moves = many._foreach_sub(values, averages)
            many._foreach_mul_(moves, self._share_on_device)
            many._foreach_add_(averages, moves)
        for name in self.params.keys() - set(names):  # counters and tables of indices have no average
            self.params[name].copy_(current[name])

    def of(self, name: str) -> dict[str, Tensor]:
        """The averages of one of several networks, as its state dict."""
        return {key.removeprefix(f"{name}."): v for key, v in self.params.items() if key.startswith(f"{name}.")}

    @contextmanager
    def applied(self) -> Generator[None]:
        """The averaged values in place of the network's own, inside the `with` block."""
        own = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.params)
        try:
            yield
        finally:
            self.network.load_state_dict(own)


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load moments and step counts; the options stay those of the option file, which may have changed.

    Raises:
        InputError: the state is of other parameters.
    """
    options = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    try:
        if len(state["param_groups"]) == len(options):  # own ones first: they decide where step counts lie
            groups = [{**group, **own} for group, own in zip(state["param_groups"], options, strict=True)]
            state = {**state, "param_groups": groups}
        optimizer.load_state_dict(state)
    except ValueError as error:
        raise InputError(f"the training state is of another method, network or optimiser: {error}.") from None
    moments = {name for kept in optimizer.state.values() for name, value in kept.items() if getattr(value, "ndim", 0)}
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if isinstance(value, Tensor):
                if name in moments and value.shape != parameter.shape:
                    raise InputError(
                        f"the training state is of another method or network: {name} of a parameter is "
                        f"{list(value.shape)}, the parameter {list(parameter.shape)}."
                    )
            elif name in moments or not isinstance(value, int | float | None):
                raise InputError(f"the training state is damaged: {name} of a parameter is {type(value).__name__}.")
    for group, own in zip(optimizer.param_groups, options, strict=True):
        group.update(own)


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The optimiser's state dict, its learning rates as plain numbers."""
    state = optimizer.state_dict()
    groups = [{name: float(v) if name == "lr" else v for name, v in group.items()} for group in state["param_groups"]]
    return {**state, "param_groups": groups}
