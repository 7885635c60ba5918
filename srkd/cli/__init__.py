"""The command line: one module a command, loaded only when it is used, so that `srkd --help` is instant."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
import traceback
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

from srkd import __version__
from srkd.allocator import tune_allocator
from srkd.cli.common import Parser
from srkd.cli.streams import prepare_streams
from srkd.plugins import plugins_named
from srkd.types import InputError, WorkError, did_you_mean

COMMANDS = {
    "train": ("train", "train or distil a network from an option file"),
    "benchmark": ("benchmark", "PSNR, SSIM and LPIPS of networks on test sets, at any width"),
    "test": ("benchmark", "the same as benchmark (BasicSR's word)"),
    "score": ("score", "PSNR and SSIM of images that another program made"),
    "cost": ("cost", "parameters, multiply-adds, activations, memory and latency of networks, at any width"),
    "compare": ("compare", "is one network or method better than another? Answered in words, over images and seeds"),
    "report": ("report", "one HTML page of results: table, charts, pictures, training curves"),
    "sweep": ("sweep", "many trainings (option files, values, seeds), measured, reported and compared"),
    "plot": ("plot", "losses and validation metrics of training runs, as SVG, PDF or PNG"),
    "compress": ("compress", "make a small network for a device from a large one and photographs, in one command"),
    "upscale": ("upscale", "enlarge images, folders and videos, at any width"),
    "export": ("export", "write a network at any width as .pth, .safetensors, .onnx or .pt2, checked"),
    "prune": ("prune", "order a network's channels by importance, before it is cut narrower"),
    "data": ("data", "get, prepare and check images (damage, pairs, kernels, leaks); get weights"),
    "list": ("listing", "list networks, methods, data sets, metrics and more, and their options"),
    "schema": ("schema", "the JSON schema of option files, for editors"),
    "doctor": ("doctor", "show versions, devices, and what is missing"),
    "completion": ("completion", "completion for your shell: bash, zsh or tcsh"),
    "demo": ("demo", "train, distil, measure, upscale and export in a few minutes, without a download"),
}


JSON = ("benchmark", "cost", "compare", "listing", "doctor")
"""Modules of commands that print JSON too."""


def usage() -> str:
    """The text of `srkd --help`."""
    lines = "\n".join(f"  {name:<10} {text}" for name, (_, text) in COMMANDS.items())
    return (
        "usage: srkd COMMAND [options]      (srkd COMMAND --help for its options)\n\n"
        "Compress image super-resolution networks by distillation; one network, switchable width.\n\n"
        f"commands:\n{lines}\n\n"
        "options:\n  --version   print the version\n  --traceback show where an error came from\n\n"
        "exit status: 0 success, 1 the work failed, 2 the input was wrong, 129/130/143 interrupted (state saved)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    prepare_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    show_traceback = "--traceback" in arguments
    arguments = [argument for argument in arguments if argument != "--traceback"]
    if arguments[:1] == ["help"] and len(arguments) > 1:
        arguments = [*arguments[1:], "--help"]
    try:
        with _orderly_end():
            return _command(arguments)
    except InputError as error:
        return _fail(str(error), 2, show_traceback)
    except WorkError as error:
        return _fail(str(error), 1, show_traceback)
    except KeyboardInterrupt as error:
        return _fail("interrupted.", 128 + int(error.args[0] if error.args else signal.SIGINT), show_traceback)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}.", 1, show_traceback)


def _command(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(usage() + "\n")
    elif arguments[0] == "--version":
        sys.stdout.write(f"srkd {__version__}\n")
    else:
        name, *rest = arguments
        module = module_of(name, COMMANDS)
        tune_allocator()
        if actions := getattr(module, "ACTIONS", None):  # srkd data get
            action = next((word for word in rest if word in actions), None)
            if action is None:
                return module.without_action(rest)
            rest.remove(action)
            name, module = f"{name} {action}", module_of(action, actions, module.__name__)
        parser = Parser(
            prog=f"srkd {name}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )  # fmt: skip
        add_all(parser, module)
        args = parser.parse_intermixed_args(rest)  # flags, files and overrides in any order
        with plugins_named(args.plugin), _output(args):
            status = module.run(args)
        sys.stdout.flush()  # here, where what fails is an error, and not when Python ends
        return status
    sys.stdout.flush()
    return 0


def module_of(name: str, commands: Mapping[str, tuple[str, str]], package: str = "srkd.cli") -> ModuleType:
    """The module of a command."""
    if name not in commands:
        raise InputError(f"unknown command {name!r}.{did_you_mean(name, commands)} Known: {', '.join(commands)}.")
    return importlib.import_module(f"{package}.{commands[name][0]}")


def add_all(parser: argparse.ArgumentParser, module: ModuleType) -> None:
    """What a command takes, and what every command takes."""
    module.add_arguments(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors; files are written")
    parser.add_argument("--no-progress", action="store_true", help="no progress bar")
    if module.__name__.rpartition(".")[2] in JSON:
        parser.add_argument("--json", action="store_true", help="print JSON to stdout, and everything else to stderr")
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="MODULE",
        help="module or .py file with components of your own; repeatable; SRKD_PLUGINS=A,B does the same",
    )  # fmt: skip


@contextmanager
def _output(args: argparse.Namespace) -> Generator[None]:
    """What is said where, as the command line wants it."""
    from srkd.cli.display import OUTPUT

    before = OUTPUT.quiet, OUTPUT.progress, OUTPUT.json
    OUTPUT.quiet |= args.quiet  # a command that runs others may be quiet already
    OUTPUT.progress &= not args.no_progress
    OUTPUT.json = getattr(args, "json", False)
    try:
        yield
    finally:
        OUTPUT.quiet, OUTPUT.progress, OUTPUT.json = before


@contextmanager
def _orderly_end() -> Generator[None]:
    """A terminal that goes away, or `kill`, ends a command as Ctrl-C does: what is half written is removed."""

    def end(number: int, _: object) -> None:
        raise KeyboardInterrupt(number)

    before: dict[int, Any] = {}
    for name in {"SIGTERM", "SIGHUP"} & {*dir(signal)}:
        number = getattr(signal, name)
        if signal.getsignal(number) is signal.SIG_DFL:  # not under nohup, nor in a program that has its own
            with suppress(ValueError):  # only the main thread may
                before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _fail(message: str, status: int, show_traceback: bool) -> int:
    if show_traceback:
        traceback.print_exc()
    sys.stderr.write(f"srkd: {message}\n")
    return status
