"""Write the JSON schema of option files. With it editors complete keys and mark mistakes while you type.

srkd schema -o srkd.schema.json        (with the networks, methods, … of this installation)

First line of an option file, for editors with the YAML language server (VS Code, Neovim, …):
# yaml-language-server: $schema=srkd.schema.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from srkd.cli.display import write


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to."""
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the file (default: standard output)")


def run(args: argparse.Namespace) -> int:
    """Make it and write it."""
    from srkd.options.json_schema import option_file_schema

    text = json.dumps(option_file_schema(), indent=1) + "\n"
    if args.output is None:
        sys.stdout.write(text)
    else:
        write(args.output, text)
    return 0
