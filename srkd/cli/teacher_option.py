"""`srkd train --teacher FILE`: what the file holds, as the options that an option file would have."""

from __future__ import annotations

import json
import logging

from srkd.types import InputError

log = logging.getLogger(__name__)


def teacher_overrides(path: str, file: str, overrides: list[str]) -> list[str]:
    """The overrides that make `path` the teacher of the training in `file`.

    The network is the one that the weight file names, or that is recognised in it. The method becomes `OutputKD` unless
    the file has one that learns from a teacher; `Supervised` keeps its widths.

    Raises:
        InputError: the file cannot be read or recognised, or the method uses no teacher.
    """
    from srkd.compat.loading import network_in
    from srkd.methods.base import teacher_use
    from srkd.networks.weights import read_weights
    from srkd.options import load_train_options
    from srkd.registry import METHODS

    weights = read_weights(path)
    network = network_in(weights)
    quoted = json.dumps(path)
    if weights.described or weights.converted:
        block = {"type": type(network).__name__, **network.config}
        found = [f"network_g_teacher={json.dumps(block)}", f"path.pretrain_network_g_teacher={quoted}"]
    else:
        found = [f"network_g_teacher={{type: spandrel, path: {quoted}}}", "path.pretrain_network_g_teacher=null"]
    found.append("path.param_key_g_teacher=null")
    opt = load_train_options(file, [*overrides, *found])
    method = opt.method
    if method.type == "Supervised":
        widths = {"widths": method.args["widths"], "width_weights": method.args["width_weights"]}
        found.append(f"method={json.dumps({'type': 'OutputKD', **widths})}")
        log.info("--teacher: the method is OutputKD, as the file names none that learns from a teacher.")
    elif teacher_use(METHODS.get(method.type)) == "no":
        raise InputError(
            f"--teacher {path}: method {method.type} uses no teacher. Name another `method`, or leave it out."
        )
    return found
