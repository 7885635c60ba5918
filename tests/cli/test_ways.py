"""One table for what runs a network and what it computes in: `--runtime` and `--precision` of benchmark and cost."""

import json

import numpy as np
import pytest
import torch

from srkd.cli import main
from srkd.evaluation import benchmark as module
from srkd.evaluation.models import Model, in_ways, upscaler_at, with_upscaler
from srkd.inference import prepared
from srkd.inference.export import export
from srkd.networks.edsr import EDSR
from srkd.types import InputError

CPU = torch.device("cpu")
NAMES = ["net", "net (bf16)", "net (onnxruntime)", "net (openvino)", "net (openvino bf16)", "file", "file (openvino)"]


@pytest.fixture(autouse=True)
def _runtimes(tmp_path, monkeypatch):
    for package in ("onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(package)
    monkeypatch.setenv("SRKD_HOME", str(tmp_path / "home"))


@pytest.fixture
def files(checkpoint, tmp_path):
    """A network file and an exported one."""
    export(checkpoint, tmp_path / "file.onnx")
    return [str(checkpoint), str(tmp_path / "file.onnx")]


def run(*words):
    return main([*map(str, words), "--no-progress"])


def test_one_table_of_runtimes_precisions_and_files(files, folder, tmp_path, capsys):
    out = tmp_path / "all.json"
    ways = ["--width", 1, "--runtime", "torch,onnxruntime", "openvino", "--precision", "fp32,bf16"]
    assert run("benchmark", *files, "--sets", folder, *ways, "--no-teacher", "-o", out) == 0
    content = json.loads(out.read_text())
    assert [model["name"] for model in content["models"]] == ["bicubic", *NAMES]
    made_by = [(model["runtime"], model["precision"]) for model in content["models"][1:]]
    assert made_by == [
        ("torch", "fp32"), ("torch", "bf16"), ("onnxruntime", "fp32"), ("openvino", "fp32"), ("openvino", "bf16"),
        ("onnxruntime", "fp32"), ("openvino", "fp32"),
    ]  # fmt: skip
    assert all(model["runtime_version"] for model in content["models"][1:])
    found = {row["model"]: row for row in content["summary"]}
    exact = found["net"]["psnr"]
    for name, row in found.items():
        if name != "bicubic":
            assert row["psnr"] == pytest.approx(exact, abs=0.05 if "bf16" in name else 1e-3), name
            assert row["peak_bytes"] > 2**20
    assert found["net (bf16)"]["peak_bytes"] < found["net"]["peak_bytes"]
    assert found["bicubic"]["peak_bytes"] is None
    header = (tmp_path / "all.md").read_text().splitlines()[0]
    assert [name for name in ("PSNR", "ms/image", "runs in", "file, KB", "peak, MiB") if name not in header] == []
    printed = capsys.readouterr().out
    assert "openvino bf16" in printed and "torch fp32" in printed


def test_a_plain_benchmark_does_not_say_that_torch_ran_it(checkpoint, folder, capsys):
    assert run("benchmark", checkpoint, "--sets", folder, "--width", 1) == 0
    printed = capsys.readouterr().out
    assert "runs in" not in printed and "peak, MiB" in printed


def test_rows_of_another_runtime_are_never_taken_over(checkpoint, folder, tmp_path, capsys, monkeypatch):
    out = tmp_path / "r.json"
    command = ["benchmark", checkpoint, "--sets", folder, "--width", 1, "-o", out]
    assert run(*command, "--runtime", "onnxruntime") == 0
    assert run(*command, "--runtime", "openvino") == run(*command) == 2  # they would drop the rows of the first
    assert "which this command would drop" in capsys.readouterr().err
    assert run(*command, "--runtime", "onnxruntime") == 0
    assert json.loads(out.read_text())["timing"]["reused_rows"] == 6  # bicubic's and the network's
    monkeypatch.setattr(module, "version_of", lambda package: "another")
    assert run(*command, "--runtime", "onnxruntime") == 0
    assert json.loads(out.read_text())["timing"]["reused_rows"] == 3  # bicubic's
    # and where a result of the same name is another runtime's
    content = json.loads(out.read_text())
    content["models"][1]["runtime"] = "openvino"
    out.write_text(json.dumps(content))
    assert run(*command, "--runtime", "onnxruntime") == 0
    assert json.loads(out.read_text())["timing"]["reused_rows"] == 3


@pytest.mark.parametrize(("runtime", "precision"), [("torch", "bf16"), ("onnxruntime", "fp32"), ("openvino", "fp32")])
def test_a_network_of_luma_runs_in_it_too(monkeypatch, rng, runtime, precision):
    torch.manual_seed(0)
    network = EDSR(num_in_ch=1, num_out_ch=1, num_feat=4, num_block=1, upscale=2, rgb_mean=(0.0,)).eval()
    ran = []
    real = prepared.through
    monkeypatch.setattr(prepared, "through", lambda network, way: ran.append(way) or real(network, way))
    plane = 255 * rng.random((20, 25))
    exact, other = (
        with_upscaler(upscaler_at(model, 1.0, device="cpu"))(plane)
        for model in (Model("n", network), Model("n", network, runtime=runtime, precision=precision))
    )
    assert ran == ([] if runtime == "torch" else [f"{runtime} {precision}"])
    difference = np.abs(exact - other).max()
    assert 0.01 < difference < 5 if precision == "bf16" else difference < 0.01  # of 255


def test_cost_has_a_row_for_each(files, tmp_path, capsys):
    out = tmp_path / "cost.json"
    ways = ["--runtime", "torch", "openvino", "--precision", "bf16,fp32", "--size", "8x9", "--runs", 1, "--width", 1]
    assert run("cost", *files, *ways, "-o", out) == 0
    content = json.loads(out.read_text())
    rows = {row["model"]: row for row in content["rows"]}
    assert {name: row["runs_in"] for name, row in rows.items()} == {
        "net (bf16)": "torch bf16", "net": "torch fp32", "net (openvino bf16)": "openvino bf16",
        "net (openvino)": "openvino fp32", "file": "onnxruntime fp32", "file (openvino)": "openvino fp32",
    }  # fmt: skip
    assert all(row["latency"]["median"] > 0 and row["peak_bytes"] > 0 for row in rows.values())
    assert len({(row["params"], row["multi_adds"]) for name, row in rows.items() if name.startswith("net")}) == 1
    assert content["precision"] == "bf16, fp32"
    assert "openvino bf16" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["benchmark", "cost"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--runtime", "tensorrt"], "runtime 'tensorrt' is not known; allowed: torch, onnxruntime, openvino"),
        (["--runtime", "auto"], "runtime 'auto' is not known"),
        (["--runtime", "onnxruntime", "--precision", "bf16"], "onnxruntime does not compute in bf16: add fp32"),
        (["--precision", "fp17"], "precision 'fp17' is not available on cpu"),
    ],
)
def test_what_cannot_be_is_one_sentence(command, words, message, checkpoint, folder, capsys):
    more = ["--sets", folder] if command == "benchmark" else ["--no-latency"]
    assert run(command, checkpoint, *more, *words) == 2
    assert message in capsys.readouterr().err


