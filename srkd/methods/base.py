"""What every training objective is: one module that owns the student, gives raw named losses, and their weights."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from srkd.losses.pixel import PixelLoss
from srkd.networks.slim import Network
from srkd.types import Batch, Losses


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
        self.student = student
        self.teacher = None if teacher is None else Frozen(teacher)
        self.pixel = pixel
        self.widths: tuple[float, ...] = (1.0,)
        self.weights: dict[str, float] = {"l_pix": pixel.loss_weight}

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
