"""The table of README.md's section "Speed", from the result files under docs/benchmarks.

python scripts/bench/table.py            # writes it, between the two markers
python scripts/bench/table.py --check    # exit status 1 where README.md says something else
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
    return f"**{files[0]['machine']}**, torch {torch}, {when}:"


def updated(readme: str, text: str) -> str:
    """`readme` with `text` between the markers.

    Raises:
        SystemExit: a marker is missing.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"README.md has no {BEGIN if not begin else END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--benchmarks", type=Path, default=ROOT / "docs" / "benchmarks")
    args = parser.parse_args()
    old = args.readme.read_text("utf-8")
    new = updated(old, section(args.benchmarks))
    if args.check and new != old:
        sys.stderr.write(f"{args.readme} is not what scripts/bench/table.py makes of {args.benchmarks}: run it.\n")
        return 1
    if new != old:
        args.readme.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
