"""The teachers of networks, found through the option files that their trainings left beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from srkd.types import InputError

if TYPE_CHECKING:
    from srkd.evaluation.models import Model


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
            teacher = _teacher_in(options)
        except InputError as error:
            notices.append(f"no row for the teacher of {model.name}: {error}")
            continue
        if teacher and teacher.origin["sha256"] not in known:
            found.setdefault(teacher.origin["sha256"], (teacher, []))[1].append(model.name)
    return [
        replace(teacher, name=f"{teacher.name} (teacher of {', '.join(students)})")
        for teacher, students in found.values()
    ], notices


def _teacher_in(options: Path) -> Model | None:
    """The teacher that an option file names; paths that are not there count from the folder around `experiments/`."""
    from srkd.engine.build import build_teacher
    from srkd.evaluation.models import model_of, short_name
    from srkd.networks.weights import read_weights
    from srkd.options import load_train_options

    opt = load_train_options(options, import_plugins=False)  # beside a network file: nobody named it
    if opt.network_g_teacher is None:
        return None
    path = Path(opt.path.pretrain_network_g_teacher or opt.network_g_teacher.args.get("path", ""))
    moved = options.parents[2] / path
    if opt.path.pretrain_network_g_teacher and not path.exists() and moved.exists():
        path = moved
        opt = load_train_options(options, [f"path.pretrain_network_g_teacher={path}"], import_plugins=False)
    network = build_teacher(opt)
    assert network is not None
    weights = read_weights(path, opt.path.param_key_g_teacher)
    return replace(model_of(network, weights, name=short_name(path)), only=(1.0,))
