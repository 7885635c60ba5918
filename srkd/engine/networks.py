"""The networks of an option file: the student and its teachers, with the weights they start from."""

from __future__ import annotations

import logging

from srkd.engine.growth import freeze, grow
from srkd.methods.base import ONE_TEACHER
from srkd.networks.slim import Network
from srkd.networks.weights import build_network, load_params, read_weights
from srkd.options import Component, TrainOptions
from srkd.types import InputError, did_you_mean

log = logging.getLogger(__name__)


def build_student(opt: TrainOptions, *, resuming: bool) -> Network:
    """`network_g`, with `path.pretrain_network_g` loaded; a training that is resumed has its own weights."""
    network = build_network(opt.network_g.type, opt.network_g.args)
    path = None if resuming else opt.path.pretrain_network_g
    if path is None or not grow(network, path, opt):
        load_pretrained(
            network, path, where="path.pretrain_network_g", key=opt.path.param_key_g, strict=opt.path.strict_load_g
        )
    freeze(network, opt)
    return network


def load_pretrained(
    network: Network, path: str | None, *, where: str, key: str | None = None, strict: bool = True
) -> None:
    """Load `path` (None: nothing), which option `where` names; with `strict=False` what does not fit is skipped."""
    if path is None:
        return
    try:
        weights = read_weights(path, key)
        skipped = load_params(network, weights, strict=strict)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    log.info("Loaded %s%s into %s.", path, f" ({weights.key})" if weights.key else "", type(network).__name__)
    if skipped:
        log.warning("Skipped %d tensors of unequal size: %s.", len(skipped), ", ".join(skipped))


def where_of(teacher: str) -> str:
    """The option that holds the network of a teacher."""
    return "network_g_teacher" if teacher == ONE_TEACHER else f"network_g_teachers.{teacher}"


def teachers_in(opt: TrainOptions) -> dict[str, tuple[Component, str | None]]:
    """The teachers that a file names, with the files of their weights, by name; one alone is called `ONE_TEACHER`.

    Raises:
        InputError: it has `network_g_teacher` and `network_g_teachers`, or weights of a teacher that is not there.
    """
    paths, single = opt.path.pretrain_network_g_teachers, opt.network_g_teacher
    if single is not None and opt.network_g_teachers:
        raise InputError("network_g_teacher and network_g_teachers are given: move the one among the others.")
    if unknown := [name for name in paths if name not in opt.network_g_teachers]:
        raise InputError(
            f"path.pretrain_network_g_teachers.{unknown[0]}: network_g_teachers has no {unknown[0]!r}."
            f"{did_you_mean(unknown[0], [*opt.network_g_teachers])} It has: {', '.join(opt.network_g_teachers) or '–'}."
        )
    if single is not None:
        return {ONE_TEACHER: (single, opt.path.pretrain_network_g_teacher)}
    return {name: (component, paths.get(name)) for name, component in opt.network_g_teachers.items()}


def build_teachers(opt: TrainOptions) -> dict[str, Network]:
    """The teachers by name, with their weights, which are required: an untrained teacher is a mistake."""
    found: dict[str, Network] = {}
    key = opt.path.param_key_g_teacher
    for name, (component, path) in teachers_in(opt).items():
        where, of = where_of(name), "" if name == ONE_TEACHER else f"s.{name}"
        if component.type == "spandrel":
            if path is not None or key is not None:
                raise InputError(
                    f"{where}: its weights are its `path` ({component.args['path']}): remove "
                    f"path.pretrain_network_g_teacher{of} and path.param_key_g_teacher."
                )
        elif path is None:
            raise InputError(f"{where} is given without its weights: set path.pretrain_network_g_teacher{of}.")
        found[name] = build_network(component.type, component.args, where=where)
        load_pretrained(found[name], path, where=f"path.pretrain_network_g_teacher{of}", key=key)
    return found
