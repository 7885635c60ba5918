"""The one door to spandrel, which recognises the architecture of a weight file and builds it: SwinIR, HAT, CRAFT, …

https://github.com/chaiNNer-org/spandrel, an optional package. Files are read by srkd, without running code from them;
spandrel gets the tensors.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import torch

from srkd.compat.foreign import Foreign, foreign
from srkd.contents import require_numbers
from srkd.networks.fitting import readings
from srkd.networks.reading import Weights, read_weights
from srkd.types import InputError

INSTALL = 'pip install -e ".[spandrel]"'


def component(name: str) -> Callable[..., Foreign]:
    """What `type: spandrel` names; there is nothing inside it to choose from.

    Raises:
        InputError: `name`, what stands behind a dot, is not empty.
    """
    if name:
        raise InputError(f"unknown network 'spandrel.{name}': write `type: spandrel`, the file tells the architecture.")
    return spandrel


def offer(name: str) -> tuple[bool, str]:
    """No network by name, and a sentence on what this door leads to."""
    del name
    return False, "As a teacher, a weight file that spandrel knows: `{type: spandrel, path: FILE}`."


def spandrel(*, path: str) -> Foreign:
    """Any network of which spandrel knows the weight file; trained already, hence a teacher.

    Args:
        path: the weight file, .pth or .safetensors.

    Raises:
        InputError: the file cannot be read, or `recognise` refuses it.
    """
    return recognise(read_weights(path))


def recognise(weights: Weights) -> Foreign:
    """The network that spandrel takes `weights` for.

    Raises:
        InputError: spandrel is not installed, does not know the file, cannot load it, or it is no super-resolution
            network from one image to one.
    """
    where = f"checkpoint {weights.path}"
    try:
        package = importlib.import_module("spandrel")
    except ImportError as error:
        raise InputError(f"{where}: spandrel, which could recognise it, is not here ({error}): {INSTALL}") from None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.meshgrid")  # of no use to who only runs the network
        found = _found(package, weights)
        kind, what = f"spandrel.{found.architecture.id}", f"{found.purpose} at scale {found.scale}"
        if found.purpose != "SR" or found.scale < 2 or found.size_requirements.square:
            raise InputError(f"{where} is a {kind} for {what}, not for super-resolution.")
        return _wrapped(kind, found, weights)


def _wrapped(kind: str, found: Any, weights: Weights) -> Foreign:
    network = foreign(
        kind,
        found.model,
        scale=found.scale,
        num_in_ch=found.input_channels,
        config={"path": str(weights.path)},
        multiple=found.size_requirements.multiple_of,
        minimum=max(found.size_requirements.minimum, 1),
    )
    _require_plain_call(network, found)
    return network


def _found(package: Any, weights: Weights) -> Any:
    """What spandrel makes of the first set of tensors in the file that it knows, whatever lies around their names."""
    where = f"checkpoint {weights.path}"
    failure = f"{where}: spandrel {package.__version__} does not recognise it."
    for place in readings(weights.places):
        if not any("." in name for name in place.params):
            continue
        try:
            found: Any = package.ModelLoader(device="cpu").load_from_state_dict(dict(place.params))
        except package.UnsupportedModelError:
            continue
        except Exception as error:  # names that resemble those of an architecture, and then do not fit it
            reason = str(error).strip().split("\n")[0][:160]
            failure = f"{where}: spandrel cannot load it ({type(error).__name__}: {reason})."
            continue
        require_numbers(weights.path, place.params)
        return found
    raise InputError(failure)


def _require_plain_call(network: Foreign, found: Any) -> None:
    """Some networks have to be called in a way that spandrel keeps to itself: they are known by another result."""
    side = max(16, *network.needed(16, 16))
    image = torch.linspace(0, 1, network.num_in_ch * side**2).view(1, network.num_in_ch, side, side)
    network.eval()
    with torch.no_grad():
        same = torch.allclose(network(image).clamp(0, 1), found(image.clone()), rtol=0, atol=1e-4)
    network.train()
    if not same:
        raise InputError(f"{type(network).__name__} has to be called in a way that srkd does not know.")
