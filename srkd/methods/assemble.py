"""From networks and a method's name to the method: what srkd's trainer and BasicSR's share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from srkd.losses.pixel import PixelLoss
from srkd.methods.base import ONE_TEACHER, Method, Teachers, teacher_use
from srkd.networks.slim import Network
from srkd.registry import METHODS
from srkd.types import InputError, located


def check_network(where: str, network: Network, *, student: Network, scale: int) -> None:
    """See that a network can be trained, or teach.

    Batches are RGB, or Y where the student takes one channel: every network has to take and give the same.

    Raises:
        InputError: its scale is another one, or its colours are; the message begins with `where`.
    """
    if network.scale != scale:
        raise InputError(f"{where}: its scale is {network.scale}, but `scale` is {scale}.")
    channels = (network.num_in_ch, network.num_out_ch)
    if channels not in ((1, 1), (3, 3)):
        raise InputError(
            f"{where}: num_in_ch and num_out_ch are {channels[0]} and {channels[1]}; training needs 3 and 3 (RGB) or "
            "1 and 1 (Y)."
        )
    if network.num_in_ch != student.num_in_ch:
        raise InputError(
            f"{where}: {type(network).__name__} takes {channels[0]} channel(s), but network_g "
            f"({type(student).__name__}) takes {student.num_in_ch}: both must be RGB networks, or both Y networks."
        )


def build_method(
    kind: str, options: Mapping[str, Any], *, student: Network, teachers: Mapping[str, nn.Module], pixel: PixelLoss
) -> Method:
    """The method `kind` with its checked options, around the networks.

    Args:
        kind: its name in the registry.
        options: its options.
        student: the network that is trained.
        teachers: by name; one without a name is called `ONE_TEACHER`.
        pixel: the distance to the ground truth.

    Raises:
        InputError: a teacher is missing or not used, or the method refuses an option.
    """
    component = METHODS.get(kind)
    use = teacher_use(component)
    if use == "required" and not teachers:
        raise InputError(f"method {kind} needs a teacher: give network_g_teacher.")
    if use == "no" and teachers:
        raise InputError(f"method {kind} uses no teacher: remove network_g_teacher.")
    wired: Teachers = teachers if [*teachers] not in ([], [ONE_TEACHER]) else teachers.get(ONE_TEACHER)
    with located(f"method ({kind})"):
        return component(student, wired, pixel, **options)
