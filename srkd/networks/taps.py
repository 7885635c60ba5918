"""Features of a network by module path."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from srkd.types import InputError, did_you_mean


class _Reached(Exception):  # noqa: N818 (not an error: it ends a forward pass whose rest is not needed)
    pass


class Taps:
    """Records the outputs of named modules while `module` runs.

    A tap is the output of the module at that path, before anything that follows it: `conv_after_body` of EDSR is
    pre-skip. Recorded tensors are the graph's own; the networks here never change a tapped tensor in place.

    Args:
        module: the network.
        paths: module paths as in `named_modules()`, for example `body.7`.

    Raises:
        InputError: a path does not exist; the message lists those that do.
    """

    def __init__(self, module: nn.Module, paths: list[str]) -> None:
        modules = {name: child for name, child in module.named_modules() if name}
        for path in paths:
            if path not in modules:
                raise InputError(
                    f"tap {path!r} does not exist in {type(module).__name__}.{did_you_mean(path, modules)} "
                    f"Available: {', '.join(modules)}."
                )
        self.module = module
        self.paths = list(paths)
        self._recorded: dict[str, Tensor] = {}
        self._stop_when_complete = False
        for path in paths:
            modules[path].register_forward_hook(self._hook(path))

    def _hook(self, path: str) -> Any:
        def record(module: nn.Module, inputs: Any, output: Tensor) -> None:
            self._recorded[path] = output
            if self._stop_when_complete and len(self._recorded) == len(self.paths):
                raise _Reached

        return record

    def take(self) -> list[Tensor]:
        """The tensors of the last forward pass, in the order of the paths, [B, C, h, w] each; forgets them."""
        recorded, self._recorded = self._recorded, {}
        return [recorded[path] for path in self.paths]

    def features(self, x: Tensor) -> list[Tensor]:
        """Run the module on `x` [B, C, h, w] only as far as the last tap, and return the tapped tensors."""
        self._stop_when_complete = True
        self._recorded = {}
        try:
            self.module(x)
        except _Reached:
            pass
        finally:
            self._stop_when_complete = False
        return self.take()
