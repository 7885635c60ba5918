"""From a network's type and options to the network, also where a file names them; and a file's options compared.

What a file says is believed only as far as the tensors in it go: the network that it describes may not grow larger.
"""

from __future__ import annotations

import inspect
import math
import threading
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from srkd.limits import LARGEST_SCALE
from srkd.networks.fitting import shapes_of
from srkd.networks.slim import Network
from srkd.registry import NETWORKS
from srkd.signature import checked_options, with_defaults
from srkd.types import InputError, located

_ORDINARY = 1024
"""An option that is a number of no more than this needs no tensor to vouch for it."""


def build_network(kind: str, options: Mapping[str, Any], *, where: str = "network_g") -> Network:
    """Build the registered network `kind` from its options; every error is an `InputError` that begins with `where`."""
    with located(where):
        component = NETWORKS.get(kind)
        network = component(**checked_options(component, options))
        _require_whole(kind, network)
    return network


def _require_whole(kind: str, network: Any) -> None:
    """What a network of one's own may have forgotten is said when it is built, not at the first save of a training."""
    if not isinstance(network, Network):
        raise InputError(
            f"{kind} makes a {type(network).__name__}, which is no srkd.networks.slim.Network; "
            "srkd.compat.foreign.foreign makes one of any module (docs/foreign_networks.md)."
        )
    needed = ["scale", "num_feat"]
    if type(network).config is Network.config:
        needed += inspect.signature(type(network)).parameters
    missing = [name for name in needed if not hasattr(network, name)]
    if missing:
        raise InputError(
            f"{kind} does not keep `{missing[0]}`: network files are written from attributes that have the names of "
            f"the constructor's options. Add `self.{missing[0]} = …` to the constructor."
        )


def build_described(described: Mapping[str, Any], plugin: str | None, most: tuple[int, int], path: Path) -> Network:
    """Build the network that a file describes, as long as it is no larger than what is in the file.

    Args:
        described: type and options.
        plugin: the module that the file says the type comes from; named in the answer where the type is unknown.
        most: how many tensors the file has for it, and how many values.
        path: the file, for messages.

    Raises:
        InputError: the type is unknown, its options are not valid, or it is larger.
    """
    where = f"checkpoint {path}: network_g"
    options = dict(described)
    kind = str(options.pop("type"))
    if len(kind) > 100:
        raise InputError(f"{where}: its type has {len(kind):,} letters.")
    if kind.partition(".")[0] == "spandrel":
        raise InputError(f"{where}: `{kind}` names another file, which no file may.")
    _require_known(kind, plugin, path)
    tensors, values = most
    largest = max(_ORDINARY, tensors, values)
    if name := next((name for name, value in options.items() if _exceeds(value, largest)), None):
        raise InputError(
            f"{where}: {name} is {options[name]!r:.60}, far more than the {tensors:,} tensors in the file."
        )
    with _no_more_than(values, f"{where}: {kind} with {_short(options)}"):
        try:
            network = build_network(kind, options, where=where)
        except (MemoryError, OverflowError, RuntimeError) as error:
            if isinstance(error, NotImplementedError | RecursionError):
                raise
            reason = str(error).strip().split("\n")[0][:160]
            raise InputError(f"{where}: {kind} cannot be built with {_short(options)}: {reason}.") from None
    if not 1 <= network.scale <= LARGEST_SCALE:
        raise InputError(f"{where}: its scale is {network.scale}; at most {LARGEST_SCALE} is read from a file.")
    return network


def _require_known(kind: str, plugin: str | None, path: Path) -> None:
    NETWORKS.names()  # plugins of SRKD_PLUGINS that cannot be imported are another matter
    try:
        NETWORKS.get(kind)
    except InputError as error:
        if plugin is None:
            raise InputError(f"checkpoint {path}: network_g: {error}") from None
        raise InputError(
            f"checkpoint {path} holds a {kind!r} from the plugin {plugin!r:.80}, which is not loaded: a file is "
            f"never a reason to run code. If you know and trust that module, add `--plugin {plugin:.80}` (or set "
            f"SRKD_PLUGINS={plugin:.80}; in Python, import it first)."
        ) from None


