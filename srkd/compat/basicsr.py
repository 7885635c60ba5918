"""The one door to BasicSR: nothing else in the package imports it.

BasicSR 1.4.2 imports `torchvision.transforms.functional_tensor`, which torchvision removed in 0.17, for one function,
`rgb_to_grayscale`. That function lives on in `torchvision.transforms.functional`; a stub module under the old name
is all that is missing.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

from srkd.types import InputError

_GONE = "torchvision.transforms.functional_tensor"


def import_basicsr() -> ModuleType:
    """Import and return the `basicsr` package, making it importable under today's torchvision.

    Raises:
        InputError: BasicSR is not installed, or cannot be imported; the message says what to do.
    """
    try:
        _restore_functional_tensor()
        return importlib.import_module("basicsr")
    except ImportError as error:
        raise InputError(
            f"BasicSR cannot be imported ({error}); srkd works without it, only its BasicSR bridge does not: BasicSR "
            "cannot be installed on Python 3.13 or later, on Python 3.11 or 3.12 run `pip install basicsr`."
        ) from error


def _restore_functional_tensor() -> None:
    """Put the stub into `sys.modules` where torchvision no longer has the module."""
    if _GONE in sys.modules or importlib.util.find_spec(_GONE) is not None:
        return
    functional = importlib.import_module("torchvision.transforms.functional")
    stub = ModuleType(_GONE, "Stand-in for the module that torchvision removed; BasicSR imports it.")
    stub.__dict__["rgb_to_grayscale"] = functional.rgb_to_grayscale
    sys.modules[_GONE] = stub
