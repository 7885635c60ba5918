"""What every training objective is: one module that owns the student, gives raw named losses, and their weights."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn

from srkd.losses.pixel import PixelLoss
from srkd.networks import frozen, taps
from srkd.networks.frozen import Frozen
from srkd.networks.slim import Network
from srkd.signature import Width
from srkd.types import Batch, InputError, Losses

TeacherUse = Literal["no", "optional", "required"]
Teachers = nn.Module | Mapping[str, nn.Module] | None
"""What the engine wires as the teacher: none, one (`network_g_teacher`), or several by name (`network_g_teachers`)."""

STUDENT = "g"
"""The name of the student among `Method.networks`, and in the names of its files."""

ONE_TEACHER = "teacher"
"""The name of a teacher that has none, in `Method.teachers` and `Batch.targets`."""


def widest_first(widths: Sequence[float]) -> tuple[float, ...]:
    """The widths in order.

    Raises:
        InputError: there is none, or one is there twice, and would be computed twice and counted once.
    """
    if not widths:
        raise InputError("`widths` is empty: name at least one, for example 1.")
    if len({*widths}) < len(widths):
        raise InputError(f"`widths` ({', '.join(f'{width:g}' for width in widths)}) has one of them twice.")
    return tuple(sorted(widths, reverse=True))


class Method(nn.Module):
    """A training objective.

    A subclass takes `student, teacher, pixel` first; the engine passes them. Its keyword-only parameters are its
    options in the `method:` block of an option file. With `**options` it has the options of its parent class too.

    Args:
        widths: the widths of the student to train, each on every batch; the default is the whole network.
        width_weights: factor of each width's losses, in the same order; the default is 1 for all. Narrow widths
            converge last. A larger factor helps them, and costs the wide ones a little.

    Attributes:
        student: the network that is trained; the only part that is exported.
        pixel: the loss against the ground truth, `train.pixel_opt`.
        widths: the widths that are supervised, widest first.
        weights: the weight of each term, by the part of its name before `.` and `@`.
        progress: share of the training that is done, for `forward`.
        uses_teacher: whether `network_g_teacher` is needed, or allowed.
        local_buffers: whether each process keeps the method's buffers for itself, such as a bank of what it has seen.
            If not, all have the buffers of the first. A bank that `everyone` fills is the same everywhere, and resumes
            exactly.
        several_teachers: whether `network_g_teachers` may name more than one.
    """

    uses_teacher: ClassVar[Any] = "no"  # TeacherUse; plugins of version 0.1 have a bool
    several_teachers: ClassVar[bool] = False
    local_buffers: ClassVar[bool] = False

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        widths: tuple[Width, ...] = (1.0,),
        width_weights: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        if teacher_use(self) == "required" and teacher is None:
            raise InputError(f"{type(self).__name__} needs a teacher: give network_g_teacher.")
        named = dict(teacher) if isinstance(teacher, Mapping) else {} if teacher is None else {ONE_TEACHER: teacher}
        if len(named) > 1 and not self.several_teachers:
            raise InputError(f"{type(self).__name__} learns from one teacher, not from {', '.join(named)}.")
        self.student = student
        self._teachers = nn.ModuleList(Frozen(module) for module in named.values())
        self._teacher_names = list(named)
        self.pixel = pixel
        for width in widths:
            student.channels(width)
        factors = (1.0,) * len(widths) if width_weights is None else width_weights
        if len(factors) != len(widths) or min(factors, default=0) < 0 or max(factors, default=1) <= 0:
            raise InputError(
                f"`width_weights` ({', '.join(f'{factor:g}' for factor in factors)}) has one factor for each of the "
                f"{len(widths)} `widths`, none below 0 and not all 0."
            )
        self.widths: tuple[float, ...] = widest_first(widths)
        self.factors = {f"{width:g}": factor for width, factor in zip(widths, factors, strict=True)}
        self.weights: dict[str, float] = {"l_pix": pixel.loss_weight}
        self._progress, self.asks_progress = 0.0, False

    @property
    def progress(self) -> float:
        """How far the training is, from 0 to 1; set by the engine, for `forward`."""
        self.asks_progress = True  # a step that depends on it cannot be recorded once and replayed
        return self._progress

    @progress.setter
    def progress(self, progress: float) -> None:
        self._progress = progress

    @property
    def teachers(self) -> dict[str, Frozen]:
        """The frozen teachers by name."""
        held = [module for module in self._teachers if isinstance(module, Frozen)]
        return dict(zip(self._teacher_names, held, strict=True))

    @property
    def teacher(self) -> Frozen | None:
        """The frozen teacher, if there is exactly one."""
        found = list(self.teachers.values())
        return found[0] if len(found) == 1 else None

    @classmethod
    def example(cls, folder: Path) -> dict[str, Any]:
        """Options with which it trains a tiny network, for tests; what has to exist first is written into `folder`."""
        del folder
        return {}

    @property
    def networks(self) -> dict[str, Network]:
        """The networks that are averaged, validated and saved as `net_NAME_10.pth`: the student, and its equals."""
        return {STUDENT: self.student}

    @property
    def companions(self) -> dict[str, nn.Module]:
        """Trained modules that a later training needs beside the student; written into the network file."""
        return {}

    @property
    def find_unused_parameters(self) -> bool:
        """Whether a step may leave trained parameters without a gradient; heads may join the loss later."""
        own = {id(parameter) for parameter in self.student.parameters()}
        return any(id(parameter) not in own for parameter in self.parameters())

    def before_step(self, progress: float) -> None:
        """Called by the engine before each step, with the share of the training that is done."""
        self.progress = progress

    def after_step(self, progress: float) -> None:
        """Called by the engine after each step of the optimiser, for averages, banks and the like."""

    def param_groups(self) -> list[dict[str, Any]]:
        """Trained parameters for the optimiser, in groups that may have options such as `lr_factor`.

        `lr_factor` multiplies the learning rate of a group; the optimiser's own options may stand beside it.
        """
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]

    def inputs(self, batch_size: int) -> dict[str, Tensor]:
        """What a step needs besides its images, such as random numbers: tensors on the CPU, always of the same shapes.

        `forward` finds it in `batch.inputs`, on the device.
        """
        del batch_size
        return {}

    def forward(self, batch: Batch) -> Losses:
        """Raw, unweighted, named scalars of one batch; a name may end in `.source` and `@width`."""
        raise NotImplementedError

    def at(self, width: float, losses: Losses) -> Losses:
        """The losses of one width, named after it if there are several."""
        return losses if len(self.widths) == 1 else {f"{name}@{width:g}": value for name, value in losses.items()}

    def weight(self, name: str, progress: float) -> float:
        """Weight of the loss `name` at `progress` in [0, 1] of the training: its own, times its width's."""
        del progress  # the weights of most objectives are constant; a schedule overrides this
        term, _, width = name.partition("@")
        return self.weights[term.split(".")[0]] * self.factors.get(
            width, 1.0 if width else next(iter(self.factors.values()))
        )

    def total(self, losses: Losses, progress: float) -> Tensor:
        """The weighted sum that is minimised."""
        terms = [self.weight(name, progress) * value for name, value in losses.items()]
        return sum(terms[1:], terms[0])


