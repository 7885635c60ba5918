"""What every method that compares features is: taps in both networks, heads between them, a distance."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from srkd.losses.patches import patch_embeddings
from srkd.losses.pixel import PixelLoss
from srkd.methods.base import Teachers, together
from srkd.methods.distiller import OWN, Distiller, View
from srkd.networks.slim import Network
from srkd.networks.taps import Taps, check_paths, check_sizes, default_taps, feature_range, paired_taps
from srkd.types import Batch, InputError, Losses

PROBE = 16
"""Side of the image on which a network shows how many channels its taps have."""


def kept_features(teacher: str) -> str:
    """The name of a teacher's features in `Batch.targets`, where its picture has the teacher's own."""
    return f"{teacher}/features"


class FeatureMethod(Distiller):
    """pix(S, gt) + feature_weight · Σ_l distance(s_l, t_l), over the taps l of student and teacher.

    A subclass writes `distance`, and `build` where the student's features need something trained before they can be
    compared. Features reach `distance` divided by their network's `img_range`, at each width of the student, from each
    teacher, with the same height and width. `relate` is there for distances that see all taps at once, `project` for
    heads that see the teacher's features too.

    Args:
        feature_weight: weight of the feature term.
        taps: module paths in the student; the default is the ends of the blocks at 0.4, 0.7 and 1.0 of its depth.
        teacher_taps: module paths in the teacher; the default is `taps`, or the same rule where these are not given.
        faithful: features as they are; else divided by their network's `img_range`, which makes those of BasicSR's
            EDSR 255 times as large as those of a network in [0, 1].

    Attributes:
        term: the name of the feature term.
        reduction: a name for what `reduced` does.
        same_sizes: whether features must be as high and as wide as the teacher's.
    """

    term: ClassVar[str] = "l_feat"
    reduction: str = ""
    needs_output: ClassVar[bool] = False
    keeps_features: ClassVar[bool] = True
    same_sizes: ClassVar[bool] = True

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        feature_weight: float = 1.0,
        taps: tuple[str, ...] | None = None,
        teacher_taps: tuple[str, ...] | None = None,
        faithful: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(student, teacher, pixel, **options)
        if feature_weight < 0:
            raise InputError(f"`feature_weight` (={feature_weight}) must not be negative.")
        self.weights[self.term] = feature_weight
        self.divisors = {OWN: 1.0 if faithful else feature_range(student)}
        for name, module in self._networks(student).items():
            self.divisors[name] = 1.0 if faithful else feature_range(module)
            given = taps if name == OWN else teacher_taps
            self.paths[name] = paired_taps(student, module, taps, given, default=self.default_taps)
            check_paths(student, [ours for ours, _ in self.paths[name]])
            check_paths(module, [theirs for _, theirs in self.paths[name]])
        self._kept: dict[str, list[int]] = {}
        self.heads = nn.ModuleDict()
        if type(self).build is not FeatureMethod.build:
            for name, module in self._networks(student).items():
                self.heads[name] = nn.ModuleList(self.build(pair) for pair in self._channels(name, module))

    def build(self, channels: tuple[int, int]) -> nn.Module:
        """What the student's features of one tap go through before they are compared; trained with the student.

        Its layers are `SlimConv2d` and `SlimSequential`, which take the features of any width.

        Args:
            channels: of the student's (at full width) and of the teacher's features.
        """
        raise NotImplementedError

    def project(self, head: nn.Module, student: Tensor, teacher: Tensor) -> tuple[Any, Any]:
        """The two features that are compared, once `head` has seen them: it gets the student's."""
        return head(student), teacher

    def distance(self, student: Any, teacher: Any) -> Tensor:
        """How far apart two features [B, C, H, W] are; without heads their channels may differ."""
        raise NotImplementedError

    def relate(self, student: Sequence[Any], teacher: Sequence[Any]) -> Tensor:
        """How far apart the features of all taps are: the sum of the distances."""
        return together(self.distance(s, t) for s, t in zip(student, teacher, strict=True))

    def default_taps(self, network: nn.Module) -> list[str]:
        """The taps of a network for which none are named."""
        return default_taps(network)

    def compare(self, own: View, lesson: View, source: str, batch: Batch) -> Losses:
        """The feature term.

        Raises:
            InputError: features differ in height or width.
        """
        if self.same_sizes:
            check_sizes(self.paths[source], own.features, lesson.features)
        student = [self.scaled(feature, OWN) for feature in own.features]
        teacher = [self.scaled(feature, source) for feature in lesson.features]
        if self.heads:
            heads: Any = self.heads[source]
            both = [self.project(*three) for three in zip(heads, student, teacher, strict=True)]
            student, teacher = [s for s, _ in both], [t for _, t in both]
        return {self.term: self.relate(student, teacher)}

    def reduced(self, feature: Tensor) -> Tensor:
        """What is enough of a teacher's feature, position by position: one that `distance` cannot tell from it.

        The fewer channels it has, the less there is to keep (`teacher_cache: features`).
        """
        return feature

    def told(self, name: str, x: Tensor) -> Tensor:
        """What is kept of a teacher's features, tap behind tap, in the range of a network in [0, 1]: [B, ΣC, h, w]."""
        if not self.viewers:
            self.look_through({})
        view = self.viewers[name].see(x, [theirs for _, theirs in self.paths[name]], picture=x)
        found = [self.reduced(self.scaled(feature, name)) for feature in view.features]
        for (_, path), feature in zip(self.paths[name], found, strict=True):
            if feature.shape[-2:] != x.shape[-2:]:
                raise InputError(
                    f"`teacher_cache: features`: the teacher's tap {path!r} gives {list(feature.shape[-2:])} for an "
                    f"image of {list(x.shape[-2:])}: only features with its positions can be cut with a patch."
                )
        self._kept[name] = [feature.shape[1] for feature in found]
        return torch.cat(found, dim=1)

    def kept_channels(self, name: str) -> list[int]:
        """How many channels are kept of each tap of a teacher."""
        if name not in self._kept:
            network = self.teachers[name].module
            parameter = next(network.parameters())
            self.told(name, parameter.new_zeros(1, getattr(network, "num_in_ch", 3), PROBE, PROBE))
        return self._kept[name]

    def kept_as(self, name: str) -> str:
        """A word for what is kept of a teacher: equal words, equal features."""
        what = [*(theirs for _, theirs in self.paths[name]), self.reduction, f"{self.divisors[name]:g}"]
        return hashlib.sha256("\n".join(what).encode()).hexdigest()[:16]

    def lesson(self, name: str, batch: Batch) -> View:
        """As of `Distiller`, or what was kept."""
        kept = batch.targets.get(kept_features(name))
        if kept is None:
            return super().lesson(name, batch)
        parts = kept.split(self.kept_channels(name), dim=1)
        return View(batch.targets.get(name), [part * self.divisors[name] for part in parts])

    def scaled(self, feature: Tensor, source: str) -> Tensor:
        """A feature in the range of a network in [0, 1]."""
        divisor = self.divisors[source]
        return feature if divisor == 1 else feature / divisor

    def _networks(self, student: Network) -> dict[str, nn.Module]:
        return {name: student if name == OWN else self.teachers[name].module for name in self.sources}

    def _channels(self, source: str, network: nn.Module) -> list[tuple[int, int]]:
        """Channels of the features in student and source, tap by tap."""
        counts: list[list[int]] = []
        for module, paths in zip((self.student, network), zip(*self.paths[source], strict=True), strict=True):
            device = next((parameter.device for parameter in module.parameters()), torch.device("cpu"))
            x = torch.zeros(1, getattr(module, "num_in_ch", 3), PROBE, PROBE, device=device)
            with torch.no_grad():
                counts.append([feature.shape[1] for feature in Taps(module, list(paths)).features(x)])
        return list(zip(*counts, strict=True))


class PlaceMethod(FeatureMethod):
    """A feature method whose samples are places: the means over the cells of a grid × grid of each patch.

    Args:
        grid: cells along each side of a patch.
    """

    same_sizes: ClassVar[bool] = False

    def __init__(self, student: Network, teacher: Teachers, pixel: PixelLoss, *, grid: int = 4, **options: Any) -> None:
        if grid < 1:
            raise InputError(f"`grid` (={grid}) must be at least 1.")
        super().__init__(student, teacher, pixel, **options)
        self.grid = grid

    def places(self, feature: Tensor) -> Tensor:
        """[B, C, h, w] -> [B · grid², C]."""
        return patch_embeddings(feature, grid=self.grid)
