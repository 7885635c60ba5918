"""Network files: a checkpoint that knows its own network, readable by BasicSR and by `torch.load(weights_only=True)`.

`.pth`: `{params, params_ema, network_g: {type, …}, scale, iter, method, widths, training_set, data_licence, seed,
start, data_order, srkd}`: `origin_of` reads three of them; the last is the version of srkd and its commit.
`.safetensors`: the tensors, and the rest as one JSON string `srkd` in the metadata.
Files of EDSR-PyTorch, torchSR and CSD are read too, and converted (`srkd.networks.dialects`).
"""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from srkd.atomic import atomic_path
from srkd.networks.dialects import Converted, check_mean, complete, known_res_scale, recognise
from srkd.networks.pretrained import PRETRAINED, resolve
from srkd.networks.slim import Network
from srkd.provenance import provenance
from srkd.registry import NETWORKS
from srkd.signature import checked_options
from srkd.types import InputError, did_you_mean

PARAM_KEYS = ("params_ema", "params")
OTHERS_KEYS = ("model_state_dict", "state_dict")  # where CSD's and torchSR's training put the network

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Weights:
    """The contents of a network file.

    Attributes:
        path: where it was read, for messages.
        params: state dict.
        key: which set it is, `params_ema` or `params` ("" where the file holds a bare state dict).
        meta: everything else in the file (`network_g`, `scale`, `iter`, `method`, `widths`, `training_set`, …).
        converted: what was recognised where the file is another code base's; `params` have our names then.
    """

    path: Path
    params: Mapping[str, Tensor]
    key: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])
    converted: Converted | None = None


def read_weights(path: str | Path, key: str | None = None) -> Weights:
    """Read a `.pth` or `.safetensors` file without running code from it; names of a known dialect become ours.

    Args:
        path: the file.
        key: `params` or `params_ema`; None takes `params_ema` if present.

    Raises:
        InputError: missing, unreadable, holding something else than tensors, or without `key`.
    """
    weights = _read(resolve(path), key)
    if "network_g" in weights.meta:
        return weights
    try:
        converted = recognise(weights.params)
    except ValueError as error:
        raise InputError(f"checkpoint {path}: {error}") from None
    return replace(weights, params=converted.params, converted=converted) if converted else weights


def _read(path: Path, key: str | None) -> Weights:
    if path.is_dir():
        raise InputError(f"checkpoint {path} is a folder; name the file, as in {path / 'models' / 'net_g_latest.pth'}.")
    if not path.is_file():
        raise InputError(f"checkpoint {path} does not exist.{did_you_mean(str(path), PRETRAINED)}")
    if path.suffix == ".safetensors":
        params, meta = _read_safetensors(path)
        present = meta.pop("key", "")
        if key is not None and present and key != present:
            raise InputError(f"checkpoint {path} has no {key!r}; it has {present}.")
        return Weights(path, params, present, meta)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, KeyError, AttributeError) as error:
        damaged = isinstance(error, RuntimeError)  # a torch file whose archive is broken
        reason = str(error).strip().split("\n")[0][:160] if damaged else "not a weights-only file of torch.save"
        raise InputError(
            f"checkpoint {path} cannot be read ({reason}). It must be a .safetensors file, or a .pth file that holds "
            "only tensors and plain values."
        ) from None
    if not isinstance(content, dict) or not content:
        raise InputError(f"checkpoint {path} holds a {type(content).__name__}, not a state dict.")
    present = [name for name in PARAM_KEYS if isinstance(content.get(name), dict)]
    if present:
        if key is not None and key not in present:
            raise InputError(f"checkpoint {path} has no {key!r}; it has {', '.join(present)}.")
        chosen = key or present[0]
        meta = {name: value for name, value in content.items() if name not in PARAM_KEYS}
        return Weights(path, _plain(path, content[chosen]), chosen, meta)
    if key == "params_ema":
        raise InputError(f"checkpoint {path} has no 'params_ema'; it holds a bare state dict.")
    nested = next((content[name] for name in OTHERS_KEYS if isinstance(content.get(name), dict)), content)
    return Weights(path, _plain(path, nested))


def _plain(path: Path, params: Mapping[str, Any]) -> dict[str, Tensor]:
    wrong = [name for name, value in params.items() if not isinstance(value, Tensor)]
    if wrong:
        raise InputError(f"checkpoint {path} is not a state dict: {wrong[0]!r} is not a tensor.")
    return {name.removeprefix("module."): value for name, value in params.items()}


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            params = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            meta = json.loads((file.metadata() or {}).get("srkd", "{}"))
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise InputError(f"checkpoint {path} cannot be read: {error}") from None
    return params, meta


