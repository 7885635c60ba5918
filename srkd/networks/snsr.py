"""SRKD's teacher TNSR and student SNSR on the Y channel, with channel-split width.

Paper: Gao, Zhao, Li, Tong, "Image Super-Resolution Using Knowledge Distillation", ACCV 2018,
https://doi.org/10.1007/978-3-030-20890-5_34. Where its text and its tables differ, the parameter counts of Table 2
decide: they fix layers, kernels and biases of both networks, but for TNSR at ×3.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from srkd.networks.blocks import SlimSequential, require_at_least, upsampler_factors
from srkd.networks.slim import Network, SlimConv2d, SlimConvTranspose2d
from srkd.registry import NETWORKS


class PlainBlock(nn.Module):
    """TNSR's residual block: x + relu(conv(relu(conv(x)))), the second ReLU before the addition."""

    radius = 2

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        self.layers = SlimSequential(
            SlimConv2d(num_feat, num_feat, 3, padding=1),
            nn.ReLU(),
            SlimConv2d(num_feat, num_feat, 3, padding=1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, c, h, w] -> [B, c, h, w] for any c up to `num_feat`."""
        return x + self.layers(x, x.shape[1])


class SeparableBlock(nn.Module):
    """SNSR's residual block: x + relu(pointwise(relu(depthwise(x))))."""

    radius = 1

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        self.layers = SlimSequential(
            SlimConv2d(num_feat, num_feat, 3, padding=1, groups=num_feat),
            nn.ReLU(),
            SlimConv2d(num_feat, num_feat, 1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, c, h, w] -> [B, c, h, w] for any c up to `num_feat`."""
        return x + self.layers(x, x.shape[1])


class _MappingNetwork(Network):
    """Convolution and ReLU, residual blocks, transposed convolutions: 4×4 of stride 2 for each factor of 2, 3×3 of 3.

    The paper does not say what stands between the two transposed convolutions of ×4; here it is a ReLU.
    """

    num_in_ch = num_out_ch = 1

    def __init__(
        self, num_feat: int, num_block: int, upscale: int, block: Callable[[int], PlainBlock | SeparableBlock]
    ) -> None:
        super().__init__()
        require_at_least(1, {"num_feat": num_feat})
        require_at_least(0, {"num_block": num_block})
        require_at_least(2, {"upscale": upscale})
        *steps, last = upsampler_factors(upscale)
        self.num_feat, self.num_block = num_feat, num_block
        self.upscale = self.scale = upscale

        self.conv_first = SlimSequential(SlimConv2d(1, num_feat, 3, padding=1), nn.ReLU())
        blocks = [block(num_feat) for _ in range(num_block)]
        self.body = nn.Sequential(*blocks)
        layers: list[nn.Module] = []
        for factor in steps:
            layers += [_deconvolution(num_feat, num_feat, factor), nn.ReLU()]
        self.upsample = SlimSequential(*layers)
        self.last_layer = _deconvolution(num_feat, 1, last)

        # 4×4 deconvolutions, one or several, reach to the neighbouring pixel; the 3×3 one of stride 3 does not.
        self.receptive_field = 1 + sum(each.radius for each in blocks) + (last == 2)

    def forward(self, x: Tensor, width: float = 1.0) -> Tensor:
        """Super-resolve Y [B, 1, h, w] to Y [B, 1, s·h, s·w], both in [16, 235]/255; not clipped.

        Raises:
            ValueError: `width` is not valid for `num_feat`.
        """
        channels = self.channels(width)
        x = self.body(self.conv_first(x.to(self.last_layer.weight.dtype), channels))
        x = self.last_layer(self.upsample(x, channels))
        return x.float() if x.dtype.itemsize < 4 else x


def _deconvolution(inputs: int, outputs: int, factor: int) -> SlimConvTranspose2d:
    """A transposed convolution to exactly `factor` times the size."""
    kernel, padding = (4, 1) if factor == 2 else (3, 0)
    return SlimConvTranspose2d(inputs, outputs, kernel, stride=factor, padding=padding)


@NETWORKS.register
class TNSR(_MappingNetwork):
    """SRKD's teacher: ten residual blocks of two 3×3 convolutions ("20 layers").

    It takes and gives Y in [16, 235]/255. With the defaults it has the parameters of Table 2 at ×2 (740,225)
    and ×4 (805,825). At ×3 the paper prints 776.13 K, which a 3×3 deconvolution of stride 3 as in SNSR (739,777
    parameters) does not give; what else it had is not known, and here it is that one.

    Args:
        num_feat: channels of the features at full width.
        num_block: residual blocks.
        upscale: 2, 3, 4 or another power of two.
    """

    def __init__(self, *, num_feat: int = 64, num_block: int = 10, upscale: int = 4) -> None:
        super().__init__(num_feat, num_block, upscale, PlainBlock)


@NETWORKS.register
class SNSR(_MappingNetwork):
    """SRKD's student: three residual blocks of a depthwise 3×3 and a pointwise convolution.

    It takes and gives Y in [16, 235]/255. With the defaults it has the parameters of the paper's Table 2: 16,065 at ×2,
    15,617 at ×3, 81,665 at ×4.

    Args:
        num_feat: channels of the features at full width.
        num_block: residual blocks.
        upscale: 2, 3, 4 or another power of two.
    """

    def __init__(self, *, num_feat: int = 64, num_block: int = 3, upscale: int = 4) -> None:
        super().__init__(num_feat, num_block, upscale, SeparableBlock)
