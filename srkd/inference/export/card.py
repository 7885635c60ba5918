"""A model card: what a reader of a model file wants to know, in Markdown, from what was recorded and measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from srkd import __version__
from srkd.inference.export.export import Form, Source, Written, colour_order
from srkd.inference.export.parity import Parity
from srkd.metrics.cost import parameters
from srkd.table import Cell, Column, Table

_NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class Entry:
    """One exported file.

    Attributes:
        file: its name.
        width: fraction of the channels.
        num_feat: channels that is.
        parameters: of the network.
        multi_adds: of the network for a 1280 × 720 output; None where they cannot be counted.
        bytes, sha256: of the file.
        parity: difference from the network at that width, for each runtime that ran the file.
    """

    file: str
    width: float
    num_feat: int
    parameters: int
    multi_adds: int | None
    bytes: int
    sha256: str
    parity: Mapping[str, Parity]


def entry(written: Written, multi_adds: int | None) -> Entry:
    """Describe an exported file."""
    path, network = written.path, written.network
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Entry(
        path.name,
        written.width,
        network.num_feat,
        parameters(network),
        multi_adds,
        path.stat().st_size,
        digest,
        written.parity,
    )


def facts(source: Source, form: Form) -> dict[str, Any]:
    """What holds for every file made from `source`: of the network, its training, and input and output."""
    network = source.network
    return {
        "network": {"type": type(network).__name__, **network.config},
        "scale": network.scale,
        "range": "0..1",
        "colour_order": colour_order(network),
        "form": "mobile" if form.mobile else "as trained",
        "size": form.size,
        "int8": form.int8 is not None,
        "trained_widths": network.trained_widths,
        "method": source.method,
        "iter": source.iter,
        "training_set": source.training_set,
        "data_licence": source.data_licence,
        "srkd_version": __version__,
    }


def index(source: Source, form: Form, entries: Sequence[Entry]) -> str:
    """`index.json` of a family: the facts, and one object a file; a PSNR is null where the outputs are equal."""
    files = [
        {
            **{name: value for name, value in vars(each).items() if name != "parity"},
            "parity": {
                runtime: {
                    "max_difference": found.max_difference,
                    "psnr": found.psnr if found.max_difference else None,
                }
                for runtime, found in each.parity.items()
            },
        }
        for each in entries
    ]
    return json.dumps({"schema": 1, **facts(source, form), "files": files}, indent=1, ensure_ascii=False) + "\n"


def model_card(source: Source, form: Form, entries: Sequence[Entry], *, results: str | None) -> str:
    """The card of one file or of a family.

    Args:
        source: the network and its history.
        form: how graphs were made.
        entries: the files.
        results: a table in Markdown, and what its numbers are; None: the network was not evaluated.
    """
    known = facts(source, form)
    kind, scale = known["network"]["type"], known["scale"]
    trained = f"{source.iter:,} iterations of {source.method}" if source.iter and source.method else source.method
    widths = ", ".join(f"{width:.4g}" for width in known["trained_widths"] or ()) or _NOT_RECORDED
    made = f"srkd {known['srkd_version']}"
    pixels = f"{form.size[0]} × {form.size[1]} pixels" if form.size else "of any size"
    luma = "; Y of BT.601, 16..235 of 255" if known["colour_order"] == "Y" else ""
    lines = [
        f"# {kind} ×{scale}",
        "",
        f"Super-resolution by a factor of {scale}: {known['colour_order']} images [1, {source.network.num_in_ch}, h, w]"
        f" in 0..1, {pixels}{luma}. The output is not clipped.",
        "",
        f"- Network: {kind} ({', '.join(f'{k} {_plain(v)}' for k, v in known['network'].items() if k != 'type')})",
        f"- Widths trained: {widths}",
        f"- Training: {trained or _NOT_RECORDED}",
        f"- Training data: {source.training_set or _NOT_RECORDED}",
        f"- Licence of the data: {source.data_licence or _NOT_RECORDED}",
        f"- Form: {known['form']}{', convolutions in 8-bit integers' if form.int8 else ''}",
        f"- Made with {made}",
        "",
        "## Files",
        "",
        Table(FILES, [_row(each) for each in entries]).markdown(),
        "",
        "One multiply-add is a multiplication with its addition, of convolutions, transposed convolutions and matrix "
        "products, for an output of 1280 × 720 pixels. Differences are of values in 0..1, on photographs of several "
        "sizes.",
        "",
        "## Results",
        "",
        results or "Not evaluated.",
        "",
        "## Checksums (sha256)",
        "",
        "```",
        *(f"{each.sha256}  {each.file}" for each in entries),
        "```",
    ]
    return "\n".join(lines) + "\n"


FILES = [
    Column("file", "name"),
    *map(Column, ("width", "channels", "parameters")),
    Column("multi-adds", short=True),
    Column("size"),
    Column("largest difference from PyTorch", "name"),
]


def _row(each: Entry) -> list[Cell]:
    size, differences = f"{each.bytes / 1e6:.2f} MB", "; ".join(f"{name}: {one}" for name, one in each.parity.items())
    return [each.file, f"{each.width:.4g}", each.num_feat, f"{each.parameters:,}", each.multi_adds, size, differences]


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(list(value) if isinstance(value, tuple) else value)
