"""LPIPS: how differently a network for recognition sees two images. Lower is closer; 0 for identical images.

Paper: R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang, "The Unreasonable Effectiveness of Deep Features as a
Perceptual Metric", CVPR 2018, https://arxiv.org/abs/1801.03924; version 0.1 of its authors' package `lpips`.

The network and the learned weights of its layers are the package's. The weights of the backbone are not in it: the
package would fetch them by itself at first use, and loads a wrong file without complaint. Here they are read from a
file, every tensor must be there, and nothing is fetched.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from srkd import tf32
from srkd.contents import read_contents, require_numbers, require_plain
from srkd.metrics.psnr import cropped_pair
from srkd.types import InputError

Backbone = Literal["alex", "vgg"]

_LEAST = 32  # pixels that the poolings of AlexNet and VGG-16 leave something of


class LPIPS:
    """LPIPS of 8-bit images.

    Args:
        backbone: `alex` (what tables quote most) or `vgg`.
        weights: torchvision's state dict of AlexNet or VGG-16, a file.
        device: where it computes.

    Raises:
        InputError: the file is not a state dict of that network.
    """

    def __init__(self, backbone: Backbone, weights: str | Path, *, device: torch.device | str = "cpu") -> None:
        self.backbone: Backbone = backbone
        self.network = _untrained(backbone)
        _load(self.network, Path(weights))
        self.network.requires_grad_(False).eval().to(device)
        self.device = torch.device(device)

    @torch.inference_mode()
    def __call__(self, sr: NDArray[np.uint8], gt: NDArray[np.uint8], *, crop_border: int = 0) -> float:
        """The distance of two uint8 RGB images [H, W, 3] of one size.

        Args:
            sr: an image.
            gt: another.
            crop_border: pixels ignored along each edge.

        Raises:
            InputError: shapes or dtypes differ from the above, or less than 32 × 32 pixels are left.
        """
        sr, gt = cropped_pair(sr, gt, crop_border)
        if sr.dtype != np.uint8 or gt.dtype != np.uint8 or sr.ndim != 3 or min(sr.shape[:2]) < _LEAST:
            raise InputError(
                f"LPIPS compares uint8 RGB images of at least {_LEAST} × {_LEAST} pixels inside the border; sr is "
                f"{sr.dtype} {list(sr.shape)}, gt is {gt.dtype} {list(gt.shape)}."
            )
        with tf32.convolutions(tf32=False):
            return float(self.network(self._tensor(sr), self._tensor(gt)))

    def _tensor(self, image: NDArray[np.uint8]) -> Tensor:
        """[H, W, 3] in 0..255 to [1, 3, H, W] in [-1, 1], the range the package takes."""
        x = torch.from_numpy(np.ascontiguousarray(image)).to(self.device)
        return x.permute(2, 0, 1)[None].float() / 127.5 - 1


def _untrained(backbone: Backbone) -> nn.Module:
    """The package's network with its own layer weights and a random backbone; random generators stay as they are."""
    import lpips  # only where it is asked for: it imports torchvision

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore", UserWarning)  # how the package calls torchvision is deprecated there
        return lpips.LPIPS(net=backbone, version="0.1", pnet_rand=True, verbose=False)


def _load(network: Any, weights: Path) -> None:
    """Put torchvision's `features.N.…` into the package's `net.sliceK.N.…`."""
    try:
        state = read_contents(weights)
        tensors = {name: value for name, value in state.items() if isinstance(name, str) and isinstance(value, Tensor)}
        require_plain(weights, tensors.items())
        require_numbers(weights, tensors)
    except OSError as error:
        raise InputError(f"LPIPS: {weights} cannot be read: {error.strerror}.") from None
    except InputError as error:
        raise InputError(f"LPIPS: {error}") from None
    own: dict[str, Tensor] = network.net.state_dict()
    given = {name: tensors.get(f"features.{name.partition('.')[2]}") for name in own}
    wrong = [name for name, value in given.items() if value is None or value.shape != own[name].shape]
    if wrong:
        kind = {"alex": "AlexNet", "vgg": "VGG-16"}[network.pnet_type]
        raise InputError(
            f"LPIPS: {weights} is not torchvision's {kind}: features.{wrong[0].partition('.')[2]} is missing or has "
            "another size."
        )
    network.net.load_state_dict(given)
