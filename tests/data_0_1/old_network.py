"""A network for version 0.1's interface: a plugin beside the option file."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from srkd.networks.slim import Network, SlimConv2d
from srkd.registry import NETWORKS


@NETWORKS.register
class OldTwoConvs(Network):
    """Two convolutions that correct a bilinear enlargement; its width is split over channels.

    Args:
        num_feat: channels between the two.
        upscale: how many times larger the result is.
        gain: factor of the correction.
    """

    def __init__(self, *, num_feat: int = 8, upscale: int = 2, gain: float = 0.5) -> None:
        super().__init__()
        self.num_feat, self.upscale, self.gain = num_feat, upscale, gain
        self.scale = upscale
        self.receptive_field = 3
        self.first = SlimConv2d(3, num_feat, 3, padding=1)
        self.last = SlimConv2d(num_feat, 3 * upscale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(upscale)

    def forward(self, x: Tensor, width: float = 1.0) -> Tensor:
        """[B, 3, h, w] in [0, 1] -> [B, 3, s·h, s·w]."""
        features = F.relu(self.first(x.to(self.first.weight.dtype), self.channels(width)))
        y = F.interpolate(x, scale_factor=float(self.scale), mode="bilinear", align_corners=False)
        return y + self.gain * self.shuffle(self.last(features)).float()
