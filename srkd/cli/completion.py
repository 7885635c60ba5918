"""Completion of commands, options and files for your shell.

srkd completion bash > ~/.local/share/bash-completion/completions/srkd
srkd completion zsh > ~/.zfunc/_srkd          (with fpath+=~/.zfunc before compinit in ~/.zshrc)
srkd completion tcsh > ~/.srkd.tcsh           (and source it)
"""

from __future__ import annotations

import argparse
import importlib
import sys


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    from srkd.cli import COMMANDS, add_common

    parser = argparse.ArgumentParser(prog="srkd")
    commands = parser.add_subparsers(dest="command")
    for name, (module, text) in COMMANDS.items():
        own = commands.add_parser(name, help=text)
        importlib.import_module(f"srkd.cli.{module}").add_arguments(own)
        add_common(own, name)
        for action in own._actions:  # files are what most arguments are
            if action.choices is None and action.nargs != 0:
                action.complete = shtab.FILE  # pyright: ignore[reportAttributeAccessIssue]
    sys.stdout.write(shtab.complete(parser, args.shell) + "\n")
    return 0
