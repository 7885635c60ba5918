"""The table of papers: methods down, sets across, the best in bold, bicubic and teachers apart."""

import pytest

from srkd.cli import main
from srkd.evaluation.arms import read_arms
from srkd.evaluation.paper import paper_table
from srkd.evaluation.protocols import protocol_of
from srkd.evaluation.result import BICUBIC, Result, Row, metric_of
from srkd.evaluation.tables import write_result

MACHINE = {"srkd_version": "1", "torch": "2", "hardware": "abacus", "device": "cpu", "threads": 1}
PSNR, SSIM = ("psnr", metric_of("psnr")), ("ssim", metric_of("ssim"))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = {
        BICUBIC: 28.0, "big (teacher of a_b)": 33.0, "a_b_seed0": 30.0, "a_b_seed1": 30.2, "c": 30.05, "d": 30.1
    }  # fmt: skip
    rows = [
        Row(name, image, model, 1.0, {"psnr": value + at, "ssim": value / 40}, 0.1)
        for name in ("Set5", "Urban100")
        for at, image in enumerate(("x", "y"))
        for model, value in values.items()
        if (name, model) != ("Urban100", "c")
    ]
    write_result(
        tmp_path / "all.json",
        Result(protocol_of("y", 4).record(), [{"name": model} for model in values], MACHINE, rows),
    )


def rows_of(text):
    lines = [line for line in text.splitlines() if line.endswith(r"\\")]
    return [[cell.strip() for cell in line.removesuffix(r"\\").split("&")] for line in lines]


def test_means_spreads_and_the_best():
    text = paper_table(read_arms(["all.json"], keep_bicubic=True), ["Set5", "Urban100"], [PSNR], "y")
    assert rows_of(text) == [
        ["Method", "Set5", "Urban100"],
        ["bicubic", "28.500", "28.500"],
        ["big (teacher of a\\_b)", "33.500", "33.500"],
        ["a\\_b", r"\textbf{30.600 $\pm$ 0.141}", r"\textbf{30.600 $\pm$ 0.141}"],
        ["c", "30.550", "--"],
        ["d", r"\textbf{30.600}", r"\textbf{30.600}"],  # equal as shown
    ]
    assert text.startswith("% y\n")
    assert text.count(r"\midrule") == 2


def test_several_metrics_and_nobody_apart():
    text = paper_table(read_arms(["c=all.json:c", "d=all.json:d"]), ["Set5"], [PSNR, SSIM], "y")
    assert rows_of(text)[0] == ["Method", "Set5 PSNR", "Set5 SSIM"]
    assert rows_of(text)[1:] == [["c", "30.550", "0.7512"], ["d", r"\textbf{30.600}", r"\textbf{0.7525}"]]
    assert text.count(r"\midrule") == 1


def test_compare_writes_it(tmp_path, capsys):
    assert main(["compare", "all.json:c", "all.json:d", "-o", "x.tex", "--sets", "Set5"]) == 0
    assert rows_of((tmp_path / "x.tex").read_text())[-1][-1] == r"\textbf{30.600}"
    assert main(["compare", "all.json:c", "all.json:d", "-o", "x.doc"]) == 2
    assert ".json, .md or .tex" in capsys.readouterr().err


def test_benchmark_writes_it(tmp_path, capsys):
    import numpy as np

    from srkd.imaging.files import write_image

    write_image(tmp_path / "set" / "a.png", np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))
    command = ["benchmark", "bicubic", "--sets", "set", "--scale", "2", "--format", "paper-tex"]
    assert main([*command, "-o", "r.json"]) == 0
    assert rows_of((tmp_path / "r.tex").read_text())[0] == ["Method", "set PSNR", "set SSIM"]
    assert main(command) == 2
    assert "name one" in capsys.readouterr().err
