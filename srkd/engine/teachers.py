"""Teachers by option files: those of trained networks, by the files beside them, and that of `srkd train --teacher`."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from srkd.compat.loading import network_in
from srkd.engine.networks import build_teachers, teachers_in, where_of
from srkd.evaluation.models import Model, model_of, short_name
from srkd.methods.base import teacher_use
from srkd.networks.weights import read_weights
from srkd.options import import_plugins_of, load_train_options
from srkd.registry import METHODS
from srkd.types import InputError

log = logging.getLogger(__name__)


def teachers_of(models: Sequence[Model]) -> tuple[list[Model], list[str]]:
    """Teachers that are not among `models` themselves, at full width, each once; and a line for each that is not there.

    A teacher is found where `<experiment>/models/x.pth` has an `<experiment>/options.yml` that names it.
    """
    known = {model.origin.get("sha256") for model in models}
    found: dict[str, tuple[Model, list[str]]] = {}
    notices: list[str] = []
    for model in models:
        path = Path(model.origin.get("path", ""))
        options = path.parent.parent / "options.yml"
        if path.parent.name != "models" or not options.is_file():
            continue
        try:
            teachers = _teachers_in(options)
        except InputError as error:
            notices.append(f"no row for the teacher of {model.name}: {error}")
            continue
        for teacher in teachers:
            if teacher.origin["sha256"] not in known:
                found.setdefault(teacher.origin["sha256"], (teacher, []))[1].append(model.name)
    return [
        replace(teacher, name=f"{teacher.name} (teacher of {', '.join(students)})")
        for teacher, students in found.values()
    ], notices


def _teachers_in(options: Path) -> list[Model]:
    """The teachers that an option file names; paths that are not there count from the folder around `experiments/`."""
    opt = load_train_options(options, import_plugins=False)  # beside a network file: nobody named it
    moved = {
        f"path.pretrain_{where_of(name)}": options.parents[2] / path
        for name, (_, path) in teachers_in(opt).items()
        if path and not Path(path).exists() and (options.parents[2] / path).exists()
    }
    if moved:
        opt = load_train_options(options, [f"{key}={path}" for key, path in moved.items()], import_plugins=False)
    found, named = list[Model](), teachers_in(opt)
    for name, network in build_teachers(opt).items():
        component, path = named[name]
        file = Path(path or component.args["path"])
        weights = read_weights(file, opt.path.param_key_g_teacher)
        found.append(replace(model_of(network, weights, name=short_name(file)), only=(1.0,)))
    return found


def teacher_overrides(path: str, file: str, overrides: list[str]) -> list[str]:
    """The overrides that make `path` the teacher of the training in `file`.

    The network is the one that the weight file names, or that is recognised in it. The method becomes `OutputKD` unless
    the file has one that learns from a teacher; `Supervised` keeps its widths.

    Raises:
        InputError: the file cannot be read or recognised, or the method uses no teacher.
    """
    import_plugins_of(file, overrides)  # the teacher may be of one of them
    weights = read_weights(path)
    network = network_in(weights)
    quoted = json.dumps(path)
    if weights.described or weights.converted:
        block = {"type": type(network).__name__, **network.config}
        found = [f"network_g_teacher={json.dumps(block)}", f"path.pretrain_network_g_teacher={quoted}"]
    else:
        found = [f"network_g_teacher={{type: spandrel, path: {quoted}}}", "path.pretrain_network_g_teacher=null"]
    found.append("path.param_key_g_teacher=null")
    keys = {each: each.partition("=")[0].replace(":", ".").strip() for each in overrides}
    chosen = not {"method", "method.type"}.isdisjoint(keys.values())
    its = [each for each in overrides if keys[each].startswith("method.") and not chosen]  # of the method to be
    method = load_train_options(file, [*(each for each in overrides if each not in its), *found]).method
    if method.type == "Supervised":
        widths = {"widths": method.args["widths"], "width_weights": method.args["width_weights"]}
        found.append(f"method={json.dumps({'type': 'OutputKD', **widths})}")
        more = "" if "method.teacher_cache" in keys.values() else "; method.teacher_cache=outputs runs it once an image"
        log.info("--teacher: the method is OutputKD, as the file names none that learns from a teacher%s.", more)
    elif teacher_use(METHODS.get(method.type)) == "no":
        raise InputError(f"--teacher {path}: method {method.type} uses no teacher. Name another one, or none.")
    return [*found, *its]
