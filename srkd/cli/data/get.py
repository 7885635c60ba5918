"""Image sets by name, below datasets/ (or $SRKD_DATASETS).

  srkd data get                            what there is: name, size, how it is verified, licence
  srkd data get Set5 Urban100              downloads and unpacks them
  srkd data get DIV2K -o /data --discard   elsewhere, and without keeping the archive

A set that is there is left alone. After an interruption the same command goes on from there.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from srkd.data.published import ImageSet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which sets, and where they go."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="which; without any they are listed")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="the folder of data sets")
    parser.add_argument("--discard", action="store_true", help="delete archives once all sets are unpacked")


def run(args: argparse.Namespace) -> int:
    """List, or get some."""
    from srkd.cli.display import show_line, stdout_console
    from srkd.data.published import count_images, known_image_sets
    from srkd.data.sources import home, mirror_of
    from srkd.evaluation.sets import datasets_root
    from srkd.types import InputError, did_you_mean

    console, known = stdout_console(), known_image_sets()
    if not args.names:
        show_sets(console, known)
        return 0
    for name in args.names:
        if name not in known:
            raise InputError(f"{name!r} is not known.{did_you_mean(name, known)} Known: {', '.join(known)}.")
    downloads = home("archives")
    for name in args.names:
        wanted = known[name]
        folder, made = get(wanted, args.output or datasets_root(), downloads, mirror=mirror_of("archives"))
        show_line(console, str(folder))
        show_line(console, f"  {'made' if made else 'it was there already'}: {count_images(folder)} images")
        show_line(console, f"  verified by: {verified_by(wanted) if made else 'not looked at again'}")
        show_line(console, f"  licence: {wanted.licence}")
    kept = [downloads / file for file in sorted({_file(known[name]) for name in args.names}) if file]
    for path in kept:
        if path.is_file() and args.discard:
            path.unlink()
        elif path.is_file():
            show_line(console, f"{path} ({path.stat().st_size / 1e6:.0f} MB) may be deleted now.")
    return 0


def get(wanted: ImageSet, root: Path, downloads: Path, *, mirror: str) -> tuple[Path, bool]:
    """Get one set behind a progress bar; Ctrl-C says what is kept."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from srkd.cli.display import progress_bar, show_line
    from srkd.data.published import get_set

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    try:
        with progress_bar(*columns) as bar:
            task = bar.add_task("", total=None)
            return get_set(
                wanted,
                root,
                downloads,
                mirror=mirror,
                progress=lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
            )
    except KeyboardInterrupt:
        show_line(
            Console(stderr=True), f"what has arrived is kept in {downloads}; the same command goes on from there."
        )
        raise


def show_sets(console: Console, sets: dict[str, ImageSet]) -> None:
    """A table of what can be had."""
    from rich.table import Table

    table = Table("name", "what it is", "images", "download", "verified by", "licence")
    for name, listed in sets.items():
        size = f"{listed.source.size / 1e6:.0f} MB" if listed.source and listed.source.size else "?"
        download = "on request" if listed.ask else f"{listed.images} files" if listed.files else size
        table.add_row(name, listed.what, str(listed.images), download, verified_by(listed), listed.licence)
    console.print(table)


def verified_by(listed: ImageSet) -> str:
    """What its download is verified by, in words."""
    from srkd.cli.data.get_model import means

    return (listed.source and means(listed.source)) or "nothing: no checksum is known"


def _file(listed: ImageSet) -> str:
    return listed.source.file if listed.source else ""
