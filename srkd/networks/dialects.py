"""Checkpoints of EDSR and RCAN in the names of EDSR-PyTorch, torchSR and CSD: pure functions on state dicts, both ways.

The code bases compute the same networks under other names, with the mean as 1×1 convolutions in the file:
EDSR-PyTorch (github.com/sanghyun-son/EDSR-PyTorch, and yulunzhang/RCAN, which is made from it) and CSD
(github.com/Booooooooooo/CSD) on images in [0, rgb_range], torchSR (github.com/Coloquinte/torchSR), whose names are
EDSR-PyTorch's, on images in [0, 1] that it multiplies by 255. No file holds `res_scale` or the range. BasicSR's names
are ours; its files hold no mean.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from srkd.networks.dialect_names import CSD, EDSR_PYTORCH, OURS, THEIRS, counts_of, renaming
from srkd.networks.neutral_rcan import neutral_rcan
from srkd.networks.slim import Network
from srkd.types import did_you_mean

DIALECTS = {"edsr-pytorch": "EDSR-PyTorch", "torchsr": "torchSR", "csd": "CSD", "spandrel": "spandrel"}

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
RANGES = (255.0, 1.0)
RES_SCALES = {("EDSR", 64, 16): 1.0, ("EDSR", 256, 32): 0.1, ("RCAN", 64, 20): 1.0}  # the papers' num_feat, num_block
BASICSR = "BasicSR"
_SHIFTS = ("sub_mean.weight", "sub_mean.bias", "add_mean.weight", "add_mean.bias")


@dataclass(frozen=True)
class Converted:
    """What was recognised in a file of another code base.

    Attributes:
        dialect: the code base, in words.
        network: name of the network here.
        params: the state dict in our names, without the mean.
        options: the network's options that shapes (and the code base) decide.
        mean: the colour that the network takes off, in its own range: `img_range` · `rgb_mean`; None where the file
            has no mean.
        folded: whether the file's mean shift was trained, and went into the first and last convolution.
    """

    dialect: str
    network: str
    params: dict[str, Tensor]
    options: dict[str, Any]
    mean: tuple[float, ...] | None
    folded: bool

    def describe(self) -> str:
        """`an EDSR in the names of CSD (num_feat 64, …)`."""
        sizes = ", ".join(f"{name} {value}" for name, value in self.options.items() if not name.endswith("_ch"))
        return f"an {self.network} in the names of {self.dialect} ({sizes})"


def recognise(params: Mapping[str, Tensor]) -> Converted | None:
    """Read a state dict of another code base; None where the names are unknown.

    Raises:
        ValueError: the names are those of a dialect, but its mean shifts are none.
    """
    while params and all(name.startswith(("module.", "model.")) for name in params):
        params = {name.partition(".")[2]: value for name, value in params.items()}
    shift = {name: params[name] for name in _SHIFTS if name in params}
    layers = {name: value for name, value in params.items() if name not in shift}
    if len(shift) not in (0, len(_SHIFTS)):
        return None
    for words, table in (("EDSR-PyTorch or torchSR", EDSR_PYTORCH), ("CSD", CSD), (BASICSR, OURS)):
        for network in table:
            names = renaming(table[network], OURS[network], **counts_of(table[network], layers))
            if set(names) == set(layers) and all(layers[name].ndim == 4 for name in names if name.endswith("weight")):
                ours = {names[name]: layers[name] for name in names}
                mean, folded = _fold(ours, *shift.values()) if shift else (None, False)
                options = _options(network, ours)
                if network == "RCAN" and words != BASICSR:
                    options["res_scale"] = 1.0  # the others take it and do not use it there
                return Converted(words, network, ours, options, mean, folded)
    return None


def known_res_scale(converted: Converted) -> float | None:
    """The paper's `res_scale` for networks of this size; None for any other size."""
    size = converted.network, converted.options["num_feat"], converted.options["num_block"]
    return converted.options.get("res_scale", RES_SCALES.get(size))


