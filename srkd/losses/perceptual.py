"""VGG-19 features of images, the space that perceptual and contrastive distances are measured in.

Paper: Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srkd.contents import read_contents, require_numbers, require_plain
from srkd.types import InputError

log = logging.getLogger(__name__)

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
# Convolutions of VGG-19 by block; relu{b}_1 follows the first of block b.
_BLOCKS = ((64, 64), (128, 128), (256, 256, 256, 256), (512, 512, 512, 512), (512,))
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class VGG19(nn.Module):
    """The first convolution's output, after ReLU, of each VGG-19 block.

    Args:
        weights: `torchvision` (ImageNet weights, downloaded once by torchvision), `random` (for benchmarks and tests),
            or a file: torchvision's own state dict, or an activation-normalised one (its layer `0` is a 1×1 convolution
            from RGB in [0, 1] to mean-free BGR, its convolutions pad by reflection) that may end early.
        input: how images in [0, 1] are fed: `raw255` multiplies by 255 and nothing else (CSD's code), `imagenet`
            normalises by ImageNet's mean and deviation. A normalised file brings its own and ignores this.
        layers: which of `LAYERS` to return; those the file has no weights for are left out, see `layers`.

    Attributes:
        layers: the layers that are returned, in order.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        weights: str = "torchvision",
        input: Literal["raw255", "imagenet"] = "raw255",
        layers: tuple[str, ...] = LAYERS,
    ) -> None:
        super().__init__()
        unknown = [layer for layer in layers if layer not in LAYERS]
        if unknown:
            raise InputError(f"VGG-19 layer {unknown[0]!r} does not exist. Available: {', '.join(LAYERS)}.")
        state = _read(weights)
        self.padding_mode = "reflect" if state and "0.weight" in state and state["0.weight"].shape[-1] == 1 else "zeros"
        own_input = self.padding_mode == "reflect"
        normalise = input == "imagenet" and not own_input
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN if normalise else (0.0,)).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(_IMAGENET_STD if normalise else (1.0,)).view(1, -1, 1, 1))
        self.factor = 255.0 if input == "raw255" and not own_input else 1.0
        self.entry = nn.Conv2d(3, 3, 1) if own_input else nn.Identity()
        convolutions, block_starts = _convolutions(self.padding_mode)
        given = _by_convolution(state, own_input) if state else list(range(len(convolutions)))
        available = [layer for layer, start in zip(LAYERS, block_starts, strict=True) if start < len(given)]
        self.layers = tuple(layer for layer in layers if layer in available)
        if not self.layers:
            raise InputError(f"{weights} has weights for {', '.join(available)} only, not for {', '.join(layers)}.")
        if len(self.layers) < len(layers):
            missing = [layer for layer in layers if layer not in self.layers]
            log.warning("VGG-19 file %s ends at %s: %s left out.", weights, available[-1], ", ".join(missing))
        depth = max(block_starts[LAYERS.index(layer)] for layer in self.layers) + 1
        self.convolutions = nn.ModuleList(convolutions[:depth])
        self.block_starts = block_starts
        self.taken = [block_starts[LAYERS.index(layer)] for layer in self.layers]
        if state:
            if own_input:
                self.entry.load_state_dict({"weight": state["0.weight"], "bias": state["0.bias"]})
            for convolution, name in zip(self.convolutions, given, strict=False):
                tensors = {kind: state.get(f"{name}.{kind}") for kind in ("weight", "bias")}
                if any(t is None or t.shape != getattr(convolution, kind).shape for kind, t in tensors.items()):
                    raise InputError(f"{weights} is not VGG-19: its convolution {name} has another size.")
                convolution.load_state_dict(tensors)
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Images [B, 3, H, W], RGB in [0, 1] -> features [B, C, H/2^b, W/2^b] of `layers`, in fp32 throughout.

        Half precision is refused on purpose: bf16 features turn the contrastive gradient (cosine 0.86 measured).
        """
        taken: list[Tensor] = []
        with torch.autocast(x.device.type, enabled=False):
            x = x.float() if x.dtype.itemsize < 4 else x
            x = self.entry((x - self.mean) / self.std * self.factor)
            for position, convolution in enumerate(self.convolutions):
                if position in self.block_starts[1:]:
                    x = F.max_pool2d(x, 2)
                x = F.relu(convolution(x))
                if position in self.taken:
                    taken.append(x)
        return taken


def _convolutions(padding_mode: Literal["zeros", "reflect"]) -> tuple[list[nn.Conv2d], list[int]]:
    convolutions: list[nn.Conv2d] = []
    starts: list[int] = []
    channels = 3
    for block in _BLOCKS:
        starts.append(len(convolutions))
        for width in block:
            convolutions.append(nn.Conv2d(channels, width, 3, padding=1, padding_mode=padding_mode))
            channels = width
    return convolutions, starts


def _read(weights: str) -> dict[str, Tensor]:
    if weights == "random":
        return {}
    if weights == "torchvision":
        from torchvision.models import VGG19_Weights

        try:
            state = VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True)
        except (OSError, RuntimeError) as error:
            raise InputError(
                f"VGG-19's ImageNet weights could not be downloaded by torchvision ({error}). Give a local file "
                "(weights: FILE), or measure in a network's own features (perceptual: {type: network})."
            ) from None
        return {name.removeprefix("features."): value for name, value in state.items() if name.startswith("features.")}
    path = Path(weights)
    if not path.is_file():
        raise InputError(f"VGG-19 weights {path} do not exist. Allowed: a file, 'torchvision', 'random'.")
    try:
        state = read_contents(path)
        tensors = {name: value for name, value in state.items() if isinstance(name, str) and isinstance(value, Tensor)}
        require_plain(path, tensors.items())
        require_numbers(path, tensors)
    except InputError as error:
        raise InputError(f"VGG-19's weights: {error}") from None
    convolutions = {k.removeprefix("features."): v for k, v in tensors.items() if not k.startswith("classifier.")}
    named = {f"{number}.{kind}" for number in range(37) for kind in ("weight", "bias")}
    if "0.weight" not in convolutions or not convolutions.keys() <= named:
        raise InputError(f"VGG-19 weights {path} are not a state dict of VGG-19's convolutions (0.weight, 0.bias, …).")
    return convolutions


def _by_convolution(state: dict[str, Tensor], own_input: bool) -> list[int]:
    """Numbers of the layers that are convolutions of VGG, in order: names count every layer, ReLU and pooling too."""
    numbers = sorted({int(name.split(".")[0]) for name in state})
    return numbers[1:] if own_input else numbers
