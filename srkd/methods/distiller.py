"""What every method with a teacher is: views of student and teachers at each width, and terms that compare them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from srkd.data.teacher_cache import TeacherCache
from srkd.losses.pixel import PixelLoss
from srkd.methods.base import ONE_TEACHER, Method, Teachers, require_shares
from srkd.networks.slim import Network
from srkd.networks.taps import Taps
from srkd.signature import Width
from srkd.types import Batch, InputError, Losses

OWN = "own"
"""The source that is the student's own full width, in the names of terms."""


class View(NamedTuple):
    """What is seen of a network on a batch: its picture, if somebody asked for it, and its features, tap by tap."""

    output: Tensor | None
    features: list[Tensor]
    width: float = 1.0

    @property
    def picture(self) -> Tensor:
        """The picture, of a network of which one was asked for."""
        assert self.output is not None
        return self.output


class Viewer:
    """A network with taps, seen by one method or by several at once (`Sum`), which then run it once for all.

    Args:
        network: the student, or a frozen teacher.
        frozen: without gradients.
    """

    def __init__(self, network: nn.Module, *, frozen: bool) -> None:
        self.network, self.frozen = network, frozen
        self.paths: list[str] = []
        self.output = not frozen  # whether somebody needs the picture
        self.seen: dict[tuple[float, bool], View] | None = None  # what has been seen of this batch; None: keep nothing
        self._taps = Taps(network, [])

    def ask(self, paths: Sequence[str], *, output: bool) -> None:
        """Have these taps recorded, and perhaps the picture.

        Raises:
            InputError: a tap does not exist.
        """
        new = [path for path in dict.fromkeys(paths) if path not in self.paths]
        if new:
            self.paths += new
            self._taps = Taps(self.network, self.paths)
        self.output = self.output or output

    def see(self, x: Tensor, paths: Sequence[str], width: float = 1.0, *, picture: Tensor | None = None) -> View:
        """The network's picture of `x` [B, C, h, w] at a width, and its features at `paths`.

        Args:
            x: low-resolution images.
            paths: some of those that were asked for.
            width: of the network.
            picture: what the network gives for `x`, where it is known: then it runs to the last tap only.
        """
        key = (width, picture is not None)
        view = self.seen.get(key) if self.seen is not None else None
        if view is None:
            with torch.no_grad() if self.frozen else nullcontext():
                view = self._run(x, width, picture)
            if self.seen is not None:
                self.seen[key] = view
        return View(view.output, [view.features[self.paths.index(path)] for path in paths], width)

    def _run(self, x: Tensor, width: float, picture: Tensor | None) -> View:
        if self.output and picture is None:
            return View(*self._taps.run(x, width))
        return View(picture, self._taps.features(x, width) if self.paths else [])