def test_names_say_what_is_not_usual(network):
    teacher = Model("big (teacher of net)", network)
    ways = in_ways([Model("net", network), teacher, Model("bicubic")], ["torch"], ["fp32", "bf16"], CPU)
    assert [model.name for model in ways][:4] == [
        "net", "net (bf16)", "big (teacher of net)", "big (bf16) (teacher of net)",
    ]  # fmt: skip
    with pytest.raises(InputError, match="openvino does not compute in fp16"):
        in_ways([Model("net", network)], ["openvino"], ["fp16"], torch.device("cuda"))


def test_a_width_is_for_networks_that_have_several_and_the_report_shows_them_all(files, folder, tmp_path, capsys):
    out = tmp_path / "r.json"
    assert run("benchmark", *files, "--sets", folder, "--width", 0.5, "--precision", "fp32,bf16", "-o", out) == 0
    rows = {(row["model"], row["width"]) for row in json.loads(out.read_text())["summary"]}
    assert rows == {("bicubic", 1), ("net", 0.5), ("net (bf16)", 0.5), ("file", 1)}
    assert run("report", out, "-o", tmp_path / "r.html", "--images", 1, "--strips", tmp_path / "strips") == 0
    printed = capsys.readouterr().out
    assert "no pictures" not in printed and len([*(tmp_path / "strips").iterdir()]) == 1
