"""Where in a file's contents a network's parameters are: in any nesting of dictionaries, behind any common prefix."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from srkd.limits import CHECKPOINT_DEPTH

Shapes = Mapping[str, tuple[int, ...]]

_AVERAGES = {"ema", "shadow", "avg", "average", "averaged", "swa"}
_RESIDUE = {"total_ops", "total_params"}
"""What thop's profiler leaves in a network that it has counted."""

_INSIDE = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""Segments that PyTorch's own wrappers (several GPUs, torch.compile, checkpointing) put also inside a path."""

_MOST_DICTS = 10_000


@dataclass(frozen=True)
class Place:
    """Tensors by name, and where they lie.

    Attributes:
        path: keys of the dictionaries around them, from the file's outermost one.
        params: the tensors.
        prefix: what was taken off their names.
    """

    path: tuple[str, ...]
    params: Mapping[str, Tensor]
    prefix: str = ""

    def describe(self) -> str:
        """`state_dict: net_g.…`, or the empty string where the tensors are the whole file."""
        inside = f"{self.prefix}…" if self.prefix else ""
        return ": ".join(part for part in (".".join(self.path), inside) if part)


def mappings(content: Mapping[Any, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any]]]:
    """`content` and every dictionary inside it, outermost first, each once with the keys that lead to it."""
    seen: set[int] = set()
    waiting: deque[tuple[tuple[str, ...], Mapping[Any, Any]]] = deque([((), content)])
    while waiting and len(seen) < _MOST_DICTS:
        path, here = waiting.popleft()
        if id(here) in seen:
            continue
        seen.add(id(here))
        yield path, here
        if len(path) < CHECKPOINT_DEPTH:
            waiting.extend(((*path, str(key)), value) for key, value in here.items() if isinstance(value, Mapping))


def places(content: Mapping[Any, Any]) -> list[Place]:
    """Every dictionary in `content` that holds tensors by name: averaged ones first, then in the order of the file."""
    found: list[Place] = []
    for path, here in mappings(content):
        tensors = {key: value for key, value in here.items() if isinstance(key, str) and isinstance(value, Tensor)}
        if tensors:
            found.append(Place(path, tensors))
    return sorted(found, key=lambda place: not _is_average(".".join(place.path)))


def without_residue(params: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], int]:
    """`params` without what a profiler left in them, and how much that is."""
    kept = {name: value for name, value in params.items() if name.rpartition(".")[2] not in _RESIDUE}
    return kept, len(params) - len(kept)


def fitting(found: Sequence[Place], shapes: Shapes) -> Place | None:
    """The first place whose tensors, behind a prefix, are exactly those of `shapes`."""
    return next((part for part in _parts(found, shapes) if shapes_of(part.params) == dict(shapes)), None)


def rivals(found: Sequence[Place], shapes: Shapes) -> list[Place]:
    """The places that all fit `shapes` with other values, averaged ones left out: which of them is meant is a guess."""
    different: list[Place] = []
    for part in _parts(found, shapes):
        if _is_average(part.describe()) or shapes_of(part.params) != dict(shapes):
            continue
        if not any(all(value.equal(other.params[name]) for name, value in part.params.items()) for other in different):
            different.append(part)
    return different


def nearest(found: Sequence[Place], shapes: Shapes) -> Place | None:
    """The place most of whose tensors, behind a prefix, are in `shapes`; None where there is no place at all."""

    def likeness(part: Place) -> tuple[int, int]:
        own = shapes_of(part.params)
        return sum(own.get(name) == shape for name, shape in shapes.items()), len(own.keys() & shapes.keys())

    return max(_parts(found, shapes), key=likeness, default=None)


def readings(found: Sequence[Place]) -> Iterator[Place]:
    """Every place as it is, then without the prefix its names share, then each group of names by their first word.

    For finding out which network a file holds, where no shapes are known to look for.
    """
    for place in _cleaned(found):
        whole = list(_peeled(place))
        yield from whole
        heads = dict.fromkeys(name.partition(".")[0] for name in whole[-1].params if "." in name)
        for head in sorted(heads, key=lambda head: not _is_average(head)):
            yield from _peeled(_behind(whole[-1], f"{head}."))


def _peeled(place: Place) -> Iterator[Place]:
    """`place`, and then without the first word of its names as long as they share it."""
    yield place
    while all("." in name for name in place.params):
        heads = {name.partition(".")[0] for name in place.params}
        if len(heads) != 1:
            return
        place = _behind(place, f"{heads.pop()}.")
        yield place


def shapes_of(params: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shapes by name."""
    return {name: tuple(tensor.shape) for name, tensor in params.items()}


def _cleaned(found: Sequence[Place]) -> Iterator[Place]:
    """Every place without residue; and, where that makes a difference, without PyTorch's wrappers inside its names."""
    for place in found:
        params, _ = without_residue(place.params)
        yield Place(place.path, params)
        plain = {".".join(part for part in name.split(".") if part not in _INSIDE): params[name] for name in params}
        if len(plain) == len(params) and plain.keys() != params.keys():
            yield Place(place.path, plain)


def _parts(found: Sequence[Place], shapes: Shapes) -> Iterator[Place]:
    """What lies behind each prefix after which a name of `shapes` follows; averaged ones first."""
    pivots = list(shapes)[:: max(len(shapes) // 3, 1)]  # a few: one of them may be what the file lacks
    for place in _cleaned(found):
        prefixes = dict.fromkeys(
            name.removesuffix(pivot) for pivot in pivots for name in place.params if name.endswith(pivot)
        )
        for prefix in sorted({**prefixes, "": None}, key=lambda prefix: not _is_average(prefix)):
            yield _behind(place, prefix)


def _behind(place: Place, prefix: str) -> Place:
    if not prefix:
        return place
    inside = {name[len(prefix) :]: value for name, value in place.params.items() if name.startswith(prefix)}
    return Place(place.path, inside, place.prefix + prefix)


def _is_average(words: str) -> bool:
    return bool(_AVERAGES & set(re.split(r"[^a-z]+", words.lower())))
