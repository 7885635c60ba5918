import csv
import io
import itertools
import os
import pty
import re
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from srkd.table import Column, Table, short_number

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "docs/results/distillation_x4_cpu-evening/benchmark.json"


def printed(table, width):
    console = Console(file=io.StringIO(), width=width)
    table.print(console)
    return console.file.getvalue()


def example():
    columns = [
        Column("set", "name"),
        Column("model", "name"),
        Column("PSNR", digits=3, best="highest"),
        Column("LPIPS", digits=4, best="lowest"),
        Column("parameters", "optional", short=True),
        Column("time", "optional", digits=1, unit="ms"),
    ]
    rows = [
        ["Set5", "a_model_with_a_long_name_seed0", 31.25, 0.1, 33400, 12.34],
        ["Set5", "b&c", 30.5, 0.05, None, None],
        ["Urban100", "b&c", float("inf"), "– (no weights)", 0, 1.0],
    ]
    return Table(columns, rows, group="set")


def joined(text):
    """What a reader puts together again: each column from top to bottom, without folds and spaces."""
    lines = [line for line in text.partition("Not shown")[0].splitlines() if line.strip()]
    wide = max(map(len, lines), default=0)
    blank = [all(line[at : at + 1] in ("", " ", "─") for line in lines) for at in range(wide)]
    edges = [at for at in range(wide) if not blank[at] and (at == 0 or blank[at - 1])] + [wide]
    columns = ["".join("".join(line[low:high].split()) for line in lines) for low, high in itertools.pairwise(edges)]
    return " ".join([*columns, "".join(text.split())])


@pytest.mark.parametrize("width", [200, 120, 80, 60, 40, 24, 10])
def test_no_name_is_lost_at_any_width(width):
    text = printed(example(), width)
    assert max(map(len, text.splitlines())) <= width
    for name in ("Urban100", "b&c", "a_model_with_a_long_name_seed0", "31.250", "identical"):
        assert name in joined(text)


def test_optional_columns_go_first_and_it_says_which():
    assert "12.3" in printed(example(), 120) and "Not shown" not in printed(example(), 120)
    narrow = " ".join(printed(example(), 70).split())
    assert "33.4 K" not in narrow and "Not shown at 70 columns: parameters; time, ms." in narrow


def test_markdown_latex_and_csv_have_every_column():
    table = example()
    lines = table.markdown().splitlines()
    assert len({line.count("|") for line in lines}) == 1 and lines[1] == "|---|---|---:|---:|---:|---:|"
    assert lines[2].endswith("| 31.250 | 0.1000 | 33.4 K | 12.3 |") and "time, ms" in lines[0]
    latex = table.latex()
    assert r"\textbf{31.250} & 0.1000" in latex and r"30.500 & \textbf{0.0500} & -- & --" in latex
    assert r"b\&c" in latex and latex.count(r"\midrule") == 2 and r"\textbf{identical}" in latex
    rows = list(csv.DictReader(io.StringIO(table.csv())))
    assert rows[0]["PSNR"] == "31.25" and rows[1]["time"] == "" and rows[2]["PSNR"] == "inf"
    assert Table([Column("a|b", "name")], [["c|d"]]).markdown().count(r"\|") == 2


@given(st.floats(-1e15, 1e15))
def test_a_short_number_has_at_most_four_digits(value):
    text = short_number(value)
    digits = "".join(sign for sign in text.partition("e")[0] if sign.isdigit()).lstrip("0")
    assert text == "–" if value == 0 else 1 <= len(digits) <= 4


def in_a_terminal(columns, *arguments):
    """What `srkd …` prints to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, columns))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with subprocess.Popen(
        [sys.executable, "-m", "srkd", *arguments],
        stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env={**kept, "TERM": "xterm"},
    ) as process:  # fmt: skip
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # Linux: the other end is closed
                break
            if not part:
                break
            shown += part
        assert process.wait() == 0, shown.decode()
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode()).replace("\r", "")


@pytest.mark.parametrize("columns", [80, 60])
def test_compare_in_a_narrow_terminal_keeps_set_arm_and_verdict(columns):
    arms = [f"{name}={RESULT}:{name}_edsr*" for name in ("scratch", "output_kd", "fakd")]
    shown = in_a_terminal(columns, "compare", *arms, "--sets", "Urban100")
    table = shown.partition("Urban100: ")[0]
    for name in ("Urban100", "output_kd", "fakd", "scratch", "better", "+0.051"):
        assert name in joined(table)
    assert all(len(line) <= columns for line in table.splitlines())


@pytest.mark.parametrize("columns", [80, 60])
@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (("list", "networks"), ["EDSR", "basicsr.NAME"]),
        (("list", "methods", "CSD"), ["perceptual", "contrast_weight"]),
        (("doctor",), ["torchvision", "opencv-python"]),
        (("cost", "switchable-x2", "--no-latency"), ["switchable-x2", "0.25"]),
    ],
)
def test_lists_in_a_narrow_terminal_are_whole(columns, command, wanted):
    shown = in_a_terminal(columns, *command)
    table = [line for line in shown.splitlines() if line[:1] in " ┌│├└┏┡"]
    assert max(map(len, table)) <= columns
    for name in wanted:
        assert name in joined(shown)
