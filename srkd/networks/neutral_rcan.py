"""EDSR and RCAN as the RCAN that spandrel, and with it ComfyUI and chaiNNer, loads: the same function in another file.

spandrel (github.com/chaiNNer-org/spandrel) has no EDSR. An RCAN of one group computes an EDSR exactly where its
attention gives 1 (a bias of 40 before the sigmoid), and where head and biases are halved: the group adds its input once
more than EDSR does, and half and half make one. The direct upsampler becomes steps of PixelShuffle with convolutions
that only pass on. spandrel's RCAN is EDSR-PyTorch's and works on [0, 255]; another range goes into the first and last
convolution.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from srkd.networks.blocks import upsampler_factors
from srkd.networks.dialect_names import EDSR_PYTORCH, OURS, counts_of, renaming
from srkd.networks.slim import Network

RANGE = 255.0
_ONE = 40.0  # sigmoid(40) is 1 in single precision


def why_not(network: Network) -> str | None:
    """Why spandrel's RCAN cannot be this EDSR or RCAN; None where it can."""
    options = network.config
    scale = options["upscale"]
    if (options["num_in_ch"], options["num_out_ch"]) != (3, 3):
        return "num_in_ch and num_out_ch must be 3"
    if scale == 1:
        return "upscale (=1) must be at least 2"
    if type(network).__name__ == "RCAN":
        return "res_scale must be 1" if options["res_scale"] != 1 else None
    if options["upsampler"] == "direct":
        try:
            first = upsampler_factors(scale)[0]
        except ValueError as error:
            return str(error).rstrip(".")
        planes = 3 * (scale // first) ** 2
        if planes > options["num_feat"]:
            return f"num_feat (={options['num_feat']}) must be at least {planes} with the direct upsampler"
    return None


def neutral_rcan(network: Network) -> dict[str, Tensor]:
    """The state dict of the RCAN that computes what `network` does.

    Raises:
        ValueError: there is none, see `why_not`.
    """
    reason = why_not(network)
    if reason:
        raise ValueError(f"spandrel cannot express this {type(network).__name__}: {reason}.")
    ours = {name: value.detach().to("cpu", torch.float32) for name, value in network.state_dict().items()}
    if type(network).__name__ == "RCAN":
        names = renaming(OURS["RCAN"], EDSR_PYTORCH["RCAN"], **counts_of(OURS["RCAN"], ours))
        state = {names[name]: value.clone() for name, value in ours.items()}
    else:
        state = dict(_edsr(network, ours))
    options = network.config
    state["head.0.weight"] *= options["img_range"] / RANGE
    for kind in ("weight", "bias"):
        state[f"tail.1.{kind}"] *= RANGE / options["img_range"]
    colour = torch.tensor(options["rgb_mean"]).expand(3)
    for shift, sign in (("sub_mean", -1), ("add_mean", 1)):
        state[f"{shift}.weight"] = torch.eye(3).view(3, 3, 1, 1)
        state[f"{shift}.bias"] = sign * RANGE * colour
    return state


def _edsr(network: Network, ours: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    options = network.config
    feat, blocks = options["num_feat"], options["num_block"]
    yield "head.0.weight", ours["conv_first.weight"] / 2
    yield "head.0.bias", ours["conv_first.bias"] / 2
    for block in range(blocks):
        path, there = f"body.{block}", f"body.0.body.{block}.body"
        yield f"{there}.0.weight", ours[f"{path}.conv1.weight"].clone()
        yield f"{there}.0.bias", ours[f"{path}.conv1.bias"] / 2
        yield f"{there}.2.weight", ours[f"{path}.conv2.weight"] * options["res_scale"]
        yield f"{there}.2.bias", ours[f"{path}.conv2.bias"] * (options["res_scale"] / 2)
        yield f"{there}.3.conv_du.0.weight", torch.zeros(1, feat, 1, 1)
        yield f"{there}.3.conv_du.0.bias", torch.zeros(1)
        yield f"{there}.3.conv_du.2.weight", torch.zeros(feat, 1, 1, 1)
        yield f"{there}.3.conv_du.2.bias", torch.full((feat,), _ONE)
    yield f"body.0.body.{blocks}.weight", ours["conv_after_body.weight"] * 2
    yield f"body.0.body.{blocks}.bias", ours["conv_after_body.bias"].clone()
    yield from _passing("body.1", feat, feat, feat)
    if options["upsampler"] == "direct":
        yield from _direct_tail(ours["upsample.0.weight"], ours["upsample.0.bias"], options["upscale"])
        return
    for step in range(len(upsampler_factors(options["upscale"]))):
        for kind in ("weight", "bias"):
            yield f"tail.0.{2 * step}.{kind}", ours[f"upsample.{2 * step}.{kind}"].clone()
    for kind in ("weight", "bias"):
        yield f"tail.1.{kind}", ours[f"conv_last.{kind}"].clone()


def _direct_tail(weight: Tensor, bias: Tensor, scale: int) -> Iterator[tuple[str, Tensor]]:
    """One convolution to 3·s² planes as sub-pixel steps: the first has the weights, in the order its shuffle needs."""
    rows, feat = weight.shape[:2]
    first, *others = upsampler_factors(scale)
    order = F.pixel_shuffle(torch.arange(rows, dtype=torch.float64).view(1, rows, 1, 1), scale)
    for factor in (*reversed(others), first):
        order = F.pixel_unshuffle(order, factor)
    order = order.flatten().long()
    wide, shift = torch.zeros(first**2 * feat, feat, 3, 3), torch.zeros(first**2 * feat)
    wide[:rows], shift[:rows] = weight[order], bias[order]
    yield "tail.0.0.weight", wide
    yield "tail.0.0.bias", shift
    planes = rows // first**2
    for step, factor in enumerate(others, 1):
        yield from _passing(f"tail.0.{2 * step}", factor**2 * feat, feat, planes)
        planes //= factor**2
    yield from _passing("tail.1", 3, feat, 3)


def _passing(path: str, rows: int, columns: int, planes: int) -> Iterator[tuple[str, Tensor]]:
    """A convolution that hands on its first channels, and gives zeros for the rest."""
    weight = torch.zeros(rows, columns, 3, 3)
    weight[range(planes), range(planes), 1, 1] = 1
    yield f"{path}.weight", weight
    yield f"{path}.bias", torch.zeros(rows)
