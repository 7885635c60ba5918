"""The tables of speeds in docs/performance.md, from the result files under docs/benchmarks.

python scripts/bench/table.py            # writes them, between the two markers
python scripts/bench/table.py --check    # exit status 1 where a page says something else
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from common import ROOT, cell
from turns import Values

BEGIN, END = "<!-- speed: written by scripts/bench/table.py -->", "<!-- end of speed -->"
SCRIPTS = ("train_step", "csd_step", "fakd_step", "infer", "data", "metrics")
PAGES = ("docs/performance.md",)
NOTHING = "Nothing has been measured yet."
COLUMNS = {
    "what": "",
    "peer": "against",
    "peer_stock": "it takes or makes",
    "default": "srkd",
    "out_of_the_box": "out of the box",
    "like_for_like": "like for like",
    "of_ceiling": "of the ceiling",
    "mib": "memory",
}


def section(benchmarks: Path) -> str:
    """One table a machine, of the rows that are headlines."""
    machines = [found for folder in sorted(benchmarks.glob("*")) if (found := machine_table(folder))]
    return "\n\n".join(machines) or NOTHING


def machine_table(folder: Path) -> str:
    """The table of one machine; empty where its files have no headline."""
    files = [json.loads(file.read_text("utf-8")) for name in SCRIPTS if (file := folder / f"{name}.json").is_file()]
    rows = [row for content in files for row in content["rows"] if row.get("headline")]
    if not rows:
        return ""
    lines = [" | ".join(COLUMNS.values()), "|".join("---" for _ in COLUMNS)]
    lines += [" | ".join(words(name, row) for name in COLUMNS) for row in rows]
    return f"{heading(files)}\n\n" + "\n".join(f"| {line} |" if "---" not in line else f"|{line}|" for line in lines)


def words(column: str, row: Values) -> str:
    """A cell: as in the benchmark's own table, or both memories."""
    if column != "mib":
        return cell(column, row)
    return f"{row['peer_mib']:,.0f} → {row['mib']:,.0f} MiB" if "mib" in row else "–"


def heading(files: list[Values]) -> str:
    """Machine, versions and dates."""
    where = [content["environment"] for content in files]
    dates = sorted({one["date"] for one in where})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    torch = " and ".join(sorted({one["torch"] for one in where}))
    short = [content["script"] for content in files if not content.get("complete", True)]
    cut = f" ({', '.join(short)}: cut short, of the rounds until then)" if short else ""
    return f"**{files[0]['machine']}**, torch {torch}, {when}{cut}:"


def updated(page: str, text: str) -> str:
    """`page` with `text` between the markers.

    Raises:
        SystemExit: a marker is missing.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"the page has no {BEGIN if not begin else END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--root", type=Path, default=ROOT, help="the folder of docs/")
    args = parser.parse_args()
    stale: list[str] = []
    for name in PAGES:
        page = args.root / name
        old = page.read_text("utf-8")
        new = updated(old, section(args.root / "docs/benchmarks"))
        if new != old:
            stale.append(name)
            if not args.check:
                page.write_text(new, encoding="utf-8")
    if args.check and stale:
        sys.stderr.write(f"{' and '.join(stale)}: not what docs/benchmarks say; run python scripts/bench/table.py\n")
    return int(args.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
