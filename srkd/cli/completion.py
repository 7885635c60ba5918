"""Completion of commands, options and files for your shell.

srkd completion bash > ~/.local/share/bash-completion/completions/srkd
srkd completion zsh > ~/.zfunc/_srkd          (with fpath+=~/.zfunc before compinit in ~/.zshrc)
srkd completion tcsh > ~/.srkd.tcsh           (and source it)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from srkd.cli import COMMANDS

    parser = argparse.ArgumentParser(prog="srkd")
    _add(parser, "srkd.cli", COMMANDS)
    sys.stdout.write(shtab.complete(parser, args.shell) + "\n")
    return 0


def _add(parser: argparse.ArgumentParser, package: str, commands: Mapping[str, tuple[str, str]]) -> None:
    import shtab

    from srkd.cli import add_all, module_of

    below = parser.add_subparsers(dest="command")
    for name, (_, text) in commands.items():
        own, module = below.add_parser(name, help=text), module_of(name, commands, package)
        if actions := getattr(module, "ACTIONS", None):  # srkd data get
            _add(own, module.__name__, actions)
            continue
        add_all(own, module)
        for action in own._actions:  # files are what most arguments are
            if action.choices is None and action.nargs != 0:
                action.complete = shtab.FILE  # pyright: ignore[reportAttributeAccessIssue]