class Distiller(Method):
    """A method that compares the student with one teacher or several, at each of its widths.

    A subclass says what it needs to see (`see_student`, `see_teacher`, or nothing more than pictures) and writes
    `compare`. Its terms are `l_pix`, and for each source what `compare` gives, named `.NAME` after the teacher where
    there are several, `.own` where the source is the student's own full width beside a teacher, and `@width` where
    there are several widths.

    Args:
        self_teacher: the student's own full width is a teacher of the narrower widths, alone or beside
            `network_g_teacher`: what it gives is taken without gradients, in the same step.
        teacher_cache: `off`: the teacher sees each patch. `outputs`: its pictures of the whole training images are made
            once, kept, and cut with the patches, so that an iteration costs the student alone. `features`: the same
            of what is compared of its features. A block `{keep: outputs, self_ensemble: true, bits: 16, path: FOLDER}`
            says more, see `TeacherCache`.
        teacher_widths: of several teachers, the widths that each teaches, `{strong: [1], slim: [0.5, 0.25]}`; one that
            is not named teaches all.

    Attributes:
        needs_output: whether the teacher's picture is compared.
        keeps_features: whether what is compared of its features may be kept.
        paths: the taps that are compared, (in the student, in the source), for each source.
        viewers: what the networks are seen through, by the teacher's name; that of the student is called "".
        sources: where the student learns from: the teachers' names, and `own`.
        alpha: share of the teacher's picture, where a method has one.
    """

    uses_teacher: ClassVar[Any] = "optional"
    several_teachers: ClassVar[bool] = True
    needs_output: ClassVar[bool] = True
    keeps_features: ClassVar[bool] = False

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        self_teacher: bool = False,
        teacher_cache: Literal["off", "outputs", "features"] | TeacherCache = "off",
        teacher_widths: dict[str, tuple[Width, ...]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(student, teacher, pixel, **options)
        name = type(self).__name__
        if not self.teachers and not self_teacher:
            raise InputError(
                f"{name} needs a teacher: give network_g_teacher, or `self_teacher: true` with several `widths`."
            )
        if self_teacher and (1.0 not in self.widths or len(self.widths) < 2):
            raise InputError(
                f"`self_teacher`: the full width teaches narrower ones, so `widths` "
                f"({', '.join(f'{width:g}' for width in self.widths)}) needs 1 and at least one below."
            )
        self.teacher_cache = TeacherCache(teacher_cache) if isinstance(teacher_cache, str) else teacher_cache
        if self.teacher_cache.keep != "off" and not self.teachers:
            raise InputError("`teacher_cache`: there is no network_g_teacher whose pictures could be kept.")
        if self.teacher_cache.keep == "outputs" and not self.needs_output:
            raise InputError(f"`teacher_cache: outputs`: {name} compares no pictures, only features.")
        if self.teacher_cache.keep == "features" and not self.keeps_features:
            raise InputError(
                f"`teacher_cache: features`: {name} compares no features that could be kept: it compares pictures, or "
                "sends features through the teacher, which runs then. `outputs` keeps its pictures, `off` nothing."
            )
        self.teacher_widths = teacher_widths or {}
        for teacher_name, widths in self.teacher_widths.items():
            if teacher_name not in self.teachers or not {*widths} <= {*self.widths}:
                given, known = (", ".join(f"{width:g}" for width in every) for every in (widths, self.widths))
                raise InputError(
                    f"`teacher_widths`, {teacher_name}: [{given}]: it names a teacher ({', '.join(self.teachers)}) and "
                    f"some of the `widths` ({known})."
                )
        self.alpha = 0.0
        self.sources = [*self.teachers, *([OWN] if self_teacher else [])]
        self.paths: dict[str, list[tuple[str, str]]] = {source: [] for source in self.sources}
        self.viewers: dict[str, Viewer] = {}

    def compare(self, own: View, lesson: View, source: str, batch: Batch) -> Losses:
        """The terms of what the student gives (`own`, at its width) and what a source gives (`lesson`)."""
        raise NotImplementedError

    def listen(self, lessons: dict[str, View], batch: Batch) -> None:
        """Called once for each batch, with what all teachers give, before anything is compared."""

    def supervise(self, own: View, batch: Batch) -> Losses:
        """The terms that need no teacher."""
        return {"l_pix": self.pixel(own.picture, batch.gt)}

    def sources_at(self, width: float) -> list[str]:
        """Where a width learns from: the full width does not from itself."""
        every = [source for source in self.sources if width in self.teacher_widths.get(source, self.widths)]
        return [source for source in every if source != OWN or width < 1]

    def forward(self, batch: Batch) -> Losses:
        """See the class.

        Raises:
            InputError: what is compared does not fit.
        """
        if not self.viewers:
            self.look_through({})
        lessons = {name: self.lesson(name, batch) for name in self.teachers}
        self.listen(lessons, batch)
        losses: Losses = {}
        for width in self.widths:
            ours = self._own_paths()
            seen = self.viewers[""].see(batch.lq, ours, width)
            terms = self.supervise(seen, batch)
            for source in self.sources_at(width):
                features = [seen.features[ours.index(path)] for path, _ in self.paths[source]]
                own = View(seen.output, features, width)
                for name, value in self.compare(own, lessons[source], source, batch).items():
                    terms[self.term_name(name, source)] = value
            losses |= self.at(width, terms)
            if OWN in self.sources and width == 1:
                theirs = [seen.features[ours.index(path)].detach() for _, path in self.paths[OWN]]
                lessons[OWN] = View(seen.picture.detach(), theirs)
        return losses

    def weight(self, name: str, progress: float) -> float:
        """As in `Method`; several sources share the weight of a term, and take `alpha` from the ground truth's."""
        weight = super().weight(name, progress)
        count = len(self.sources_at(float(name.partition("@")[2] or self.widths[0])))
        if name.startswith("l_pix"):
            return (1 - self.alpha) * weight if count else weight
        return weight / max(count, 1)

    def look_through(self, viewers: dict[str, Viewer]) -> None:
        """See the networks through these viewers, and make those that are missing; methods may share them."""
        for name in ("", *self.teachers):
            if name not in viewers:
                viewers[name] = Viewer(self.teachers[name].module if name else self.student, frozen=bool(name))
            side = [theirs for _, theirs in self.paths[name]] if name else self._own_paths()
            viewers[name].ask(side, output=self.needs_output)
        self.viewers = viewers

    def _own_paths(self) -> list[str]:
        """The student's taps for all sources."""
        return list(dict.fromkeys(path for source in self.sources for path, _ in self.paths[source]))

    def term_name(self, name: str, source: str) -> str:
        """The name of a term of one source."""
        alone = len(self.sources) == 1 or source == ONE_TEACHER
        return name if alone else f"{name}.{source}"

    def lesson(self, name: str, batch: Batch) -> View:
        """What a teacher gives for a batch."""
        theirs = [path for _, path in self.paths[name]]
        return self.viewers[name].see(batch.lq, theirs, picture=batch.targets.get(name))


class PictureMethod(Distiller):
    """(1 - alpha) · pix(S, gt) + alpha · `l_ts`, which a subclass's `compare` makes of two pictures.

    Args:
        alpha: share of the teacher's picture, from 0 (ground truth only) to 1 (teacher only).
    """

    def __init__(
        self, student: Network, teacher: Teachers, pixel: PixelLoss, *, alpha: float = 0.5, **options: Any
    ) -> None:
        super().__init__(student, teacher, pixel, **options)
        require_shares(alpha=alpha)
        self.alpha = alpha
        self.weights["l_ts"] = alpha * pixel.loss_weight