def teacher_use(method: type[Method] | Method) -> TeacherUse:
    """What `uses_teacher` says; a bool, as in plugins of version 0.1, is read with a warning."""
    use: Any = method.uses_teacher
    if isinstance(use, bool):
        name = method.__name__ if isinstance(method, type) else type(method).__name__
        new = "required" if use else "no"
        warnings.warn(
            f"{name}.uses_teacher is {use}, as in version 0.1; write {new!r} (or 'optional'.",
            FutureWarning,
            stacklevel=2,
        )
        return new
    return use


def everyone(x: Tensor) -> Tensor:
    """The rows of all processes, in order of rank, without gradients: [B, …] -> [B · processes, …]."""
    x = x.detach()
    if not (dist.is_available() and dist.is_initialized()):
        return x
    parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def require_shares(**options: float) -> None:
    """Check options that are shares of a whole.

    Raises:
        InputError: one is not from 0 to 1.
    """
    for name, value in options.items():
        if not 0 <= value <= 1:
            raise InputError(f"`{name}` (={value}) must be from 0 to 1.")


def together(terms: Iterable[Tensor]) -> Tensor:
    """The sum of one or more losses."""
    first, *rest = terms
    return sum(rest, first)


# --- as version 0.1 had it, for plugins


def __getattr__(name: str) -> Any:
    moved = {"Kept": frozen.FrozenCopy, "paired_taps": taps.paired_taps, "FeaturePairs": taps.FeaturePairs}
    if name not in moved:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    new = moved[name]
    warnings.warn(f"{__name__}.{name} is {new.__module__}.{new.__name__} now.", FutureWarning, stacklevel=2)
    return new
