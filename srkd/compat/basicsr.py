"""The one door to BasicSR: nothing else in the package imports it. Its networks come through as `Foreign` ones.

BasicSR 1.4.2 imports `torchvision.transforms.functional_tensor`, which torchvision removed in 0.17, for one function,
`rgb_to_grayscale`. That function lives on in `torchvision.transforms.functional`; a stub module under the old name
is all that is missing.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from srkd.compat.foreign import Foreign, foreign
from srkd.types import InputError, did_you_mean

_SCALE, _CHANNELS = ("upscale", "scale"), ("num_in_ch", "in_chans")
"""What constructors of BasicSR's networks call the scale, and the channels of the input."""

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


def component(name: str) -> Callable[..., Foreign]:
    """The network `name` of BasicSR's `ARCH_REGISTRY`, as a function of its constructor's arguments.

    Args:
        name: as in BasicSR's option files, for example `RCAN`; the suffix of `SRVGGNetCompact_basicsr` may be left out.

    Raises:
        InputError: BasicSR cannot be imported, or has no such network; the message names those that it has.
    """
    networks, usable = _networks()
    known = name if name in networks else f"{name}_basicsr"
    if known not in usable:
        why = "is not for single-image super-resolution" if known in networks else "does not exist"
        listed = ", ".join(f"basicsr.{key}" for key in sorted(usable))
        raise InputError(f"network 'basicsr.{name}' {why}.{did_you_mean(name, usable)} Available: {listed}.")
    return _builder(f"basicsr.{name}", networks[known])


def offer(name: str) -> tuple[bool, str]:
    """Whether BasicSR has a network of this name, and a sentence on it, for who asked for one without `basicsr.`."""
    try:
        _, usable = _networks()
    except InputError:
        return False, "BasicSR's: basicsr.NAME, where it is installed."
    if near := {name, f"{name}_basicsr"} & {*usable}:
        return True, f"BasicSR has one of this name: `type: basicsr.{near.pop()}`."
    return False, f"BasicSR's: basicsr.NAME ({name!r} is none of them)."


def _networks() -> tuple[dict[str, Callable[..., Any]], list[str]]:
    """BasicSR's networks by name, and the names of those for single-image super-resolution."""
    import_basicsr()
    importlib.import_module("basicsr.archs")
    registry = importlib.import_module("basicsr.utils.registry").ARCH_REGISTRY
    networks: dict[str, Callable[..., Any]] = dict(iter(registry))  # iter: it has keys(), but no items by key
    return networks, [key for key, made in networks.items() if _named(made, _SCALE) and _named(made, _CHANNELS)]


def _named(network: Callable[..., Any], names: tuple[str, ...]) -> str | None:
    """Which of `names` is an argument of the network's constructor."""
    return next((name for name in names if name in inspect.signature(network).parameters), None)


def _builder(kind: str, network: Callable[..., Any]) -> Callable[..., Foreign]:
    """A function of keyword-only options, typed by their defaults, since BasicSR annotates nothing."""
    options = _options(network)
    scale, channels = _named(network, _SCALE), _named(network, _CHANNELS)
    assert scale and channels

    def build(**given: Any) -> Foreign:
        config = {name: given.get(name, option.default) for name, option in options.items()}
        try:
            module = network(**config)
        except Exception as error:  # asserts, type errors, index errors: whatever a wrong combination leads to
            reason = str(error).strip().split("\n")[0][:160]
            raise InputError(
                f"{kind} cannot be built with these options ({type(error).__name__}{': ' + reason if reason else ''})."
            ) from None
        return foreign(
            kind,
            module,
            scale=config[scale],
            num_in_ch=config[channels],
            config=config,
            multiple=_multiple(kind, config),
        )

    build.__name__, build.__doc__ = kind, inspect.getdoc(network)
    build.__signature__ = inspect.Signature(list(options.values()))  # pyright: ignore[reportFunctionMemberAccess]
    return build


def _options(network: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The constructor's arguments that a file can give; a class among the defaults is none, nor is `**kwargs`."""
    return {
        name: parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=_type_of(parameter))
        for name, parameter in inspect.signature(network).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
        and (parameter.default is parameter.empty or not inspect.isclass(parameter.default))
    }


def _type_of(parameter: inspect.Parameter) -> Any:
    """What an argument takes, as far as its default tells: `res_scale=1` takes 0.1 too."""
    default = parameter.default
    if isinstance(default, tuple):
        return tuple[Any, ...]
    if isinstance(default, int) and not isinstance(default, bool):
        return int | float
    return type(default) if isinstance(default, bool | float | str) else Any


def _multiple(kind: str, config: Mapping[str, Any]) -> int:
    """Of how many pixels images have to be whole multiples; BasicSR leaves that to its trainers."""
    if kind == "basicsr.RRDBNet":  # below ×4 it folds squares of pixels into channels before the first layer
        return {1: 4, 2: 2}.get(config["scale"], 1)
    return int(config.get("window_size", 1))
