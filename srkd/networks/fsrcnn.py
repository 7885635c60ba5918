"""FSRCNN on the Y channel, with channel-split width.

Paper: Dong, Loy, Tang, "Accelerating the Super-Resolution Convolutional Neural Network", ECCV 2016,
https://arxiv.org/abs/1608.00367, in the form that PISR distils: Lee, Lee, Kim, Ham, "Learning with Privileged
Information for Efficient Image Super-Resolution", ECCV 2020, https://arxiv.org/abs/2007.07524.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from srkd.networks.blocks import SlimSequential, require_at_least
from srkd.networks.slim import Network, SlimConv2d, SlimConvTranspose2d, channels_at
from srkd.registry import NETWORKS


@NETWORKS.register
class FSRCNN(Network):
    """FSRCNN(d, s, m): feature extraction, shrinking, mapping, expanding, and one transposed convolution.

    It takes and gives Y in [16, 235]/255. Each convolution but the last is followed by a PReLU with a single slope. The
    defaults have 12,644 parameters at any scale. Both `num_feat` and `num_shrink` times the width have to be whole: the
    defaults can be split into quarters.

    Args:
        num_feat: channels of the features at full width (the paper's d).
        num_shrink: channels of the mapping at full width (the paper's s).
        num_map: 3×3 convolutions of the mapping (the paper's m).
        upscale: any whole number.
    """

    num_in_ch = num_out_ch = 1

    def __init__(self, *, num_feat: int = 56, num_shrink: int = 12, num_map: int = 4, upscale: int = 4) -> None:
        super().__init__()
        require_at_least(1, {"num_feat": num_feat, "num_shrink": num_shrink, "upscale": upscale})
        require_at_least(0, {"num_map": num_map})
        self.num_feat, self.num_shrink, self.num_map = num_feat, num_shrink, num_map
        self.upscale = self.scale = upscale

        self.feature_extraction = SlimSequential(SlimConv2d(1, num_feat, 5, padding=2), nn.PReLU())
        self.shrinking = SlimSequential(SlimConv2d(num_feat, num_shrink, 1), nn.PReLU())
        layers: list[nn.Module] = []
        for _ in range(num_map):
            layers += [SlimConv2d(num_shrink, num_shrink, 3, padding=1), nn.PReLU()]
        self.mapping = SlimSequential(*layers)
        self.expanding = SlimSequential(SlimConv2d(num_shrink, num_feat, 1), nn.PReLU())
        self.last_layer = SlimConvTranspose2d(
            num_feat, 1, 9, stride=upscale, padding=4, output_padding=upscale - 1
        )  # exactly `upscale` times the size

        # 2 of the 5×5, 1 of each 3×3; an output pixel sees the inputs i with |output - upscale · i| <= 4.
        self.receptive_field = 2 + num_map + max(4 // upscale, 1 + 3 // upscale)

    @property
    def widths(self) -> tuple[float, ...]:
        """Every valid width, widest first."""
        steps = math.gcd(self.num_feat, self.num_shrink)
        return tuple(count / steps for count in range(steps, 0, -1))

    def channels(self, width: float) -> int:
        """How many of the `num_feat` channels `width` keeps; of `num_shrink` it keeps the same share.

        Raises:
            ValueError: one of the two would not be whole; the message names the nearest valid widths.
        """
        steps = math.gcd(self.num_feat, self.num_shrink)
        both = f"`num_feat` (={self.num_feat}) and `num_shrink` (={self.num_shrink}): both times width must be whole"
        return channels_at(steps, width, rule=both, trained=self.trained_widths) * self.num_feat // steps

    def narrowed_config(self, width: float) -> dict[str, Any]:
        """The constructor's options of the physically smaller network that equals this one at `width`."""
        return {**super().narrowed_config(width), "num_shrink": self._shrunk(self.channels(width))}

    def _shrunk(self, channels: int) -> int:
        return self.num_shrink * channels // self.num_feat

    def forward(self, x: Tensor, width: float = 1.0) -> Tensor:
        """Super-resolve Y [B, 1, h, w] to Y [B, 1, s·h, s·w], both in [16, 235]/255; not clipped.

        Raises:
            ValueError: `width` is not valid for `num_feat` and `num_shrink`.
        """
        channels = self.channels(width)
        shrunk = self._shrunk(channels)
        x = self.feature_extraction(x.to(self.last_layer.weight.dtype), channels)
        x = self.mapping(self.shrinking(x, shrunk), shrunk)
        x = self.last_layer(self.expanding(x, channels))
        return x.float() if x.dtype.itemsize < 4 else x
