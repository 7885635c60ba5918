import csv
import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srkd.evaluation.benchmark import Result, mean
from srkd.evaluation.protocols import protocol_of
from srkd.evaluation.result import Failure, Row, Summary, read_result
from srkd.evaluation.tables import notes, rows_of, summary_of, write_result
from srkd.metrics.metric import metric_of
from srkd.types import InputError

MACHINE = {"srkd_version": "1", "torch": "2", "hardware": "abacus", "device": "cpu", "threads": 1}


def result_of(values, failures=()):
    rows = [Row("Set5", f"i{n}", "m", 0.5, {"psnr": value, "ssim": 0.9}, 0.01) for n, value in enumerate(values)]
    metrics = {"psnr": mean(values), "ssim": 0.9}
    summary = [Summary("Set5", "m", 0.5, len(rows), len(rows) + len(failures), metrics, 12345, 67_890_000_000, 0.01)]
    return Result(protocol_of("y", 4).record(), [{"name": "m"}], MACHINE, rows, summary, list(failures))


def test_three_files_with_the_same_numbers(tmp_path):
    failure = Failure("Set5", "bad", "", "cannot be read")
    paths = write_result(tmp_path / "new" / "x.json", result_of([30.0, math.inf], [failure]))
    assert [path.name for path in paths] == ["x.json", "x.csv", "x.md", "x.tex"]
    assert len(list((tmp_path / "new").iterdir())) == 4

    content = json.loads(paths[0].read_text())
    assert content["schema"] == 2 and content["protocol"]["name"] == "y" and content["protocol"]["scale"] == 4
    assert content["rows"][0] == {
        "set": "Set5",
        "image": "i0",
        "model": "m",
        "width": 0.5,
        "seconds": 0.01,
        "psnr": 30.0,
        "ssim": 0.9,
    }
    assert content["rows"][1]["psnr"] is None and content["rows"][1]["identical"] is True
    assert content["summary"] == [
        {"set": "Set5", "model": "m", "width": 0.5, "n": 2, "n_expected": 3, "params": 12345,
             "multi_adds": 67_890_000_000, "seconds": 0.01, "peak_bytes": None,
             "psnr": None, "ssim": 0.9, "identical": True}
    ]  # fmt: skip
    assert content["failures"] == [{"set": "Set5", "image": "bad", "model": "", "reason": "cannot be read"}]

    lines = list(csv.DictReader(paths[1].open()))
    assert [line["psnr"] for line in lines] == ["30.0", "inf"] and lines[0]["image"] == "i0"

    text = paths[2].read_text()
    assert "| Set5 | m | 0.5 | identical | 0.9000 | 12.35 K | 67.89 G | 10.0 | 2 of 3 |" in text.replace(
        "12.34 K", "12.35 K"
    )
    assert "Protocol y: ×4" in text and "bad" in text and "abacus" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert len(widths) == 1


def test_result_file_must_be_json(tmp_path):
    with pytest.raises(InputError, match=r"must end in \.json"):
        write_result(tmp_path / "x.csv", result_of([30.0]))


@given(st.lists(st.one_of(st.floats(1, 99), st.just(math.inf)), min_size=1, max_size=5))
def test_json_is_strict_and_says_identical_exactly_where_psnr_is_infinite(values):
    def refuse(constant):
        raise AssertionError(constant)

    content = json.loads(result_of(values).to_json(), parse_constant=refuse)
    for row, value in zip(content["rows"], values, strict=True):
        assert row["psnr"] == (None if math.isinf(value) else value)
        assert ("identical" in row) == math.isinf(value)
    assert ("identical" in content["summary"][0]) == (math.inf in values)


def test_digits():
    assert [metric_of(name).text(28.43142) for name in ("psnr", "PSNR_y")] == ["28.431", "28.431"]
    assert [metric_of("ssim").text(value) for value in (0.811269, None)] == ["0.8113", "–"]


def test_latex_escapes_names_and_marks_the_best_of_each_set(tmp_path):
    result = result_of([30.0])
    metrics = {"a_b+": {"psnr": 31.25, "ssim": 0.9}, "c&d": {"psnr": 30.5, "ssim": 0.9, "lpips": 0.1}}
    result.summary = [
        Summary(name, model, 1.0, 1, 1, values, None, None, None)
        for name in ("Set5", "Set14")
        for model, values in metrics.items()
    ]
    result.rows = [Row("Set5", "i", "c&d", 1.0, metrics["c&d"], None)]
    result.warnings = ["50 % of it"]
    lines = write_result(tmp_path / "x.json", result)[3].read_text().splitlines()
    assert r"Set5 & a\_b+ & 1 & \textbf{31.250} & \textbf{0.9000} & -- & -- & -- & -- \\" in lines
    assert r"Set14 & c\&d & 1 & 30.500 & \textbf{0.9000} & \textbf{0.1000} & -- & -- & -- \\" in lines
    assert lines.count(r"\midrule") == 2 and "% Warning: 50 % of it" in lines
    body = [line for line in lines if not line.startswith(("%", "\\"))]
    columns = re.search(r"tabular}{(\w+)}", "\n".join(lines))[1]
    assert {line.count(" & ") + 1 for line in body} == {len(columns)}


def test_columns_without_figures_say_why():
    result = result_of([30.0])
    result.missing = {"lpips": "no weights: srkd data get-model alexnet"}
    table = summary_of(result)
    assert "– (no weights)" in table.rows[0] and table.columns[5].name == "LPIPS"
    assert "LPIPS has no numbers: no weights: srkd data get-model alexnet." in notes(result)
    assert rows_of(result).csv().splitlines()[1].split(",")[6] == ""


RESULTS = Path(__file__).parents[2] / "docs" / "results"


# A result has its .csv beside it; what scripts wrote beside results has none.
@pytest.mark.parametrize(
    "path", [path for path in RESULTS.glob("*/*.json") if path.with_suffix(".csv").exists()], ids=str
)
def test_results_that_were_written_before_are_written_the_same_again(path, tmp_path):
    # schema 1, by several versions: tables of every kind are byte for byte what they were
    result = read_result(path)
    for file in write_result(tmp_path / path.name, result)[1:]:
        assert file.read_text(encoding="utf-8") == path.with_suffix(file.suffix).read_text(encoding="utf-8"), file.name
    again = read_result(tmp_path / path.name)
    assert again.to_json() == result.to_json() and json.loads(again.to_json())["schema"] == 2
