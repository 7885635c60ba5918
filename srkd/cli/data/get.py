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

from srkd.cli.display import bar, kept_in, say, show_table

if TYPE_CHECKING:
    from srkd.data.published import ImageSet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which sets, and where they go."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="which sets; without any they are listed")
    parser.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="folder for the sets")
    parser.add_argument("--discard", action="store_true", help="delete archives once all sets are unpacked")


def run(args: argparse.Namespace) -> int:
    """List, or get some."""
    from srkd.data.published import count_images, get_set, known_image_sets
    from srkd.data.sources import home, mirror_of, source_named
    from srkd.evaluation.sets import datasets_root

    known = known_image_sets()
    if not args.names:
        _show(known)
        return 0
    wanted = [source_named(name, known) for name in args.names]
    downloads = home("archives")
    for each in wanted:
        with kept_in(downloads), bar("") as progress:
            folder, made = get_set(
                each, args.output or datasets_root(), downloads, mirror=mirror_of("archives"),
                progress=lambda what, done, total: progress(done, total, what),
            )  # fmt: skip
        say(
            str(folder),
            f"  {'made' if made else 'it was there already'}: {count_images(folder)} images",
            f"  verified by: {_verified_by(each) if made else 'not looked at again'}",
            f"  licence: {each.licence}",
        )
    for path in sorted({downloads / each.source.file for each in wanted if each.source}):
        if path.is_file() and args.discard:
            path.unlink()
        elif path.is_file():
            say(f"{path} ({path.stat().st_size / 1e6:.0f} MB) may be deleted now.")
    return 0


def _show(sets: dict[str, ImageSet]) -> None:
    from srkd.table import Column, Table

    names = ("name", "what it is", "images", "download", "verified by", "licence")
    table = Table([Column(name, "number" if name == "images" else "name") for name in names])
    for name, listed in sets.items():
        size = listed.source.megabytes if listed.source else "?"
        download = "on request" if listed.ask else f"{listed.images} files" if listed.files else size
        table.rows.append((name, listed.what, listed.images, download, _verified_by(listed), listed.licence))
    show_table(table)


def _verified_by(listed: ImageSet) -> str:
    return (listed.source and listed.source.verified_by) or "nothing: no checksum is known"
