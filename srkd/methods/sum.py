"""Sum: several methods at once, as weighted terms of one training, each with a schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import pydantic
from torch import Tensor, nn

from srkd.data.teacher_cache import TeacherCache
from srkd.losses.pixel import PixelLoss
from srkd.methods.base import STUDENT, Method, Teachers, teacher_use
from srkd.methods.distiller import Distiller, Viewer
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.signature import Problem, check_options, raised, with_defaults
from srkd.types import Batch, InputError, Losses, located, shortened


@dataclass(frozen=True)
class Schedule:
    """How the weight of a term changes in the course of a training.

    Attributes:
        type: `constant`; `ramp`: from 0 at `start` to the whole weight at `end`; `decay`: from the whole weight at
            `start` to 0 at `end`; `window`: the whole weight from `start` to `end`, 0 outside.
        start, end: shares of the training, from 0 to 1.
    """

    type: Literal["constant", "ramp", "decay", "window"] = "constant"
    start: float = 0.0
    end: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= 1:
            raise ValueError(f"`start` (={self.start:g}) and `end` (={self.end:g}): 0 ≤ start < end ≤ 1.")

    def is_on(self, progress: float) -> bool:
        """Whether the term is computed: not outside of a window, nor after a decay."""
        return self.type in ("constant", "ramp") or self.factor(progress) > 0

    def factor(self, progress: float) -> float:
        """What the weight is multiplied with."""
        if self.type == "constant":
            return 1.0
        if self.type == "window":
            return float(self.start <= progress < self.end)
        gone = min(max((progress - self.start) / (self.end - self.start), 0.0), 1.0)
        return gone if self.type == "ramp" else 1 - gone


def _own(*, weight: float = 1.0, schedule: Literal["constant", "ramp", "decay"] | Schedule = "constant") -> None:
    """The keys of a term beside those of its method."""


def _term(value: Any) -> dict[str, Any]:
    """Check `{type, weight, schedule, …}`: the method's options are as strict here as anywhere."""
    if not isinstance(value, Mapping):
        raise raised([Problem((), f"must be a mapping with a `type`; the value is {shortened(value)}.")])
    given = dict(cast("Mapping[str, Any]", value))
    kind = given.pop("type", None)
    if kind is None or kind == "Sum":
        allowed = ", ".join(name for name in METHODS.names() if name != "Sum")
        raise raised([Problem(("type",), f"names one of the other methods: {allowed}.", absent=kind is None)])
    try:
        component = METHODS.get(str(kind))
    except InputError as error:
        raise raised([Problem(("type",), str(error))]) from None
    here = {name: given.pop(name) for name in ("weight", "schedule") if name in given}
    own, problems = check_options(_own, here)
    options, others = check_options(component, given, beside=("weight", "schedule"))
    if options.get("teacher_cache", "off") != "off":
        others = [*others, Problem(("teacher_cache",), "belongs to the sum, not to a term: its terms share a teacher.")]
    if problems or others:
        raise raised([*problems, *others])
    return {"type": kind, **with_defaults(_own, own), **with_defaults(component, options)}


Term = Annotated[dict[str, Any], pydantic.PlainValidator(_term)]


