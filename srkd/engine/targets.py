"""Teachers' pictures and features of the training images, made before the first iteration (`method.teacher_cache`)."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from srkd.data.batches import PairSource, TrainBatches, images_to_tensor
from srkd.data.cache import Progress
from srkd.data.storage import RGB8
from srkd.data.teacher_cache import Targets, TeacherCache, flat_of
from srkd.data.teacher_features import Features
from srkd.engine.distributed import World, gather_objects
from srkd.engine.origin import hash_of_weights
from srkd.imaging.color import rgb_to_y_tensor
from srkd.inference.ensemble import SelfEnsemble
from srkd.inference.forward import exact_convolutions, takes_luma
from srkd.methods.base import Method
from srkd.methods.feature import FeatureMethod, kept_features
from srkd.networks.slim import Network

log = logging.getLogger(__name__)


def attach_targets(
    method: Method, batches: TrainBatches, world: World, *, progress: Progress | None = None, make: bool = True
) -> None:
    """Let `batches` bring the teachers' pictures or features, if the method has asked for that; missing ones are made.

    Args:
        method: with its teachers, on their device.
        batches: whose data set has been prepared.
        world: rank 0 makes the pictures, the others wait.
        progress: told (done, in all).
        make: False makes none: where one is missing the teacher sees the patches, and the log says so.

    Raises:
        InputError: they do not fit into memory or the limit, or the folder cannot be written.
    """
    cache: TeacherCache | None = getattr(method, "teacher_cache", None)
    if cache is None or cache.keep == "off" or batches.targets:
        return
    wanted: dict[str, tuple[Targets, Callable[[Targets], object]]] = {}
    for name, frozen in method.teachers.items():
        teacher: Any = frozen.module
        if cache.keep == "outputs" or getattr(method, "needs_output", False):
            pictures = targets_of(teacher, batches.dataset, cache)
            wanted[name] = pictures, partial(render, teacher=teacher, cache=cache, progress=progress)
        if cache.keep == "features" and isinstance(method, FeatureMethod):
            see = partial(_draw, partial(method.told, name), teacher)
            features = features_of(method, name, batches.dataset, cache)
            wanted[kept_features(name)] = features, partial(Targets.render, draw=see, progress=progress)
    for name, (targets, _) in wanted.items():
        if (missing := len(targets.missing())) and not make:
            log.warning(
                f"{missing} of {len(targets.names)} pictures of {name} are not there yet: here the teacher sees every "
                "patch. The training makes them first, or `srkd data render-teacher` the pictures."
            )
            return
    for name, (targets, complete) in wanted.items():
        if world.is_main:
            complete(targets)
        gather_objects(world, None)
        targets.load()
        batches.targets[name] = targets
        log.info("%s: cached, %s (%.2f GB)", name, targets.folder, targets.num_bytes / 1e9)


def cached_teachers(batches: TrainBatches) -> dict[str, str]:
    """What a network file says of cached pictures: which teachers', and how they were run; empty without them."""
    names = ", ".join(targets.folder.name for targets in batches.targets.values())
    return {"teacher_cache": names} if names else {}


def targets_of(teacher: Network, dataset: PairSource, cache: TeacherCache) -> Targets:
    """The teacher's pictures of a data set, of which some may still be missing."""
    return Targets(
        cache.root / teacher_key(teacher, cache),
        len(dataset),
        lambda index: dataset.pair(index)[0],
        scale=dataset.scale,
        channels=teacher.num_out_ch,
        bits=cache.bits,
        flat=flat_of(dataset),
    )


def features_of(method: FeatureMethod, name: str, dataset: PairSource, cache: TeacherCache) -> Features:
    """What `method` compares of a teacher's features of a data set, of which some may still be missing."""
    teacher: Any = method.teachers[name].module
    folder = f"{teacher_key(teacher, TeacherCache(bits=16))}-features-{method.kept_as(name)}"
    channels = sum(method.kept_channels(name))
    return Features(cache.root / folder, dataset, channels=channels, limit=cache.limit, flat=flat_of(dataset))


def teacher_key(teacher: Network, cache: TeacherCache) -> str:
    """A name for a teacher and the way it is run: equal names mean equal pictures."""
    config = json.dumps(teacher.config, sort_keys=True, default=str)
    if "path" in teacher.config:  # of a network from elsewhere: the weights count, not where they lie
        config = ""
    parts = [type(teacher).__name__, config, hash_of_weights(teacher.state_dict())]
    digest = hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return f"{type(teacher).__name__}-{digest}{'-x8' if cache.self_ensemble else ''}-{cache.bits}bit"


def render(targets: Targets, teacher: nn.Module, cache: TeacherCache, progress: Progress | None = None) -> int:
    """Make the missing pictures with the teacher, where it is; returns how many were made."""
    network = SelfEnsemble(teacher).eval() if cache.self_ensemble else teacher
    missing = len(targets.missing())
    if missing:
        log.info("making %d pictures of the teacher%s in %s", missing, " (×8)" * cache.self_ensemble, targets.folder)
    return targets.render(partial(_draw, network, network), progress)


@torch.inference_mode()
def _draw(see: Callable[[Tensor], Tensor], network: nn.Module, lq: RGB8) -> NDArray[np.float32]:
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    x = images_to_tensor(np.array(lq[None])).to(device)
    with exact_convolutions():
        seen = see(rgb_to_y_tensor(x) if takes_luma(network) else x)
    return seen[0].float().permute(1, 2, 0).cpu().numpy()
