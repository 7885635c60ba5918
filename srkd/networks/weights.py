"""Network files: a checkpoint that knows its own network, readable by BasicSR and by `torch.load(weights_only=True)`.

`.pth`: `{params, params_ema, network_g: {type, …}, plugin, scale, iter, method, widths, training_set, data_licence,
seed, start, data_order, srkd}`: `origin_of` reads three of them; `plugin` is the module that a network from outside the
package comes from; the last is the version of srkd and its commit.
`.safetensors`: the tensors, and the rest as one JSON string `srkd` in the metadata.
Files of EDSR-PyTorch, torchSR and CSD are read too, and converted (`srkd.networks.dialects`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from srkd.atomic import atomic_path
from srkd.contents import KEPT_HERE, require_numbers, require_plain
from srkd.networks.building import build_described, build_network, builtin, compare_unseen, different_options
from srkd.networks.dialects import Converted, check_mean, complete, known_res_scale
from srkd.networks.fitting import Place, Shapes, fitting, nearest, places, rivals, shapes_of
from srkd.networks.reading import Weights, read_weights
from srkd.networks.slim import Network
from srkd.plugins import plugin_of
from srkd.provenance import provenance
from srkd.registry import NETWORKS
from srkd.signature import checked_options
from srkd.types import InputError, located

log = logging.getLogger(__name__)


def load_params(network: torch.nn.Module, weights: Weights, *, strict: bool = True) -> list[str]:
    """Copy `weights` into `network`.

    With `strict=False` tensors of unequal size, or that only one side has, keep the network's values (the ×2 → ×4
    start); their names are returned.

    Raises:
        InputError: names or sizes differ (strict), nothing at all fits, a value is infinite or no number; or the file
            says that its network has other options than `network`, which its shapes do not show.
    """
    own = network.state_dict()
    sizes = shapes_of(own)
    source = _source(weights, sizes)
    given = shapes_of(source.params)
    names = list(dict.fromkeys([*sizes, *given]))
    differing = [name for name in names if sizes.get(name) != given.get(name)]
    if differing and (strict or len(differing) == len(names)):
        shown = "; ".join(
            f"{name}: file {given.get(name, 'absent')}, network {sizes.get(name, 'absent')}" for name in differing[:3]
        )
        more = f"; and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise InputError(
            f"checkpoint {weights.path} does not fit {type(network).__name__}: "
            f"{len(differing)} of {len(names)} tensors differ ({shown}{more})."
            f"{different_options(network, weights.described)}"
        )
    values = {name: value for name, value in source.params.items() if name not in differing}
    require_numbers(weights.path, values, like=own)
    if weights.converted and isinstance(network, Network):
        _compare_converted(network, weights, weights.converted)
    network.load_state_dict({**own, **values})
    if weights.described and isinstance(network, Network):
        compare_unseen(network, weights.described, f"checkpoint {weights.path}", all_fit=not differing)
    return differing


def _source(weights: Weights, shapes: Shapes) -> Place:
    """The tensors of a file that belong into a network of these shapes; says in the log where they lay."""
    read = Place((), weights.params)
    if not weights.described and len(others := rivals(weights.places, shapes)) > 1:
        log.warning(
            "%s holds %d networks that fit here (%s): the first is taken, or the averaged one. Save the one you mean "
            "in a file of its own.",
            weights.path,
            len(others),
            ", ".join(other.describe() or "the outermost" for other in others),
        )
    if shapes_of(weights.params) == dict(shapes):
        return read
    found = fitting(weights.places, shapes)
    if found is None:
        return read if weights.converted else nearest(weights.places, shapes) or read
    if found.prefix:
        log.info("%s: the weights are those of %s", weights.path, found.describe())
    return found


def _compare_converted(network: Network, weights: Weights, converted: Converted) -> None:
    """Refuse what a converted file contradicts without its shapes showing it, and warn of what is improbable."""
    options = network.config
    with located(f"checkpoint {weights.path} does not fit {type(network).__name__}"):
        check_mean(converted, options["img_range"], options["rgb_mean"])
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
    found = places(companions[name])
    require_plain(weights.path, (item for place in found for item in place.params.items()))
    load_params(module, Weights(weights.path, found[0].params if found else {}, name))


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
    if not weights.described:
        raise InputError(
            f"checkpoint {weights.path} does not say which network it holds (no 'network_g'). If it is one of srkd's "
            "or BasicSR's, name it in an option file (network_g and path.pretrain_network_g); another network's own "
            "code becomes a plugin: docs/foreign_networks.md."
        )
    network = build_described(weights.described, weights.meta.get("plugin"), _most_values(weights), weights.path)
    load_params(network, weights)
    widths = weights.meta.get("widths")
    network.trained_widths = tuple(float(width) for width in widths) if widths else None
    for width in network.trained_widths or ():
        with located(f"checkpoint {weights.path} is damaged: widths"):
            network.channels(width)
    return network


def _most_values(weights: Weights) -> tuple[int, int]:
    """How many tensors the largest set in the file has, and how many values."""
    return (
        max(len(place.params) for place in weights.places),
        max(sum(tensor.numel() for tensor in place.params.values()) for place in weights.places),
    )


def _converted_network(weights: Weights, converted: Converted, given: Mapping[str, Any]) -> Network:
    where = f"checkpoint {weights.path}"
    with located(f"{where} is {converted.describe()}"):
        options, decided = complete(converted, checked_options(NETWORKS.get(converted.network), given))
    network = build_network(converted.network, options, where=where)
    load_params(network, weights)
    if decided:
        log.warning("%s: read as %s. Decided: %s.", weights.path, converted.describe(), "; ".join(decided))
    return network


def origin_of(weights: Weights) -> dict[str, Any]:
    """What a file records of its training: `seed`, `start`, `data_order`, `teacher_cache`; empty before 0.2."""
    kinds = {"seed": int, "start": str, "data_order": str, "teacher_cache": str}
    return {name: weights.meta[name] for name, kind in kinds.items() if isinstance(weights.meta.get(name), kind)}


def history_of(weights: Weights) -> dict[str, Any]:
    """What a file records of how its network was made, as `save_network` takes it."""
    told = ("iter", "method", "training_set", "data_licence")
    return {**{name: weights.meta.get(name) for name in told}, "origin": origin_of(weights)}


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
        "network_g": {"type": kind, **builtin(network.config)},
        **({"plugin": plugin} if (plugin := plugin_of(NETWORKS.get(kind))) else {}),
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
            save_file(tensors, temporary, metadata={KEPT_HERE: json.dumps(meta), "format": "pt"})
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
