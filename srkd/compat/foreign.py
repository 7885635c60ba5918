"""Networks that srkd did not write: any module from images to larger images, used as one of ours of a single width."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from srkd.networks.slim import Network
from srkd.types import InputError


class Foreign(Network):
    """A network of someone else's, with its own module paths, parameters and state-dict names.

    It has the one width 1 (`num_feat` is 1, whatever the module computes with), and no known receptive field. The
    output is not clipped, unless the module clips it.

    Networks with windows need images of certain sizes: the input is enlarged at the bottom and at the right by
    reflection, and the output is cut back. The features inside are those of the enlarged image; `unpadded` cuts them.

    Args:
        module: [B, C, h, w] in [0, 1] -> [B, C', s·h, s·w] in [0, 1]; where it returns several, the first counts.
        scale: s.
        num_in_ch: C.
        num_out_ch: C'.
        config: the options that the component of this network's type takes.
        multiple: height and width that the module takes are multiples of this number of pixels …
        minimum: … and at least this.
    """

    num_feat = 1
    receptive_field = None
    _alters_input = False
    _wrapped: nn.Module
    _config: dict[str, Any]

    def __init__(
        self,
        module: nn.Module,
        *,
        scale: int,
        num_in_ch: int,
        num_out_ch: int,
        config: Mapping[str, Any],
        multiple: int = 1,
        minimum: int = 1,
    ) -> None:
        super().__init__()
        self.scale, self.num_in_ch, self.num_out_ch = scale, num_in_ch, num_out_ch
        self.multiple, self.minimum = multiple, minimum
        own_range = getattr(module, "img_range", 1.0)
        self.img_range = float(own_range) if isinstance(own_range, int | float) else 1.0
        # The registries themselves, and the module beside them: paths and names are the module's own, and what `to`,
        # `load_state_dict` or a copy does to one is done to the other.
        shared = ("_modules", "_parameters", "_buffers", "_non_persistent_buffers_set")
        self.__dict__.update({name: getattr(module, name) for name in shared}, _wrapped=module, _config=dict(config))

    @property
    def config(self) -> dict[str, Any]:
        """The options that the component of this network's type takes."""
        return dict(self._config)

    def channels(self, width: float) -> int:
        """1, for the width 1.

        Raises:
            ValueError: another width.
        """
        if width != 1:
            raise ValueError(f"`width` (={width:g}) is not valid for {type(self).__name__}, whose only width is 1.")
        return 1

    def narrower(self, width: float) -> Network:
        """A copy, as there is no smaller one."""
        self.channels(width)
        return copy.deepcopy(self)

    def train(self, mode: bool = True) -> Foreign:
        """As of any module; the wrapped one decides what it means for it."""
        self.training = mode
        self._wrapped.train(mode)
        return self

    def _apply(self, fn: Any, recurse: bool = True) -> Foreign:
        super()._apply(fn, recurse)
        for module in self._wrapped.modules():  # tensors that are no buffers, such as BasicSR's `mean`, come along
            plain = {name: fn(value) for name, value in vars(module).items() if isinstance(value, Tensor)}
            vars(module).update(plain)
        return self

    def forward(self, x: Tensor, width: float = 1.0) -> Tensor:
        """Super-resolve [B, num_in_ch, h, w] in [0, 1] to [B, num_out_ch, s·h, s·w]; at least single precision.

        Raises:
            ValueError: `width` is not 1.
        """
        self.channels(width)
        rows, columns = x.shape[-2:]
        y = self._whole(pad_to(x, *self.needed(rows, columns)))[..., : self.scale * rows, : self.scale * columns]
        return y.float() if y.dtype.itemsize < 4 else y

    def _whole(self, x: Tensor) -> Tensor:
        weights = (parameter for parameter in self.parameters() if parameter.is_floating_point())
        given = x.to(next(weights, x).dtype)
        y = self._wrapped(given.clone() if self._alters_input and given is x else given)
        return y[0] if isinstance(y, tuple | list) else y

    def examine(self) -> None:
        """Try the module on a small image, and learn its number of output channels.

        Raises:
            InputError: it does not take one image, or does not return one of `scale` times the size.
        """
        name, training = type(self).__name__, self.training
        small, result = self._smallest_run()
        if result.ndim != 4 or list(result.shape[-2:]) != [self.scale * size for size in small.shape[-2:]]:
            raise InputError(
                f"{name} makes {list(result.shape)} of an image {list(small.shape)}: that is not a ×{self.scale} "
                "network."
            )
        self.num_out_ch = result.shape[1]
        self.train(training)

    def _smallest_run(self) -> tuple[Tensor, Tensor]:
        """The first of some sizes that the module takes, and what it makes of it; smaller images are enlarged to it."""
        asked, failure, small = self.minimum, "", torch.empty(0)
        self.eval()
        for side in _SIDES:
            small = torch.zeros(1, self.num_in_ch, *self.needed(side, side + side // 2))
            try:
                with torch.no_grad():
                    result = self._whole(small)
            except Exception as error:  # foreign code fails in its own way: a video network, options that do not fit
                reason = str(error).strip().split("\n")[0][:160]
                failure = failure or f"{type(error).__name__}: {reason}"
                continue
            if side > _SIDES[0]:
                self.minimum = max(asked, side)
            # such as spandrel's RCAN, which multiplies what it is given by 255: a student would see that image
            self._alters_input = small._version > 0
            return small, result
        raise InputError(
            f"{type(self).__name__} fails on images up to {list(small.shape)}, so it is no super-resolution network of "
            f"this kind, or its options do not fit ({failure})."
        )

    def unpadded(self, feature: Tensor, x: Tensor) -> Tensor:
        """The positions of `x` [B, C, h, w] in a `feature` of the enlarged image, [B, C, h', w'] -> [B, C, h, w].

        Many modules enlarge the image once more by themselves, by less than a window or by a whole one. A feature of
        any other size, or of what may be the output's, is returned as it is.
        """
        rows, columns = x.shape[-2:]
        slack = max(self.multiple, self.minimum) if max(self.multiple, self.minimum) > 1 else 0
        for have, need in zip(feature.shape[-2:], self.needed(rows, columns), strict=True):
            if not need <= have <= need + slack or have == self.scale * need:
                return feature
        return feature[..., :rows, :columns]

    def needed(self, rows: int, columns: int) -> tuple[int, int]:
        """Height and width of the image that the module is given for one of rows × columns."""
        up = (max(size, self.minimum) + self.multiple - 1 for size in (rows, columns))
        height, width_px = (size - size % self.multiple for size in up)
        return height, width_px


_SIDES = (8, 16, 32, 64)
"""Sizes that are tried: blocks with strided convolutions and poolings (ESA) take no image of 8 pixels."""

_OWN = {"scale", "num_in_ch", "num_out_ch", "num_feat", "multiple", "minimum", "img_range", "config", "widths"}


def pad_to(x: Tensor, height: int, width_px: int) -> Tensor:
    """Enlarge [B, C, h, w] at the bottom and right: mirrored as far as the image goes, then its last pixel repeated."""
    rows, columns = x.shape[-2:]
    down, right = height - rows, width_px - columns
    mirrored = min(down, rows - 1), min(right, columns - 1)
    if any(mirrored):
        x = F.pad(x, (0, mirrored[1], 0, mirrored[0]), mode="reflect")
    if (down, right) != mirrored:
        x = F.pad(x, (0, right - mirrored[1], 0, down - mirrored[0]), mode="replicate")
    return x


def foreign(
    name: str,
    module: nn.Module,
    *,
    scale: int,
    num_in_ch: int,
    config: Mapping[str, Any],
    multiple: int = 1,
    minimum: int = 1,
) -> Foreign:
    """Wrap `module` as a network whose class is called `name`, after trying it on a small image.

    The name is what network files say in `network_g.type`, and what messages call the network. The other arguments
    are those of `Foreign`; the number of output channels is found out.

    Raises:
        InputError: the module is no such network, see `examine`, or has names that mean something else here.
    """
    clash = [path for path, _ in (*module.named_children(), *module.named_parameters()) if path in _OWN]
    if clash:
        raise InputError(f"{name} has a layer or parameter called {clash[0]!r}, which means something else in srkd.")
    kind = type(name, (Foreign,), {"__doc__": f"{name}, wrapped."})
    options: dict[str, Any] = {"scale": scale, "num_in_ch": num_in_ch, "multiple": multiple, "minimum": minimum}
    network: Foreign = kind(module, num_out_ch=num_in_ch, config=config, **options)
    network.examine()
    return network
