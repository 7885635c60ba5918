"""Features of a network by module path."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from srkd.networks.slim import Network
from srkd.types import InputError, did_you_mean


class _Reached(Exception):  # noqa: N818 (not an error: it ends a forward pass whose rest is not needed)
    """Carries the tapped tensors."""

    def __init__(self, features: list[Tensor]) -> None:
        super().__init__()
        self.features = features


class Taps:
    """The outputs of named modules of `module`, recorded while it runs through `run` or `features`.

    A tap is the output of the module at that path, before anything that follows it: `conv_after_body` of EDSR is
    before the long skip, `features` after it. Of a module that runs several times in one pass it is the last output.
    Of a network that enlarges its input, features have the input's own positions. Recorded tensors are the graph's own;
    one that the network changes in place afterwards is refused. Nothing is recorded when the module is called directly,
    as validation does.

    Args:
        module: the network.
        paths: module paths as in `named_modules()`, for example `body.7`.

    Raises:
        InputError: a path does not exist; the message lists those that do.
    """

    def __init__(self, module: nn.Module, paths: list[str]) -> None:
        modules = check_paths(module, paths)
        self.module = module
        self.paths = list(paths)
        self._recorded: dict[str, tuple[Tensor, int]] = {}
        self._input: Tensor | None = None  # while recording
        self._calls: dict[str, int] = {}  # of each tap in the pass that is recorded
        self._may_stop = False  # once a whole pass has shown that each tap runs once
        self._stop_when_complete = False
        for path in dict.fromkeys(paths):
            # a partial of a bound method: a deep copy of network and taps records into the copy
            modules[path].register_forward_hook(functools.partial(self._record, path))

    def _record(self, path: str, module: nn.Module, inputs: Any, output: Any) -> None:
        if self._input is None:
            return
        if not isinstance(output, Tensor):
            raise InputError(
                f"tap {path!r} of {type(self.module).__name__} gives a {type(output).__name__}, not a tensor. Name a "
                "layer inside it."
            )
        self._recorded[path] = output, _version(output)
        self._calls[path] = self._calls.get(path, 0) + 1
        if self._stop_when_complete and len(self._recorded) == len(set(self.paths)):
            raise _Reached(self._take())

    def run(self, x: Tensor, width: float = 1.0) -> tuple[Tensor, list[Tensor]]:
        """The module's output for `x` [B, C, h, w] at a width, and the tapped tensors in the order of the paths.

        Raises:
            InputError: a tap's module was not called, or its output was changed in place afterwards.
        """
        self._input, self._calls = x, {}
        try:
            output = self.module(x) if width == 1 else self.module(x, width)  # others' networks know no width
            features = self._take()
            self._may_stop = max(self._calls.values(), default=1) == 1
            return output, features
        finally:
            self._input, self._recorded = None, {}

    def features(self, x: Tensor, width: float = 1.0) -> list[Tensor]:
        """The tapped tensors for `x` [B, C, h, w] alone.

        The module runs only as far as the last tap, but for the first time, which shows whether that can be known: a
        module that runs several times has its last output at the end only.
        """
        self._stop_when_complete = self._may_stop
        try:
            return self.run(x, width)[1]
        except _Reached as reached:
            return reached.features
        finally:
            self._stop_when_complete = False

    def _take(self) -> list[Tensor]:
        silent = [path for path in self.paths if path not in self._recorded]
        if silent:
            raise InputError(
                f"tap {silent[0]!r} of {type(self.module).__name__} is not called in its forward pass: a container, or "
                "a module used through its methods. Name a layer inside it."
            )
        changed = [path for path, (tensor, version) in self._recorded.items() if _version(tensor) != version]
        if changed:
            raise InputError(
                f"tap {changed[0]!r} of {type(self.module).__name__} is changed in place by the layer that follows it "
                "(an activation), so its output no longer exists. Name the block around it."
            )
        features = [_laid_out(self._recorded[path][0]) for path in self.paths]
        if self._input is None or not isinstance(self.module, Network):
            return features
        return [self.module.unpadded(feature, self._input) for feature in features]


class _SameLayout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0].contiguous(memory_format=torch.channels_last)


def _laid_out(feature: Tensor) -> Tensor:
    """The feature, whose gradient will come in its memory layout: else every convolution before it copies it back."""
    last = feature.dim() == 4 and feature.is_contiguous(memory_format=torch.channels_last)
    return _SameLayout.apply(feature) if last and feature.requires_grad else feature


def check_paths(module: nn.Module, paths: Sequence[str]) -> dict[str, nn.Module]:
    """The modules inside `module` by their paths.

    Raises:
        InputError: one of `paths` is not among them; the message lists those that are.
    """
    modules = {name: child for name, child in module.named_modules() if name}
    for path in paths:
        if path not in modules:
            raise InputError(
                f"tap {path!r} does not exist in {type(module).__name__}.{did_you_mean(path, modules)} "
                f"Available: {', '.join(modules)}."
            )
    return modules


def _version(tensor: Tensor) -> int:
    """How often the tensor was written to; not asked while a graph is being captured."""
    return 0 if torch.compiler.is_compiling() or tensor.is_inference() else tensor._version


def default_taps(network: nn.Module) -> list[str]:
    """The ends of the blocks at 0.4, 0.7 and 1.0 of the depth (SRKD's layers 4, 7 and 10 of 10).

    Raises:
        InputError: the network has no `body` of blocks.
    """
    count = len(body_of(network))
    ends = [max(round(fraction * count), 1) - 1 for fraction in (0.4, 0.7, 1.0)]
    return [f"body.{end}" for end in dict.fromkeys(ends)]


def body_of(network: nn.Module) -> nn.Sequential:
    """The blocks of a network that keeps them in `body`.

    Raises:
        InputError: it has none, so that taps have to be named.
    """
    body = getattr(network, "body", None)
    if not isinstance(body, nn.Sequential) or not len(body):
        raise InputError(f"{type(network).__name__} has no `body` of blocks: name the taps in the option file.")
    return body


def feature_range(network: nn.Module) -> float:
    """The range that a network's features grow with: its `img_range`, or 1 where it has none."""
    return float(getattr(network, "img_range", 1.0))


def paired_taps(
    student: nn.Module,
    teacher: nn.Module,
    taps: Sequence[str] | None,
    teacher_taps: Sequence[str] | None,
    *,
    default: Callable[[nn.Module], list[str]],
) -> list[tuple[str, str]]:
    """Module paths in student and teacher whose features are compared.

    Args:
        student: the network that is trained.
        teacher: the frozen network.
        taps: module paths in the student; None takes `default` of it.
        teacher_taps: module paths in the teacher; None takes `taps`, or `default` of the teacher where they are None.
        default: the taps of a network.

    Raises:
        InputError: their numbers differ, or there is none.
    """
    ours = default(student) if taps is None else list(taps)
    theirs = list(teacher_taps or taps or default(teacher))
    if not ours or len(ours) != len(theirs):
        raise InputError(
            f"`taps` ({', '.join(ours) or 'none'}) and `teacher_taps` ({', '.join(theirs)}) must be as many, and at "
            "least one: each tap of the student is compared with one of the teacher."
        )
    return list(zip(ours, theirs, strict=True))


def check_sizes(paths: Sequence[tuple[str, str]], ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> None:
    """Compare the positions of features, tap by tap; their channels may differ.

    Raises:
        InputError: two features differ in height or width.
    """
    for (path, other), s, t in zip(paths, ours, theirs, strict=True):
        if s.shape[-2:] != t.shape[-2:]:
            raise InputError(
                f"the student's tap {path!r} gives {list(s.shape)} and the teacher's {other!r} gives "
                f"{list(t.shape)} ([B, C, H, W]): height and width must be equal."
            )


class FeaturePairs:
    """The features of student and teacher, tap by tap, as plugins of version 0.1 ask for them.

    `srkd.methods.feature.FeatureMethod` does more, with less to write.

    Args:
        student: the network that is trained.
        teacher: the frozen network.
        paths: module paths in student and teacher, see `paired_taps`.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, paths: Sequence[tuple[str, str]]) -> None:
        self.paths = list(paths)
        self.student = Taps(student, [ours for ours, _ in paths])
        self.teacher = Taps(teacher, [theirs for _, theirs in paths])

    def run(self, x: Tensor, *, teacher_output: bool) -> tuple[Tensor, Tensor | None, list[tuple[Tensor, Tensor]]]:
        """Both networks on `x`: the student's output, the teacher's (or None), and (student, teacher) for each tap."""
        with torch.no_grad():
            target, theirs = self.teacher.run(x) if teacher_output else (None, self.teacher.features(x))
        sr, ours = self.student.run(x)
        check_sizes(self.paths, ours, theirs)
        return sr, target, list(zip(ours, theirs, strict=True))
