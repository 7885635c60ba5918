"""What every training objective is: one module that owns the student, gives raw named losses, and their weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from srkd.losses.pixel import PixelLoss
from srkd.networks.slim import Network
from srkd.networks.taps import Taps
from srkd.types import Batch, InputError, Losses


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


class Kept(Frozen):
    """A frozen module that exists nowhere else: part of its owner's state dict, and so of the training state."""

    def get_extra_state(self) -> dict[str, Any]:
        """The module's state dict."""
        return self.module.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Load it."""
        self.module.load_state_dict(state)


def widest_first(widths: Sequence[float]) -> tuple[float, ...]:
    """The widths in order.

    Raises:
        InputError: one is there twice, and would be computed twice and counted once.
    """
    if len({*widths}) < len(widths):
        raise InputError(f"`widths` ({', '.join(f'{width:g}' for width in widths)}) has one of them twice.")
    return tuple(sorted(widths, reverse=True))


class Method(nn.Module):
    """A training objective.

    A subclass takes `student, teacher, pixel` first, which the engine wires; its keyword-only parameters are its
    options in the `method:` block of an option file.

    Attributes:
        student: the network that is trained; the only part that is exported.
        teacher: the frozen teacher, or None.
        pixel: the distance to the ground truth, `train.pixel_opt`.
        widths: the widths that are supervised, widest first.
        uses_teacher: whether `network_g_teacher` is needed.
    """

    uses_teacher: ClassVar[bool] = False

    def __init__(self, student: Network, teacher: nn.Module | None, pixel: PixelLoss) -> None:
        super().__init__()
        if self.uses_teacher and teacher is None:
            raise InputError(f"{type(self).__name__} needs a teacher.")
        self.student = student
        self.teacher = None if teacher is None else Frozen(teacher)
        self.pixel = pixel
        self.widths: tuple[float, ...] = (1.0,)
        self.weights: dict[str, float] = {"l_pix": pixel.loss_weight}

    @property
    def companions(self) -> dict[str, nn.Module]:
        """Trained modules that a later training needs beside the student; written into the network file."""
        return {}

    def forward(self, batch: Batch) -> Losses:
        """Raw, unweighted, named scalars of one batch; a name may end in `@width`."""
        raise NotImplementedError

    def weight(self, name: str, progress: float) -> float:
        """Weight of the loss `name` at `progress` in [0, 1] of the training; `@width` is ignored."""
        del progress  # the weights of these objectives are constant; a schedule overrides this
        return self.weights[name.split("@")[0]]

    def total(self, losses: Losses, progress: float) -> Tensor:
        """The weighted sum that is minimised."""
        terms = [self.weight(name, progress) * value for name, value in losses.items()]
        return sum(terms[1:], terms[0])


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


class FeaturePairs:
    """The features of student and teacher that a method compares, tap by tap; their channels may differ.

    Args:
        student: the network that is trained.
        teacher: the frozen network.
        paths: module paths in student and teacher, see `paired_taps`.

    Raises:
        InputError: a tap does not exist.
    """

    def __init__(self, student: nn.Module, teacher: nn.Module, paths: Sequence[tuple[str, str]]) -> None:
        self.student = Taps(student, [ours for ours, _ in paths])
        self.teacher = Taps(teacher, [theirs for _, theirs in paths])

    def run(self, x: Tensor, *, teacher_output: bool) -> tuple[Tensor, Tensor | None, list[tuple[Tensor, Tensor]]]:
        """Both networks on `x` [B, C, h, w]: the student's output, the teacher's, and (student, teacher) for each tap.

        Args:
            x: low-resolution images.
            teacher_output: without it the teacher stops at its last tap and its output is None.

        Raises:
            InputError: two features differ in height or width.
        """
        with torch.no_grad():
            target, theirs = self.teacher.run(x) if teacher_output else (None, self.teacher.features(x))
        sr, ours = self.student.run(x)
        for path, other, s, t in zip(self.student.paths, self.teacher.paths, ours, theirs, strict=True):
            if s.shape[-2:] != t.shape[-2:]:
                raise InputError(
                    f"the student's tap {path!r} gives {list(s.shape)} and the teacher's {other!r} gives "
                    f"{list(t.shape)} ([B, C, H, W]): height and width must be equal."
                )
        return sr, target, list(zip(ours, theirs, strict=True))
