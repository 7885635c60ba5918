"""What the benchmarks share: their options, the rows of a comparison, tables, result files."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from turns import Key, Values, measure

ROOT = Path(__file__).resolve().parents[2]


def comparison(
    medians: Mapping[Key, Values],
    *,
    what: str,
    peer: str,
    peer_name: str | None = None,
    own: str = "srkd",
    value: str = "seconds",
    unit: str = "s",
    flops: float = 0,
    ceiling: float = 0,
    headline: bool = False,
    **more: Any,
) -> Values:
    """One row: both sides under both settings, how many times as fast, and the share of the ceiling.

    Args:
        medians: of `measure`.
        what: what is compared.
        peer, own: variants; the peer is called `peer_name`.
        value: which of their values: a time, or a rate where the `unit` ends in "/s".
        flops: floating-point operations in that time.
        ceiling: FLOP/s · 1e-9 that the machine reaches.
        headline: whether docs/performance.md shows it.
        more: what else belongs to the row.
    """
    cells = {
        "peer_stock": medians.get((peer, "stock"), {}).get(value),
        "peer_tuned": medians.get((peer, "tuned"), {}).get(value),
        "default": medians.get((own, "default"), {}).get(value),
        "tuned": medians.get((own, "tuned"), {}).get(value),
    }

    def ratio(theirs: float | None, ours: float | None) -> float | None:
        if not theirs or not ours:
            return None
        return ours / theirs if unit.endswith("/s") else theirs / ours

    share = flops / cells["default"] / (ceiling * 1e9) if flops and ceiling and cells["default"] else None
    return {
        "what": what,
        "peer": peer_name or peer,
        "unit": unit,
        **cells,
        "out_of_the_box": ratio(cells["peer_stock"], cells["default"]),
        "like_for_like": ratio(cells["peer_tuned"], cells["tuned"]),
        "of_ceiling": share,
        "headline": headline,
        **more,
    }


def parse(doc: str | None, tiny: Mapping[str, Any], options: Callable[[argparse.ArgumentParser], None]) -> Any:
    """The arguments: a script's own `options`, and those of every script; with --tiny the values of `tiny`."""
    import torch

    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    options(parser)
    parser.add_argument("--rounds", type=int, default=parser.get_default("rounds") or 5, help="default: %(default)s")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="default: %(default)s")
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that it runs, whatever else is given")
    parser.add_argument(
        "--save",
        type=Path,
        nargs="?",
        const=ROOT / "docs" / "benchmarks",
        metavar="FOLDER",
        help="write FOLDER/<machine>/<script>.json (FOLDER: docs/benchmarks)",
    )
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # workers are ended on the way out
    if args.tiny:
        vars(args).update({"rounds": 1, **tiny})
    torch.set_num_threads(args.threads)
    args.load = os.getloadavg()[0]  # before anything here runs
    return args


def machine(device: str) -> str:
    """The GPU, or the processor and how many of its cores this process may use."""
    import torch

    from srkd.provenance import cpu_name

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return torch.cuda.get_device_name() if device == "cuda" else f"{cpu_name()}, {cores} cores"


def measured(
    script: str,
    args: argparse.Namespace,
    variants: Mapping[str, Mapping[str, Any]],
    rows_of: Callable[[Mapping[Key, Values], Values], list[Values]],
    *packages: str,
    before: Sequence[Values] = (),
    **how: Any,
) -> tuple[list[Values], Values]:
    """Measure `variants`; returns rows and ceiling. With --save the rows are in their file after each round.

    Args:
        rows_of: medians and ceiling to rows.
        packages: see `report`.
        before: rows that come first in the file.
        how: `device` and `threads`, where they are not those of `args`, and `own`, as of `turns.measure`.
    """

    def keep(medians: Mapping[Key, Values], ceiling: Values) -> None:
        _write(script, args, [*before, *rows_of(medians, ceiling)], ceiling, packages, complete=False)

    how = {"device": args.device, "threads": args.threads, **how}
    medians, ceiling = measure(script, variants, rounds=args.rounds, each_round=keep, **how)
    return [*before, *rows_of(medians, ceiling)], ceiling


def report(
    script: str, args: argparse.Namespace, rows: Sequence[Values], ceiling: Values, *packages: str
) -> Path | None:
    """Print rows, ceiling and environment; with --save write them too, and return the file.

    Args:
        packages: those whose versions belong to the environment.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console(width=180)
    for columns, group in _alike(rows):
        table = Table(*(name.replace("_", " ") for name in columns))
        for row in group:
            table.add_row(*(cell(name, row) for name in columns))
        console.print(table)
    if ceiling:
        told = ", ".join(f"{name} {value:,.0f}" for name, value in ceiling.items())
        console.print(f"ceiling: {told} GFLOP/s", highlight=False)
    where = _where(args, packages)
    console.print(", ".join(f"{key} {value}" for key, value in where.items()), highlight=False)
    file = _write(script, args, rows, ceiling, packages, complete=True)
    if file:
        console.print(f"Written: {file}", highlight=False, soft_wrap=True)
    return file


def save_rows(script: str, args: argparse.Namespace, rows: Sequence[Values], ceiling: Values, *packages: str) -> None:
    """With --save write the rows that are there so far, of a script that measures more than once."""
    _write(script, args, rows, ceiling, packages, complete=False)


def _write(
    script: str,
    args: argparse.Namespace,
    rows: Sequence[Values],
    ceiling: Values,
    packages: Sequence[str],
    *,
    complete: bool,
) -> Path | None:
    from srkd.atomic import atomic_write_text

    if args.save is None:
        return None
    name = machine(args.device)
    file = args.save / re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") / f"{Path(script).stem}.json"
    content = {
        "script": Path(script).stem,
        "complete": complete,
        "environment": _where(args, packages),
        "command": shlex.join(["python", f"scripts/bench/{Path(script).name}", *sys.argv[1:]]),
        "machine": name,
        "ceiling": ceiling,
        "rows": rows,
    }
    atomic_write_text(file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return file


def _where(args: argparse.Namespace, packages: Sequence[str]) -> Values:
    from srkd.provenance import cpu_name, environment, version_of

    where = environment(args.device) | {name: version_of(name) or "unknown" for name in packages}
    return where | {"cpu": cpu_name(), "load": args.load, "date": datetime.date.today().isoformat()}


def rounds_to_tf32(device: str) -> bool:
    """Whether the device can round convolutions in fp32 to TF32, which PyTorch does by default."""
    import torch

    return device == "cuda" and torch.cuda.get_device_capability() >= (8, 0)


def _alike(rows: Sequence[Values]) -> list[tuple[list[str], list[Values]]]:
    """Rows by their columns, without those that say nothing."""
    groups: dict[tuple[str, ...], list[Values]] = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append(row)
    return [
        ([n for n in names if n not in ("unit", "headline") and any(row[n] is not None for row in group)], group)
        for names, group in groups.items()
    ]


def cell(name: str, row: Values) -> str:
    """A value of a row in words."""
    value = row[name]
    if value is None:
        return "–"
    if name in ("out_of_the_box", "like_for_like"):
        return f"{value:.0f} ×" if value >= 100 else f"{value:.2f} ×"
    if name in ("of_ceiling", "waiting", "peer_waiting"):
        return f"{value:.0%}"
    if name in ("peer_stock", "peer_tuned", "default", "tuned", "seconds"):
        unit = row.get("unit", "s")
        if unit == "s" and value < 1:
            return f"{1000 * value:.3g} ms"
        return f"{value:,.0f} {unit}" if value >= 1000 else f"{value:.4g} {unit}"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
