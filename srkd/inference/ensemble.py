"""Geometric self-ensemble: the mean over the eight flips and rotations of the input, undone in the output.

Paper: Lim, Son, Kim, Nah, Lee, "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017,
section 3.4. Tables mark it with a plus (EDSR+); it costs eight times as much.
"""

from __future__ import annotations

from torch import Tensor, nn


class SelfEnsemble(nn.Module):
    """A network that is run on all eight flips and rotations: same input, same output size."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.num_in_ch = getattr(network, "num_in_ch", 3)

    def forward(self, x: Tensor, width: float = 1.0) -> Tensor:
        """The mean output for [B, C, h, w], in floating point before any rounding."""
        total: Tensor | None = None
        for transposed in (False, True):
            turned = x.transpose(2, 3) if transposed else x
            for flips in ((), (2,), (3,), (2, 3)):
                sr = self.network(turned.flip(flips), width).flip(flips)
                sr = sr.transpose(2, 3) if transposed else sr
                total = sr if total is None else total + sr
        assert total is not None
        return total / 8