def complete(converted: Converted, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """All options of the network, and in words what was decided without being given.

    Args:
        converted: the file.
        given: options from the user; they must agree with what the file says.

    Raises:
        ValueError: `given` contradicts the file, or something is neither given nor known.
    """
    for name, value in given.items():
        if converted.options.get(name, value) != value:
            raise ValueError(f"{name} is {converted.options[name]} in this file, not {value}.")
    if given.get("img_range", 1) <= 0:
        raise ValueError(f"img_range (={given['img_range']}) must be positive.")
    options: dict[str, Any] = {**converted.options, **given}
    decided = ["its trained mean shift folded into the first and last convolution"] if converted.folded else []
    missing: dict[str, str] = {}
    if "res_scale" not in options:
        options |= {"res_scale": known_res_scale(converted)}
        decided.append(f"res_scale {options['res_scale']}, as the paper's network of this size has")
        missing["res_scale"] = "known for 64 channels × 16 blocks, 1, and for 256 × 32, 0.1"
    if converted.dialect == BASICSR and known_res_scale(converted) is not None:
        usual = {"img_range": 255.0, "rgb_mean": DIV2K_MEAN}
        decided += [f"{name} {value}, as in BasicSR's files" for name, value in usual.items() if name not in options]
        options = usual | options
    if "img_range" not in options:
        options |= {"img_range": _known_range(converted, options.get("rgb_mean", DIV2K_MEAN))}
        decided.append(f"img_range {options['img_range']}, as its mean shift is a usual colour in this range")
        missing["img_range"] = "known for a mean shift near 255 or 1 times DIV2K's mean"
    if converted.mean is None and "rgb_mean" not in options:
        missing["rgb_mean"] = "known where there is a mean shift"
    missing = {name: hint for name, hint in missing.items() if options.get(name) is None}
    if missing:
        raise ValueError(
            f"such a file does not say {' or '.join(f'{name} ({hint})' for name, hint in missing.items())}. Give it "
            "when converting the file once: srkd export FILE -o NEW.pth "
            f"{' '.join(f'--network {name}=VALUE' for name in missing)}; or use an option file that names the network: "
            "network_g and path.pretrain_network_g."
        )
    if converted.mean is not None and "rgb_mean" not in options:
        options["rgb_mean"] = _mean_in(converted.mean, options["img_range"])
        decided.append(f"rgb_mean {', '.join(f'{value:.4f}' for value in options['rgb_mean'])}, from its mean shift")
    check_mean(converted, options["img_range"], options["rgb_mean"])
    return options, decided


def check_mean(converted: Converted, img_range: float, rgb_mean: Collection[float]) -> None:
    """Check that a network takes off the colour that the file's takes off.

    Raises:
        ValueError: it does not.
    """
    if converted.mean is None:
        return
    expected = [img_range * value for value in rgb_mean] * (len(converted.mean) if len(rgb_mean) == 1 else 1)
    if not _near(converted.mean, expected, 1e-5) or not all(0 <= value <= 1 for value in rgb_mean):
        own = ", ".join(f"{value:.6g}" for value in converted.mean)
        raise ValueError(
            f"its mean shift takes off ({own}), but img_range {img_range:g} · rgb_mean "
            f"({', '.join(f'{value:.6g}' for value in rgb_mean)}) is another colour; img_range · rgb_mean must be the "
            "file's, with rgb_mean in 0..1."
        )


def to_dialect(network: Network, dialect: str) -> dict[str, Any]:
    """The contents of a file of `network` for another code base, to be written with `torch.save`.

    Raises:
        ValueError: the dialect is unknown, has no such network, or cannot express one of its options.
    """
    if dialect not in DIALECTS:
        raise ValueError(f"unknown dialect {dialect!r}.{did_you_mean(dialect, DIALECTS)} Known: {', '.join(DIALECTS)}.")
    name, theirs, options = type(network).__name__, THEIRS.get(dialect, OURS), network.config
    if name not in theirs:
        raise ValueError(f"{DIALECTS[dialect]} has no names for {name}; it has them for {', '.join(theirs)}.")
    if dialect == "spandrel":
        return neutral_rcan(network)
    _require_expressible(name, options, dialect)
    params = network.state_dict()
    names = renaming(OURS[name], theirs[name], **counts_of(OURS[name], params))
    state = {names[key]: value.detach().to("cpu").clone() for key, value in params.items()}
    colour = torch.tensor(options["rgb_mean"]).expand(3)
    for shift, sign in (("sub_mean", -1), ("add_mean", 1)):
        state[f"{shift}.weight"] = torch.eye(3).view(3, 3, 1, 1)
        state[f"{shift}.bias"] = sign * options["img_range"] * colour
    if dialect != "csd":
        return state
    # CSD's trainer wraps the network for several GPUs and reads these beside it; the values are those it starts with.
    wrapped = {f"module.{key}": value for key, value in state.items()}
    return {"epoch": -1, "model_state_dict": wrapped, "best_psnr": 0.0, "best_psnr_epoch": -1}


def _require_expressible(name: str, options: Mapping[str, Any], dialect: str) -> None:
    scale, img_range = options["upscale"], options["img_range"]
    refusals = {
        "num_in_ch and num_out_ch must be 3": (options["num_in_ch"], options["num_out_ch"]) != (3, 3),
        f"img_range (={img_range:g}) must be 255": dialect == "torchsr" and img_range != 255,
        f"img_range (={img_range:g}) must be a whole number": img_range != int(img_range),
        f"upscale (={scale}) must be 1, 2, 3 or 4": dialect == "csd" and scale not in (1, 2, 3, 4),
        "upsampler must be two_step": options.get("upsampler", "two_step") != "two_step",
    }
    if name == "RCAN":
        feat, factor, res_scale = options["num_feat"], options["squeeze_factor"], options["res_scale"]
        refusals[f"res_scale (={res_scale:g}) must be 1"] = res_scale != 1  # their RCAN takes it and does not use it
        refusals[f"squeeze_factor (={factor}) must not exceed num_feat (={feat})"] = factor > feat
    for rule, refused in refusals.items():
        if refused:
            raise ValueError(f"{DIALECTS[dialect]} cannot express this {name}: {rule}.")


def _options(network: str, params: Mapping[str, Tensor]) -> dict[str, Any]:
    """The options that shapes decide."""
    counts = counts_of(OURS[network], params)
    num_feat, num_in_ch = params["conv_first.weight"].shape[:2]
    steps = [params[f"upsample.{2 * step}.weight"].shape for step in range(counts["steps"])]
    options: dict[str, Any] = {
        "num_in_ch": num_in_ch,
        "num_out_ch": params["conv_last.weight"].shape[0],
        "num_feat": num_feat,
        "num_block": counts["num_block"],
        "upscale": math.prod(math.isqrt(rows // max(columns, 1)) for rows, columns, *_ in steps),
    }
    if network == "RCAN":
        options["num_group"] = counts["num_group"]
        squeeze = params.get("body.0.residual_group.0.rcab.3.attention.1.weight")
        if squeeze is not None:
            options["squeeze_factor"] = num_feat // max(squeeze.shape[0], 1)
    return options


def _fold(
    params: dict[str, Tensor], enter: Tensor, take: Tensor, leave: Tensor, add: Tensor
) -> tuple[tuple[float, ...], bool]:
    """The mean that the convolutions `enter` · x + `take` and `leave` · y + `add` take off and add again.

    Some of these code bases' versions trained them by mistake (EDSR-PyTorch issue 80): enter · x + take is
    enter · (x - mean), also where zeros are padded, so that the first convolution takes `enter` in exactly, and the
    last one takes `leave` and what is left of `add`.
    """
    first, last = params["conv_first.weight"], params["conv_last.weight"]
    channels = first.shape[1]
    identity = torch.eye(channels, dtype=enter.dtype)
    shapes = [tuple(tensor.shape) for tensor in (enter, take, leave, add)]
    expected = [(channels, channels, 1, 1), (channels,)] * 2
    if shapes != expected or last.shape[0] != channels or not all(map(_is_dominant, (enter, leave))):
        raise ValueError("its sub_mean and add_mean are not mean shifts: 1×1 convolutions near the identity.")
    mean, folded = -take.double(), False
    if not torch.equal(enter.flatten(1), identity):
        matrix = enter.double().flatten(1)
        mean = -torch.linalg.solve(matrix, take.double())
        params["conv_first.weight"] = torch.einsum("oikl,ij->ojkl", first.double(), matrix).to(first.dtype)
        folded = True
    if not (torch.equal(leave.flatten(1), identity) and torch.equal(add, -take)):
        matrix, bias = leave.double().flatten(1), params["conv_last.bias"]
        params["conv_last.weight"] = torch.einsum("oi,ijkl->ojkl", matrix, last.double()).to(last.dtype)
        params["conv_last.bias"] = (matrix @ bias.double() + add.double() - mean).to(bias.dtype)
        folded = True
    return tuple(mean.tolist()), folded


def _is_dominant(weight: Tensor) -> bool:
    """Whether each diagonal entry is positive and outweighs the rest of its row; such a matrix has an inverse."""
    matrix = weight.double().flatten(1)
    return bool((2 * matrix.diagonal() > matrix.abs().sum(1)).all())


def _known_range(converted: Converted, rgb_mean: Collection[float]) -> float | None:
    """The range in which the file's mean is about `rgb_mean`."""
    tolerance, mean = 0.25 if converted.folded else 0.1, converted.mean or ()  # training moves it
    for img_range in RANGES:
        if any(mean) and _near(mean, [img_range * value for value in rgb_mean], tolerance):
            return img_range
    return None


def _mean_in(mean: tuple[float, ...], img_range: float) -> tuple[float, ...]:
    """`mean` in [0, 1]; DIV2K's as it is written, without the rounding of its product with the range."""
    div2k = _near(mean, [img_range * value for value in DIV2K_MEAN], 1e-6)
    return DIV2K_MEAN if div2k else tuple(value / img_range for value in mean)


def _near(values: Collection[float], expected: Collection[float], tolerance: float) -> bool:
    return len(values) == len(expected) and all(
        abs(value - other) <= tolerance * max(abs(other), 1e-12) for value, other in zip(values, expected, strict=True)
    )