def load_params(network: torch.nn.Module, weights: Weights, *, strict: bool = True) -> list[str]:
    """Copy `weights` into `network`.

    With `strict=False` tensors of unequal size, or that only one side has, keep the network's values (the ×2 → ×4
    start); their names are returned.

    Raises:
        InputError: names or sizes differ (strict), nothing at all fits, or a file of another code base takes off
            another mean.
    """
    own = network.state_dict()
    sizes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.params.items()}
    names = list(dict.fromkeys([*sizes, *given]))
    differing = [name for name in names if sizes.get(name) != given.get(name)]
    if differing and (strict or len(differing) == len(names)):
        shown = "; ".join(
            f"{name}: file {given.get(name, 'absent')}, network {sizes.get(name, 'absent')}" for name in differing[:3]
        )
        more = f"; and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise InputError(
            f"checkpoint {weights.path} does not fit {type(network).__name__}: "
            f"{len(differing)} of {len(names)} tensors differ ({shown}{more}).{_different_options(network, weights)}"
        )
    if weights.converted and isinstance(network, Network):
        _compare_converted(network, weights, weights.converted)
    network.load_state_dict({**own, **{k: v for k, v in weights.params.items() if k not in differing}})
    return differing


def _compare_converted(network: Network, weights: Weights, converted: Converted) -> None:
    """Refuse what a converted file contradicts without its shapes showing it, and warn of what is improbable."""
    options = network.config
    try:
        check_mean(converted, options["img_range"], options["rgb_mean"])
    except ValueError as error:
        raise InputError(f"checkpoint {weights.path} does not fit {type(network).__name__}: {error}") from None
    log.info("%s: read as %s.", weights.path, converted.describe())
    known = known_res_scale(converted)
    if known not in (None, options["res_scale"]):
        log.warning("%s: res_scale is %g; the paper's is %g.", weights.path, options["res_scale"], known)


def load_companion(module: torch.nn.Module, weights: Weights, name: str) -> None:
    """Copy the companion `name` of a network file (see `save_network`) into `module`.

    Raises:
        InputError: the file has no such companion, or it does not fit.
    """
    companions = weights.meta.get("companions")
    if not isinstance(companions, dict) or not isinstance(companions.get(name), dict):
        method = weights.meta.get("method") or "an unknown method"
        raise InputError(f"checkpoint {weights.path} holds no {name!r} beside its network; it was made by {method}.")
    load_params(module, Weights(weights.path, _plain(weights.path, companions[name]), name))


def _different_options(network: torch.nn.Module, weights: Weights) -> str:
    """Which options the file's own description of its network answers otherwise."""
    described = weights.meta.get("network_g")
    if not isinstance(described, dict) or not isinstance(network, Network):
        return ""
    own = {"type": type(network).__name__, **_builtin(network.config)}
    other = [f"{name}: {value}" for name, value in described.items() if name in own and own[name] != value]
    return f" The file's network has {', '.join(other)}." if other else ""


def network_of(weights: Weights, given: Mapping[str, Any] | None = None) -> Network:
    """Build the network that a file describes, and load its parameters.

    Args:
        weights: the file.
        given: options of the network that a file of another code base does not hold, such as `res_scale`. What is
            neither in the file nor given is known for the papers' networks only; the log says what was decided.

    Raises:
        InputError: the file says nothing of its network, names an unknown one, or does not fit it; or options are
            missing, contradict the file, or are given for a file that holds them.
    """
    if weights.converted:
        return _converted_network(weights, weights.converted, given or {})
    if given:
        raise InputError(
            f"checkpoint {weights.path} is not of another code base that is known here: {', '.join(given)} cannot be "
            "given for it."
        )
    described = weights.meta.get("network_g")
    if not isinstance(described, dict) or "type" not in described:
        raise InputError(
            f"checkpoint {weights.path} does not say which network it holds (no 'network_g'); "
            "name it in an option file (network_g and path.pretrain_network_g). Files of other projects can be "
            "measured and upscaled with, not exported."
        )
    options = dict(described)
    network = build_network(str(options.pop("type")), options, where=f"checkpoint {weights.path}: network_g")
    load_params(network, weights)
    widths = weights.meta.get("widths")
    network.trained_widths = tuple(float(width) for width in widths) if widths else None
    return network


