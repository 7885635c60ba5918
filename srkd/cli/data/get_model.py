"""Weights of networks, downloaded from their authors or copied from a mirror.

srkd data get-model                      what there is: name, size, licence
srkd data get-model edsr_baseline_x2     downloads it, or goes on where an interrupted download ended
srkd data get-model edsr_baseline_x2 -o weights/
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from srkd.data.sources import Fetched, Source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which file."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="which; without it they are listed")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="where the file goes")


def run(args: argparse.Namespace) -> int:
    """List, or get one."""
    from srkd.cli.display import stdout_console
    from srkd.data.sources import home, known_models, mirror_of, source_named

    console, models = stdout_console(), known_models()
    if args.name is None:
        show_sources(console, models)
        return 0
    source = source_named(args.name, models)
    show_fetched(console, get(source, args.output or home("models"), mirror=mirror_of("models")), source)
    return 0


def get(source: Source, folder: Path, *, mirror: str) -> Fetched:
    """Fetch a file behind a progress bar; Ctrl-C says what is kept."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    from srkd.cli.display import progress_bar, show_line
    from srkd.data.sources import fetch

    columns = (TextColumn(source.file), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    try:
        with progress_bar(*columns) as bar:
            task = bar.add_task("", total=source.size)
            return fetch(
                source,
                folder,
                mirror=mirror,
                progress=lambda arrived, total: bar.update(task, completed=arrived, total=total),
            )
    except KeyboardInterrupt:
        part = folder / f"{source.file}.part"
        if part.exists():
            arrived = f"{part.stat().st_size:,} bytes are kept in {part}"
            show_line(Console(stderr=True), f"{arrived}; the same command goes on from there.")
        raise


def show_sources(console: Console, sources: dict[str, Source]) -> None:
    """A table of what can be had."""
    from rich.table import Table

    table = Table("name", "what it is", "size", "verified by", "licence")
    for name, source in sources.items():
        size = "?" if source.size is None else f"{source.size / 1e6:.1f} MB"
        table.add_row(name, source.what, size, means(source) or "nothing", source.licence)
    console.print(table)


def show_fetched(console: Console, fetched: Fetched, source: Source) -> None:
    """Where the file is, on a line of its own; then size, checksum, licence and origin."""
    from srkd.cli.display import show_line

    by = means(source)
    verdict = f"verified by {by}" if by else "not verified: its authors published no checksum"
    for line in (
        str(fetched.path),
        f"what:     {source.what}",
        f"from:     {fetched.origin or 'it was there already'}",
        f"size:     {fetched.path.stat().st_size:,} bytes",
        f"SHA-256:  {fetched.sha256}",
        f"          {verdict}",
        f"licence:  {source.licence}",
    ):
        show_line(console, line)


def means(source: Source) -> str:
    """What a file of this source is verified by; empty where there is nothing."""
    if not source.sha256:
        return "MD5" if source.md5 else ""
    return "SHA-256" if len(source.sha256) == 64 else f"{len(source.sha256)} digits of SHA-256"
