import json

import pytest

from srkd.cli import main


def test_cost_of_the_trained_widths(checkpoint, tmp_path, capsys):
    out = tmp_path / "cost.json"
    assert main(["cost", str(checkpoint), "--size", "8x9", "--runs", "2", "--device", "cpu", "-o", str(out)]) == 0
    content = json.loads(out.read_text())
    assert [(row["model"], row["width"], row["size"]) for row in content["rows"]] == [
        ("net", 1.0, [8, 9]),
        ("net", 0.5, [8, 9]),
    ]
    assert content["rows"][0]["latency"]["runs"] == 2 and content["environment"]["device"] == "cpu"
    printed = capsys.readouterr().out
    assert "multi-adds 720p" in printed and "FLOPs 256²" in printed and "median, ms" in printed and "NTIRE" in printed


def test_counting_alone_runs_nothing(checkpoint, capsys):
    assert main(["cost", str(checkpoint), "--widths", "1/4", "--no-latency"]) == 0
    printed = capsys.readouterr().out
    assert "0.25" in printed and "median" not in printed and "Latency" not in printed


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--size", "180"], "--size is height x width"),
        (["--size", "0x9"], "--size is height x width"),
        (["--runs", "0"], "--no-latency measures nothing"),
        (["--widths", "0.3"], "`width` (=0.3) is not valid"),
        (["--precision", "fp16", "--device", "cpu"], "precision 'fp16' is not available on cpu"),
        (["-o", "x.txt"], "must end in .json"),
    ],
)
def test_wrong_input_exits_2(extra, message, checkpoint, capsys):
    assert main(["cost", str(checkpoint), *extra]) == 2
    assert message in capsys.readouterr().err
