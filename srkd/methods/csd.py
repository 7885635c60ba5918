"""CSD: contrastive self-distillation of a channel-split network.

Paper: Wang, Lin, Qu, Wu, Zhang, Xie, Yao, "Towards Compact Single Image Super-Resolution via Contrastive
Self-distillation", IJCAI 2021, https://arxiv.org/abs/2105.11683. Written from the paper's formulas.

The full width is the teacher, and is trained too: one network, one summed loss, one step; another teacher may be given
beside it. Start it from a trained full-width network (`path.pretrain_network_g`), so that every narrower width starts
as a slice of a trained one.
"""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srkd.losses.contrastive import contrastive_loss, draw_negatives, first_negatives
from srkd.losses.perceptual import LAYERS, VGG19
from srkd.losses.pixel import PixelLoss
from srkd.methods.base import Teachers, widest_first
from srkd.methods.distiller import OWN, Distiller
from srkd.networks.frozen import Frozen, FrozenCopy, rounded
from srkd.networks.slim import Network
from srkd.networks.taps import Taps, default_taps
from srkd.networks.weights import load_network
from srkd.registry import METHODS
from srkd.signature import STRICT, Width
from srkd.types import Batch, InputError, Losses

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VGGSpace:
    """Features of VGG-19, as in the paper.

    Args:
        weights: `torchvision`, `random` or a file, see `VGG19`.
        input: `raw255` (the authors' code) or `imagenet`.
        layers: which layers are compared.
        layer_weights: λ of each layer.
        tf32: let an NVIDIA GPU of 2020 or later round VGG's convolutions to TF32 (10 bits), whatever the training's
            precision. It is faster, and the gradient is no longer exact; not measured on a GPU yet. Elsewhere it does
            nothing.
    """

    __pydantic_config__ = STRICT

    type: Literal["vgg19"] = "vgg19"
    weights: str = "torchvision"
    input: Literal["raw255", "imagenet"] = "raw255"
    layers: tuple[str, ...] = LAYERS
    layer_weights: tuple[float, ...] = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)
    tf32: bool = False


@dataclass(frozen=True)
class NetworkSpace:
    """Features of a frozen super-resolution network: needs no download.

    Args:
        path: a network file; None takes a frozen copy of the network as it is when training begins.
        taps: module paths in it; the default is the ends of the blocks at 0.4, 0.7 and 1.0 of its depth.
        layer_weights: λ of each tap; the default is equal weights that sum to 1.
    """

    __pydantic_config__ = STRICT

    type: Literal["network"] = "network"
    path: str | None = None
    taps: tuple[str, ...] | None = None
    layer_weights: tuple[float, ...] | None = None


PerceptualSpace = Annotated[VGGSpace | NetworkSpace, pydantic.Field(discriminator="type")]