@METHODS.register
class Sum(Method):
    """Σ_i weight_i · schedule_i(progress) · L_i, L_i being the whole loss of method i, its pixel loss included.

    Student and teachers are run once for all terms that see them alike. Each term's losses are named after its method,
    `FAKD.l_sa@0.5`; a second term of one kind is `FAKD2`. A term is not computed outside of its window, nor after its
    decay.

    Args:
        terms: the methods: `{type: FAKD, weight: 0.5, schedule: ramp, …}` with their own options. `schedule` is
            `constant`, `ramp`, `decay`, or a block `{type: window, start: 0.2, end: 0.5}`, see `Schedule`.
        widths: the widths of those terms that have none of their own.
        teacher_cache: as in the methods themselves, for all terms.
    """

    uses_teacher = "optional"
    several_teachers = True

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        terms: tuple[Term, ...],
        teacher_cache: Literal["off", "outputs"] | TeacherCache = "off",
        **options: Any,
    ) -> None:
        super().__init__(student, teacher, pixel, **options)
        if not terms:
            raise InputError("`terms` is empty: name at least one method.")
        self.teacher_cache = TeacherCache(teacher_cache) if isinstance(teacher_cache, str) else teacher_cache
        self.terms = nn.ModuleDict()
        self.schedules: dict[str, Schedule] = {}
        self.weights = {}
        viewers: dict[str, Viewer] = {}
        for term in terms:
            given = dict(term)
            kind, weight = given.pop("type"), given.pop("weight", 1.0)
            schedule: Any = given.pop("schedule", "constant")
            if options.get("widths") and tuple(given.get("widths", (1.0,))) == (1.0,):
                given["widths"] = options["widths"]
            label = next(name for name in (kind, *(f"{kind}{n}" for n in range(2, 99))) if name not in self.terms)
            child = self._build(kind, label, given, teacher)
            self.terms[label] = child
            self.weights[label] = weight
            self.schedules[label] = schedule if isinstance(schedule, Schedule) else Schedule(schedule)
            if isinstance(child, Distiller):
                child.look_through(viewers)
        self.viewers = viewers
        ends = {point for schedule in self.schedules.values() for point in (0.0, schedule.start, schedule.end)}
        for progress in sorted(ends - {1.0}):
            if not self._active(progress):
                raise InputError(f"`terms`: at {progress:g} of the training none of them is on.")
        self.active = self._active(0.0)
        self.widths = tuple(sorted({width for child in self.members() for width in child.widths}, reverse=True))
        self.factors = {}
        if self.teachers and not any(teacher_use(child) != "no" for child in self.members()):
            raise InputError("none of the terms uses a teacher: remove network_g_teacher.")
        if self.teacher_cache.keep == "features":
            raise InputError("`teacher_cache: features`: the terms of a sum keep pictures only: `outputs`, or `off`.")
        if self.teacher_cache.keep != "off" and not any(getattr(child, "needs_output", 0) for child in self.members()):
            raise InputError("`teacher_cache: outputs`: none of the terms compares pictures.")

    @classmethod
    def example(cls, folder: Path) -> dict[str, Any]:
        """A picture and a feature."""
        del folder
        schedule = Schedule("decay", 0.5, 1.0)
        return {"terms": ({"type": "OutputKD", "schedule": schedule}, {"type": "FAKD", "weight": 0.5})}

    @property
    def networks(self) -> dict[str, Network]:
        """The student, and what the terms train beside it; a name that is taken already is followed by its term's."""
        found = super().networks
        for label, child in zip(self.terms, self.members(), strict=True):
            own = {name: network for name, network in child.networks.items() if name != STUDENT}
            found |= {f"{name}_{label}" if name in found else name: network for name, network in own.items()}
        return found

    @property
    def companions(self) -> dict[str, nn.Module]:
        """Those of the terms."""
        return {name: module for child in self.members() for name, module in child.companions.items()}

    def members(self) -> list[Method]:
        """The methods that are summed."""
        return [cast("Method", child) for child in self.terms.values()]

    def forward(self, batch: Batch) -> Losses:
        """The losses of all terms that are on."""
        losses: Losses = {}
        for viewer in self.viewers.values():
            viewer.seen = {}
        try:
            for label in self.active:
                own = replace(batch, inputs=_under(label, batch.inputs))
                losses |= {f"{label}.{name}": value for name, value in self.terms[label](own).items()}
        finally:
            for viewer in self.viewers.values():
                viewer.seen = None  # or the graph of this batch would live until the next
        return losses

    def inputs(self, batch_size: int) -> dict[str, Tensor]:
        """Those of the terms that are on, named after them."""
        made = {label: cast("Method", self.terms[label]).inputs(batch_size) for label in self.active}
        return {f"{label}.{name}": value for label, own in made.items() for name, value in own.items()}

    @property
    def cuda_graph(self) -> bool:
        """Whether each step launches the same kernels: no term comes or goes, or changes its weight."""
        return all(schedule.type == "constant" for schedule in self.schedules.values())

    def before_step(self, progress: float) -> None:
        """As in `Method`, and in those of the terms."""
        super().before_step(progress)
        self.active = self._active(progress)
        for child in self.members():
            child.before_step(progress)

    def after_step(self, progress: float) -> None:
        """That of the terms."""
        for child in self.members():
            child.after_step(progress)

    def weight(self, name: str, progress: float) -> float:
        """The term's weight, its schedule's factor, and what its method says of the loss."""
        label, _, inner = name.partition(".")
        child = cast("Method", self.terms[label])
        return self.weights[label] * self.schedules[label].factor(progress) * child.weight(inner, progress)

    @property
    def find_unused_parameters(self) -> bool:
        """Terms come and go, and with them their heads, or the widths that only they train."""
        on = all(schedule.type in ("constant", "ramp") for schedule in self.schedules.values())
        return not on or super().find_unused_parameters

    def _active(self, progress: float) -> tuple[str, ...]:
        return tuple(label for label, schedule in self.schedules.items() if schedule.is_on(progress))

    def _build(self, kind: str, label: str, options: dict[str, Any], teacher: Teachers) -> Method:
        component = METHODS.get(kind)
        with located(f"`terms`, {label}"):
            child = component(self.student, teacher if teacher_use(component) != "no" else None, self.pixel, **options)
        # the student is the sum's: as a module of each term it would be in the state dict once more for each
        del child.student
        child.__dict__["student"] = self.student
        return child


def _under(label: str, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inputs of one term, by their own names."""
    return {name.removeprefix(f"{label}."): value for name, value in inputs.items() if name.startswith(f"{label}.")}
