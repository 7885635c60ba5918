"""A checkpoint as it was read: the weights in it, what it says of them, and the dialect of their names."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from srkd.contents import read_contents, require_plain
from srkd.missing import here, not_there
from srkd.networks.dialects import Converted, recognise
from srkd.networks.fitting import Place, mappings, places, readings, without_residue
from srkd.networks.pretrained import CURRENT, PRETRAINED, resolve
from srkd.types import InputError, did_you_mean, located

PARAM_KEYS = ("params_ema", "params")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Weights:
    """The contents of a network file.

    Attributes:
        path: where it was read, for messages.
        params: state dict.
        key: which set it is, `params_ema` or `params` ("" where the file calls it otherwise).
        meta: everything else in the file (`network_g`, `scale`, `iter`, `method`, `widths`, `training_set`, …).
        converted: what was recognised where the file is another code base's; `params` have our names then.
        places: every set of tensors in the file, `params` as it was read among them.
    """

    path: Path
    params: Mapping[str, Tensor]
    key: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any])
    converted: Converted | None = None
    places: Sequence[Place] = ()

    @property
    def described(self) -> Mapping[str, Any] | None:
        """What the file says of its network, `type` and options; None where it says nothing."""
        return self.meta.get("network_g")


def read_weights(path: str | Path, key: str | None = None) -> Weights:
    """Read a checkpoint without running code from it; names of a known dialect become ours.

    The weights may lie in any nesting of dictionaries, beside an optimiser's state for example; the prefix that their
    names may have is found once there is a network to load them into (`load_params`).

    Args:
        path: the file.
        key: the dictionary that holds them, such as `params`, `params_ema` or `state_dict`; None takes averaged
            weights where there are any.

    Raises:
        InputError: missing, unreadable, holding something else than tensors, or without `key`.
    """
    path = resolve(path)
    if path.is_dir():
        raise InputError(f"checkpoint {path} is a folder; {_inside(path)}.")
    if not path.is_file():
        missing = f"checkpoint {path} is no ordinary file." if path.exists() else _missing(path)
        raise InputError(missing)
    content = read_contents(path)
    found = places(content)
    require_plain(path, (item for place in found for item in place.params.items()))
    meta = _meta(path, content)
    if key is not None:
        present = [*dict.fromkeys(name for place in found for name in place.path)]
        found = [place for place in found if key in place.path]
        if not found:
            holds = f"it has {', '.join(present[:8])}" if present else "it holds a bare state dict"
            raise InputError(f"checkpoint {path} has no {key!r}; {holds}.")
    found = [place for place in found if "companions" not in place.path]
    if not found:
        raise InputError(f"checkpoint {path} holds no weights: there is no tensor with a name in it.")
    first = found[0]
    params, residue = without_residue(first.params)
    if residue:
        log.warning("%s: %d counters of a profiler (total_ops, total_params) are ignored.", path, residue)
    last = first.path[-1] if first.path else ""
    weights = Weights(path, params, last if last in PARAM_KEYS else "", meta, None, tuple(found))
    return weights if weights.described else _converted(weights)


def _inside(folder: Path) -> str:
    """Which file of a folder may be meant."""
    latest = folder / "models" / "net_g_latest.pth"
    names = here(folder, _is_checkpoint)
    if not latest.is_file() and names:
        return f"name one of its files: {', '.join(names[:5])}{', …' if len(names) > 5 else ''}"
    return f"name the file, as in {latest}"


def _missing(path: Path) -> str:
    """That a checkpoint is not there, and how to come by one."""
    if near := did_you_mean(str(path), PRETRAINED):
        return f"checkpoint {path} does not exist.{near}"
    training = path.parent.parent  # experiments/NAME of experiments/NAME/models/FILE
    made_by = [file for file in sorted(Path("options").rglob("*.yml")) if file.stem == training.name]
    if made_by and not training.exists():
        return f"checkpoint {path} does not exist: `srkd train -opt {made_by[0]}` makes it; run that first."
    found = not_there(path, "checkpoint", wanted=_is_checkpoint)
    brought = f"{', '.join(CURRENT[:-1])} and {CURRENT[-1]}"
    known = f" The package brings {brought}; `srkd data get-model` lists published weights."
    return found if "Did you mean" in found else found + known


def _is_checkpoint(path: Path) -> bool:
    return path.suffix.lower() in (".pth", ".pt", ".ckpt", ".safetensors")


def _converted(weights: Weights) -> Weights:
    """`weights` in our names, where they are of a dialect that is known."""
    with located(f"checkpoint {weights.path}"):
        for place in readings(weights.places):
            if converted := recognise(place.params):
                return replace(weights, params=converted.params, converted=converted)
    return weights


def _meta(path: Path, content: Mapping[Any, Any]) -> dict[str, Any]:
    """What stands beside the weights in a file of ours, every value checked; of others' files `iter`."""
    ours = next((here for _, here in mappings(content) if _is_description(here.get("network_g"))), None)
    if ours is None:
        return {"iter": content["iter"]} if _is_kind(content.get("iter"), int) else {}
    for name, kind in (("iter", int), ("method", str), ("training_set", str), ("data_licence", str), ("plugin", str)):
        if ours.get(name) is not None and not _is_kind(ours[name], kind):
            raise InputError(f"checkpoint {path} is damaged: `{name}` is {ours[name]!r:.80}.")
    widths = ours.get("widths")
    if widths is not None and not (isinstance(widths, list | tuple) and all(map(_is_width, widths))):
        raise InputError(f"checkpoint {path} is damaged: `widths` is {widths!r:.80}, not numbers above 0 and up to 1.")
    return {name: value for name, value in ours.items() if name not in PARAM_KEYS}


def _is_description(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str) and all(isinstance(key, str) for key in value)


def _is_kind(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_width(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1