def _exceeds(value: Any, largest: int) -> bool:
    if isinstance(value, int):
        return value > largest
    if isinstance(value, list | tuple | dict):
        parts: Iterable[Any] = value.values() if isinstance(value, dict) else value
        return len(value) > largest or any(_exceeds(part, largest) for part in parts)
    return False


@contextmanager
def _no_more_than(values: int, what: str) -> Generator[None]:
    """Stop this thread's building of a network once its parameters are clearly more than `values` (shared: twice)."""
    thread, count = threading.get_ident(), 0

    def watch(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count
        del module, name
        if threading.get_ident() != thread or parameter is None:
            return
        count += parameter.numel() + 1  # plus one: very many parameters of no size are too many as well
        if count > 2 * values + 100_000:
            raise InputError(f"{what} is larger than the {values:,} values in the file.")

    handle = register_module_parameter_registration_hook(watch)
    try:
        yield
    finally:
        handle.remove()


def compare_unseen(network: Network, described: Mapping[str, Any], where: str, *, all_fit: bool) -> None:
    """Compare the options that no shape shows, such as `img_range`, with those of the network that a file describes.

    Args:
        network: with the file's weights in it.
        described: type and options in the file; nothing where it has none.
        where: the file, for the message.
        all_fit: whether every tensor of the file went in; else options that change a shape may differ.

    Raises:
        InputError: one differs, and with it the weights compute something else.
    """
    own = builtin(network.config)
    kind = str(described.get("type"))
    stated = {name: value for name, value in described.items() if name in own}
    if kind == type(network).__name__:  # what an older file leaves out had the value that is the default now
        stated = with_defaults(NETWORKS.get(kind), stated)
    for name, value in stated.items():
        if name in own and not _same(own[name], value) and _matters(network, name, value, all_fit):
            raise InputError(
                f"{where} does not fit {type(network).__name__}: {name} is {_text(value)} in the file, and "
                f"{_text(own[name])} is given. No shape shows it, but the weights mean another picture then: give the "
                "file's value."
            )


def different_options(network: nn.Module, described: Mapping[str, Any] | None) -> str:
    """Which options the file's own description of its network answers otherwise; a sentence, or nothing."""
    if not described or not isinstance(network, Network):
        return ""
    own = {"type": type(network).__name__, **builtin(network.config)}
    other = [f"{name}: {value!r:.60}" for name, value in described.items() if name in own and own[name] != value]
    return f" The file's network has {', '.join(other)}." if other else ""


def builtin(config: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a file holds them: lists for tuples."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in config.items()}


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_same(*pair) for pair in zip(one, other, strict=True))
    if isinstance(one, int | float) and isinstance(other, int | float) and not isinstance(one, bool):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
    return one == other


def _matters(network: Network, name: str, value: Any, all_fit: bool) -> bool:
    """Whether the same weights compute something else with `name` as the file has it (`drop_path_rate` does not)."""
    own = network.state_dict()
    try:
        with torch.random.fork_rng(devices=[]), _no_more_than(sum(map(torch.numel, own.values())), name):
            other = build_network(type(network).__name__, {**network.config, name: value})
    except Exception:  # of a value that the network does not take nothing is known
        return all_fit
    if shapes_of(other.state_dict()) != shapes_of(own):
        return all_fit
    other.load_state_dict(own)
    like = next(iter(network.parameters()))
    image = torch.linspace(0, 1, network.num_in_ch * 24 * 24, dtype=like.dtype, device=like.device)
    image, training = image.view(1, network.num_in_ch, 24, 24), network.training
    with torch.no_grad():
        same = torch.allclose(network.eval()(image), other.to(like.device, like.dtype).eval()(image), atol=1e-6)
    network.train(training)
    return not same


def _text(value: Any) -> str:
    return f"{value!r:.60}"


def _short(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value!r:.30}" for name, value in list(options.items())[:6]) or "its defaults"
