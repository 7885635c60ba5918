"""The tables of speeds are those that scripts/bench/table.py makes of the files under docs/benchmarks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def table(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "bench" / "table.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_tables_are_current():
    if not list((ROOT / "docs" / "benchmarks").glob("*/*.json")):
        pytest.skip("nothing has been measured: docs/benchmarks holds no JSON")
    done = table("--check")
    assert done.returncode == 0, done.stderr


def test_a_new_measurement_makes_the_page_stale_until_the_table_is_written(tmp_path):
    begin, end = "<!-- speed: written by scripts/bench/table.py -->", "<!-- end of speed -->"
    folder = tmp_path / "docs/benchmarks/a-machine"
    folder.mkdir(parents=True)
    texts = {name: (ROOT / name).read_text("utf-8") for name in ("docs/performance.md",)}
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    row = {
        "what": "CSD step",
        "peer": "theirs",
        "unit": "s",
        "peer_stock": 3.0,
        "peer_tuned": 2.0,
        "default": 0.5,
        "tuned": 0.5,
        "out_of_the_box": 6.0,
        "like_for_like": None,
        "of_ceiling": 0.82,
        "headline": True,
    }
    environment = {"date": "2026-11-21", "torch": "2.15.0"}
    memory = {**row, "what": "another step", "peer_mib": 2000.4, "mib": 150.0}
    rows = [row, memory, {**row, "what": "a detail", "headline": False}]
    content = {"machine": "A machine, 2 cores", "environment": environment, "rows": rows}
    (folder / "csd_step.json").write_text(json.dumps(content), encoding="utf-8")
    assert table("--check", "--root", str(tmp_path)).returncode == 1
    assert all((tmp_path / name).read_text("utf-8") == text for name, text in texts.items()), "--check writes nothing"
    assert table("--root", str(tmp_path)).returncode == 0
    assert table("--check", "--root", str(tmp_path)).returncode == 0
    new = {name: (tmp_path / name).read_text("utf-8") for name in texts}
    assert "| CSD step | theirs | 3 s | 500 ms | 6.00 × | – | 82% | – |" in new["docs/performance.md"]
    assert "| another step | theirs | 3 s | 500 ms | 6.00 × | – | 82% | 2,000 → 150 MiB |" in new["docs/performance.md"]
    assert "a detail" not in new["docs/performance.md"]
    for name, text in texts.items():
        assert new[name].partition(begin)[0] == text.partition(begin)[0]
        assert new[name].partition(end)[2] == text.partition(end)[2]
