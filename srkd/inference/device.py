"""Which device a network runs on."""

from __future__ import annotations

import torch

from srkd.types import InputError


def choose_device(wanted: str) -> torch.device:
    """`auto` takes cuda, then mps, then cpu; a device that is not there is an `InputError`."""
    available = available_devices()
    if wanted == "auto":
        return torch.device(available[0])
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise InputError(f"device {wanted!r} is unknown; this machine has {', '.join(available)}.") from None
    missing = device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()
    if device.type not in available or missing:
        raise InputError(f"device {wanted!r} is not available; this machine has {', '.join(available)}.")
    return device


def available_devices() -> list[str]:
    """Kinds of device on this machine, fastest first."""
    return [
        *(["cuda"] if torch.cuda.is_available() else []),
        *(["mps"] if torch.backends.mps.is_available() else []),
        "cpu",
    ]
