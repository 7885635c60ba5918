"""Weights of networks, downloaded from their authors or copied from a mirror.

srkd data get-model                      what there is: name, size, licence
srkd data get-model edsr_baseline_x2     downloads it, or goes on where an interrupted download ended
srkd data get-model edsr_baseline_x2 -o weights/
"""

from __future__ import annotations

import argparse
from pathlib import Path

from srkd.cli.display import bar, kept_in, say, show_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which file."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="which weights; without a name they are listed")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="folder for the file")


def run(args: argparse.Namespace) -> int:
    """List, or get one: where it is on a line of its own, then size, checksum, licence and origin."""
    from srkd.data.sources import fetch, home, known_models, mirror_of, source_named
    from srkd.table import Column, Table

    models = known_models()
    if args.name is None:
        table = Table([Column(name, "name") for name in ("name", "what it is", "size", "verified by", "licence")])
        for name, source in models.items():
            table.rows.append((name, source.what, source.megabytes, source.verified_by or "nothing", source.licence))
        show_table(table)
        return 0
    source, folder = source_named(args.name, models), args.output or home("models")
    with kept_in(folder / f"{source.file}.part"), bar(source.file) as progress:
        fetched = fetch(source, folder, mirror=mirror_of("models"), progress=progress)
    by = source.verified_by
    say(
        str(fetched.path),
        f"what:     {source.what}",
        f"from:     {fetched.origin or 'it was there already'}",
        f"size:     {fetched.path.stat().st_size:,} bytes",
        f"SHA-256:  {fetched.sha256}",
        f"          {f'verified by {by}' if by else 'not verified: its authors published no checksum'}",
        f"licence:  {source.licence}",
    )
    return 0