def _converted_network(weights: Weights, converted: Converted, given: Mapping[str, Any]) -> Network:
    where = f"checkpoint {weights.path}"
    try:
        options, decided = complete(converted, checked_options(NETWORKS.get(converted.network), given))
    except ValueError as error:
        raise InputError(f"{where} is {converted.describe()}: {error}") from None
    network = build_network(converted.network, options, where=where)
    load_params(network, weights)
    if decided:
        log.warning("%s: read as %s. Decided: %s.", weights.path, converted.describe(), "; ".join(decided))
    return network


def origin_of(weights: Weights) -> dict[str, Any]:
    """What a file records of where its training began: `seed`, `start`, `data_order`; empty for files before 0.2."""
    kinds = {"seed": int, "start": str, "data_order": str}
    return {name: weights.meta[name] for name, kind in kinds.items() if isinstance(weights.meta.get(name), kind)}


def build_network(kind: str, options: Mapping[str, Any], *, where: str = "network_g") -> Network:
    """Build the registered network `kind` from its options; every error is an `InputError` that begins with `where`."""
    try:
        component = NETWORKS.get(kind)
        return component(**checked_options(component, options))
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


def load_network(path: str | Path, *, key: str | None = None, network: Mapping[str, Any] | None = None) -> Network:
    """Load a network from a file with no option file: ready for inference, on the CPU.

    Args:
        path: `.pth` or `.safetensors`.
        key: `params` or `params_ema`; None takes `params_ema` if present.
        network: options that a file of another code base does not hold (see `network_of`).
    """
    return network_of(read_weights(path, key), network).eval()


def save_network(
    path: str | Path,
    network: Network,
    *,
    params_ema: Mapping[str, Tensor] | None = None,
    iter: int | None = None,
    method: str | None = None,
    widths: tuple[float, ...] | None = None,
    training_set: str | None = None,
    data_licence: str | None = None,
    companions: Mapping[str, torch.nn.Module] | None = None,
    origin: Mapping[str, Any] | None = None,
) -> None:
    """Write `network` to `path` (`.pth` or `.safetensors`) atomically, with all that is needed to load it again.

    Args:
        path: the file; a `.safetensors` file holds `params_ema` where given, else the network's parameters.
        network: the network.
        params_ema: averaged parameters beside the current ones.
        iter: training iterations done.
        method: name of the training objective.
        widths: widths that training supervised.
        training_set: name of the training data.
        data_licence: under which these data may be used.
        companions: modules that a later training needs beside the network, by name (`load_companion`); `.pth` only.
        origin: the training's `seed`, and hashes of its `start` and `data_order` (`origin_of`).

    Raises:
        InputError: no file can name this network so that it is found again.
    """
    kind = type(network).__name__
    try:
        NETWORKS.get(kind)
    except InputError as error:
        raise InputError(f"{path} cannot hold a {kind}, which would not be found again: {error}") from None
    widths = widths or network.trained_widths
    meta: dict[str, Any] = {
        "network_g": {"type": kind, **_builtin(network.config)},
        "scale": network.scale,
        "iter": iter,
        "method": method,
        "widths": list(widths) if widths else None,
        "training_set": training_set,
        "data_licence": data_licence,
        **(origin or {}),
        "srkd": provenance(),
    }
    params = _contiguous(network.state_dict())
    with atomic_path(path) as temporary:
        if temporary.suffix == ".safetensors":
            meta["key"] = "params" if params_ema is None else "params_ema"
            tensors = params if params_ema is None else _contiguous(params_ema)
            save_file(tensors, temporary, metadata={"srkd": json.dumps(meta), "format": "pt"})
        else:
            averaged = {} if params_ema is None else {"params_ema": _contiguous(params_ema)}
            beside = {name: _contiguous(module.state_dict()) for name, module in (companions or {}).items()}
            others = {"companions": beside} if beside else {}
            try:
                torch.save({"params": params, **averaged, **meta, **others}, temporary)
            except RuntimeError as error:  # a full disk, in torch's words
                raise OSError(f"{path} cannot be written: {str(error).splitlines()[0]}") from None


def _contiguous(params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # clone: a tensor that is a view of a larger storage would otherwise be saved with all of it
    return {name: tensor.detach().to("cpu").contiguous().clone() for name, tensor in params.items()}


def _builtin(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in config.items()}
