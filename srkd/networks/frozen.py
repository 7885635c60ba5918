"""A module that is used but not trained."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class Frozen(nn.Module):
    """A module that is used but never trained: always in eval mode, without gradients, and in no state dict.

    It follows `.to(device)`; `train()`, `parameters()` and `state_dict()` of the owner do not see it.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._held = [module.eval().requires_grad_(False)]  # in a list, so that torch does not register it

    @property
    def module(self) -> nn.Module:
        """The frozen module itself."""
        return self._held[0]

    def forward(self, *inputs: Tensor) -> Any:
        """Call the module. Gradients flow to the inputs; wrap in `torch.no_grad()` where they are not wanted."""
        return self._held[0](*inputs)

    def _apply(self, fn: Any, recurse: bool = True) -> Frozen:
        self._held[0]._apply(fn, recurse)
        super()._apply(fn, recurse)
        return self


class FrozenCopy(Frozen):
    """A frozen module that exists nowhere else: part of its owner's state dict, and so of the training state."""

    def get_extra_state(self) -> dict[str, Any]:
        """The module's state dict."""
        return self.module.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Load it."""
        self.module.load_state_dict(state)
