"""How strongly each term of a method pulls at the student: a look that changes nothing, and a word on weak terms."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from srkd.engine.seeding import random_states, restore_random_states
from srkd.methods.base import Method
from srkd.networks.frozen import Frozen
from srkd.types import Batch

WEAK = 0.01
"""Share of the pixel loss's gradient below which a term hardly acts."""

LONG = 3
"""Looks in a row after which it is said."""


class Pull(NamedTuple):
    """Norms of one weighted term's gradient: on the student, and on what else the method trains."""

    student: float
    others: float
    weight: float


def pulls(
    method: Method,
    batch: Batch,
    progress: float,
    *,
    autocast: Callable[[], AbstractContextManager[Any]],
    scaler: torch.amp.GradScaler,
) -> dict[str, Pull]:
    """The pull of each term, so that one that drowns the rest, or drowns in it, is seen.

    Weights, gradients, buffers and random states are afterwards what they were.
    """
    student = [p for p in method.student.parameters() if p.requires_grad]
    known = {id(p) for p in student}
    others = [p for p in method.parameters() if p.requires_grad and id(p) not in known]
    found: dict[str, Pull] = {}
    with unchanged(method):
        with autocast():
            losses = method.forward(batch)  # not the compiled one, whose gradients are taken once
        for name, value in losses.items():
            weight = method.weight(name, progress)
            norms = (0.0, 0.0)
            if value.requires_grad:  # else nobody learns from it
                weighted = scaler.scale(weight * value)  # fp16 would lose small gradients
                gradients = torch.autograd.grad(
                    weighted, [*student, *others], retain_graph=True, materialize_grads=True
                )
                norms = _norm(gradients[: len(student)]), _norm(gradients[len(student) :])
            scale = scaler.get_scale()
            found[name] = Pull(norms[0] / scale, norms[1] / scale, weight)
    return found


def _norm(gradients: tuple[Tensor, ...]) -> float:
    return float(nn.utils.get_total_norm(gradients)) if gradients else 0.0


@contextmanager
def unchanged(method: nn.Module) -> Generator[None]:
    """Give back every buffer, those of frozen networks too, and the random states as they were."""
    states = random_states()
    modules = [*method.modules()]
    modules += [inner for module in modules if isinstance(module, Frozen) for inner in module.module.modules()]
    before = {module: [(n, b, b.clone()) for n, b in module.named_buffers(recurse=False)] for module in modules}
    try:
        yield
    finally:
        for module, buffers in before.items():
            for name, _ in [*module.named_buffers(recurse=False)]:
                setattr(module, name, None)  # it may be new
            for name, buffer, value in buffers:
                buffer.copy_(value)
                setattr(module, name, buffer)  # it may have been replaced instead of written
        restore_random_states(states)


class WeakTerms:
    """Finds terms that have hardly acted for `LONG` looks in a row; each is told once."""

    def __init__(self) -> None:
        self._looks: dict[str, int] = {}

    def see(self, found: Mapping[str, Pull]) -> list[str]:
        """What to say after this look, a line for each term.

        A term of weight 0 is off, not weak; one that reaches only what is trained beside the student is meant to.
        """
        lines: list[str] = []
        for name, pull in found.items():
            reference = _reference(name, found)
            off = pull.weight == 0 or (pull.student == 0 and pull.others > 0)
            if name == reference or off or not pull.student < WEAK * found[reference].student:
                self._looks[name] = 0
                continue
            self._looks[name] = self._looks.get(name, 0) + 1
            if self._looks[name] == LONG:
                share = 100 * pull.student / found[reference].student
                lines.append(
                    f"{name} hardly acts: at the last {LONG} looks its weighted gradient on the student was below "
                    f"{100 * WEAK:g} % of that of {reference} (now {share:.2g} %). If it is to teach, raise its weight."
                )
        return lines


def _reference(name: str, found: Mapping[str, Pull]) -> str:
    """The pixel loss that a term is compared with: of its width, else the strongest; without one the strongest term."""
    same = name.replace(name.split("@")[0], "l_pix", 1)
    if same in found:
        return same
    pixel = [other for other in found if other.split("@")[0] == "l_pix"]
    return max(pixel or found, key=lambda other: found[other].student)