@METHODS.register
class CSD(Distiller):
    """Contrastive self-distillation.

    L = full_weight · pix(T, gt) + Σ_widths [ pix(S, gt) + contrast_weight · L_CL(S) ]
    L_CL(S) = Σ_j λ_j · d(φ_j(S), φ_j(T)) / Σ_k d(φ_j(S), φ_j(N_k))
    where T is the full-width output, S the output at a split width, N_k bicubically upsampled inputs of other images.
    With `network_g_teacher` its picture is a second positive, and with `self_teacher: false` the only one.

    Args:
        widths: the split widths, one or several; the full width is always trained as well.
        width_weights: factor of each split width's losses, in the same order.
        self_teacher: the full width's picture is a positive.
        full_weight: weight of the full width's pixel loss (the paper's λ_T).
        contrast_weight: weight of the contrastive term for images in [0, 1]: the paper's 200 for images in 0..255 is
            200/255, since the pixel loss shrinks by 255 and the ratio does not.
        num_negatives: K, at most the batch size minus 1.
        perceptual: the space φ: `{type: vgg19, …}` or `{type: network, …}`.
        detach_positive: no gradient from the contrastive term into the full width.
        faithful: the authors' code: the batch's first K images are everyone's negatives, oneself among them, and the
            ratio is one of batch means.
    """

    def __init__(
        self,
        student: Network,
        teacher: Teachers,
        pixel: PixelLoss,
        *,
        widths: tuple[Width, ...] = (0.25,),
        width_weights: tuple[float, ...] | None = None,
        self_teacher: bool = True,
        full_weight: float = 1.0,
        contrast_weight: float = 200 / 255,
        num_negatives: int = 10,
        perceptual: PerceptualSpace = VGGSpace(),
        detach_positive: bool = True,
        faithful: bool = False,
        **options: Any,
    ) -> None:
        if not widths:
            raise InputError("`widths` is empty: CSD needs at least one width below 1.")
        for width in widths:
            if student.channels(width) == student.num_feat:
                raise InputError(f"`widths` ({width:g}) must be below 1: the full width is always trained.")
        factors = (1.0,) * len(widths) if width_weights is None else width_weights
        super().__init__(
            student,
            teacher,
            pixel,
            widths=(1.0, *widths),
            width_weights=(1.0, *factors),
            self_teacher=self_teacher,
            **options,
        )
        self.split_widths = widest_first(widths)
        if num_negatives < 1:
            raise InputError(f"`num_negatives` (={num_negatives}) must be at least 1.")
        self.num_negatives = num_negatives
        self.detach_positive = detach_positive
        self.faithful = faithful
        self.weights = {"l_pix": pixel.loss_weight, "l_contrast": contrast_weight}
        self.full_weight = full_weight
        self._perceptual, self.layer_weights = _build_space(perceptual, student)
        self._rounds = isinstance(perceptual, VGGSpace) and perceptual.tf32

    @classmethod
    def example(cls, folder: Path) -> dict[str, Any]:
        """Without VGG, for small batches."""
        del folder
        return {"widths": (0.5, 0.25), "num_negatives": 2, "perceptual": NetworkSpace()}

    def weight(self, name: str, progress: float) -> float:
        """As in `Method`; the full width's pixel loss has its own factor."""
        weight = super().weight(name, progress)
        return weight * self.full_weight if name == "l_pix@1" else weight

    def inputs(self, batch_size: int) -> dict[str, Tensor]:
        """`negatives` [B, K]: which images of the batch each one is pushed from.

        Raises:
            InputError: the batch is too small for `num_negatives`.
        """
        try:
            choose = first_negatives if self.faithful else draw_negatives
            return {"negatives": choose(batch_size, self.num_negatives).contiguous()}
        except ValueError as error:
            raise InputError(str(error)) from None

    def forward(self, batch: Batch) -> Losses:
        """`l_pix@1`, and `l_pix@w`, `l_contrast@w` for every split width.

        Raises:
            InputError: the batch is too small for `num_negatives`.
        """
        drawn = batch.inputs or self.inputs(len(batch.lq))
        index_BK = drawn["negatives"].to(batch.lq.device, non_blocking=True)
        if not self.viewers:
            self.look_through({})
        full = self._picture(batch.lq, 1.0)
        pictures = [self.lesson(name, batch).output for name in self.teachers]
        losses = {"l_pix@1": self.pixel(full, batch.gt)}
        with torch.no_grad():
            candidates = batch.lq[: self.num_negatives] if self.faithful else batch.lq
            upsampled = F.interpolate(candidates.float(), size=batch.gt.shape[-2:], mode="bicubic", align_corners=False)
            # What needs no gradient goes through the space in one batch.
            fixed = [*pictures, *([full] if OWN in self.sources and self.detach_positive else [])]
            inputs = [upsampled, *(picture.to(upsampled.dtype) for picture in fixed if picture is not None)]
            features = self._features(torch.cat(inputs))
            negatives, *positives = zip(*(f.split([len(x) for x in inputs]) for f in features), strict=True)
        if OWN in self.sources and not self.detach_positive:
            positives.append(tuple(self._features(full)))
        for width in self.split_widths:
            split = self._picture(batch.lq, width)
            losses[f"l_pix@{width:g}"] = self.pixel(split, batch.gt)
            seen = self._features(split)
            for source, positive in zip(self.sources, positives, strict=True):
                if source not in self.sources_at(width):
                    continue
                losses[f"{self.term_name('l_contrast', source)}@{width:g}"] = contrastive_loss(
                    seen,
                    positive,
                    negatives=negatives,
                    index_BK=index_BK,
                    weights=self.layer_weights,
                    per_image=not self.faithful,
                )
        return losses

    def _picture(self, lq: Tensor, width: float) -> Tensor:
        picture = self.viewers[""].see(lq, (), width).output
        assert picture is not None
        return picture

    def _features(self, x: Tensor) -> list[Tensor]:
        with torch.autocast(x.device.type, enabled=False):  # the ratio of small differences needs fp32
            x = x.float() if x.dtype.itemsize < 4 else x
            return rounded(self._perceptual, x) if self._rounds else self._perceptual(x)


class _TappedNetwork(nn.Module):
    """A network that returns the features at its taps."""

    def __init__(self, network: Network, paths: list[str]) -> None:
        super().__init__()
        self.network = network
        self.taps = Taps(network, paths)

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.taps.features(x)


def _build_space(space: PerceptualSpace, student: Network) -> tuple[Frozen, tuple[float, ...]]:
    if isinstance(space, VGGSpace):
        if student.num_out_ch != 3:
            raise InputError(
                f"`perceptual` is vgg19, which sees RGB, but {type(student).__name__} gives "
                f"{student.num_out_ch} channel(s): use `{{type: network}}`."
            )
        if len(space.layers) != len(space.layer_weights):
            raise InputError(
                f"`perceptual.layer_weights` has {len(space.layer_weights)} values for {len(space.layers)} layers."
            )
        vgg = VGG19(weights=space.weights, input=space.input, layers=space.layers)
        given = dict(zip(space.layers, space.layer_weights, strict=True))
        # λ of layers that the file lacks goes to the rest, in proportion, so that the term keeps its total weight
        factor = sum(space.layer_weights) / sum(given[layer] for layer in vgg.layers)
        if len(vgg.layers) < len(space.layers):
            log.warning("CSD: the weight of the missing layers goes to %s (× %.4g).", ", ".join(vgg.layers), factor)
        return Frozen(vgg), tuple(given[layer] * factor for layer in vgg.layers)
    network = copy.deepcopy(student) if space.path is None else load_network(space.path)
    if network.num_in_ch != student.num_out_ch:
        raise InputError(
            f"`perceptual.path` ({space.path}) takes {network.num_in_ch} channel(s), but the network gives "
            f"{student.num_out_ch}."
        )
    paths = list(space.taps) if space.taps is not None else default_taps(network)
    weights = space.layer_weights or tuple(1 / len(paths) for _ in paths)
    if len(weights) != len(paths):
        raise InputError(f"`perceptual.layer_weights` has {len(weights)} values for {len(paths)} taps.")
    return (FrozenCopy if space.path is None else Frozen)(_TappedNetwork(network, paths)), weights
