"""ONNX files as networks: the same pictures, counts and messages as of the network they were written from."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import srkd
from srkd.cli import main
from srkd.compat.onnx_file import OnnxRuntime, onnx_network
from srkd.inference.export.export import Form, export
from srkd.metrics.cost import convolutions, multi_adds, parameters
from srkd.networks.edsr import EDSR
from srkd.networks.fsrcnn import FSRCNN
from srkd.networks.rcan import RCAN
from srkd.networks.slim import Network
from srkd.networks.weights import save_network
from srkd.types import InputError

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

NETWORKS: dict[str, Network] = {
    "direct": EDSR(num_feat=8, num_block=2, upscale=4, upsampler="direct"),
    "two_step": EDSR(num_feat=8, num_block=1, upscale=2),
    "attention": RCAN(num_feat=8, num_group=1, num_block=1, squeeze_factor=4, upscale=2),
    "luma": FSRCNN(num_feat=8, upscale=2),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx")
    for name, network in NETWORKS.items():
        export(network.eval(), folder / f"{name}.onnx")
    export(NETWORKS["two_step"], folder / "fixed.onnx", form=Form(size=(40, 60)))
    save_network(folder / "two_step.pth", NETWORKS["two_step"])
    return folder


def runtimes() -> list[OnnxRuntime]:
    try:
        import openvino  # noqa: F401  # pyright: ignore
    except ImportError:
        return ["onnxruntime"]
    return ["onnxruntime", "openvino"]


@pytest.mark.parametrize("runtime", runtimes())
@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_computes_what_its_network_computes(files: Path, name: str, runtime: OnnxRuntime) -> None:
    network, file = NETWORKS[name], onnx_network(files / f"{name}.onnx", runtime=runtime)
    for size in ((1, 17, 29), (3, 24, 20)):
        image = torch.rand(size[0], network.num_in_ch, *size[1:])
        assert torch.allclose(file(image), network(image), rtol=0, atol=1e-5)
    assert (file.scale, file.num_in_ch, file.num_out_ch) == (network.scale, network.num_in_ch, network.num_out_ch)
    assert file.config == {"path": str(files / f"{name}.onnx"), "runtime": runtime, "precision": "fp32"}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_file_is_counted_as_its_network_is(files: Path, name: str) -> None:
    network, file = NETWORKS[name], srkd.load_network(files / f"{name}.onnx")
    size = {"height": 18, "width_px": 26}
    assert multi_adds(file, **size) == multi_adds(network, **size)
    assert convolutions(file, **size) == convolutions(network, **size)
    # PReLU of one slope is written as other operations
    assert parameters(file) == pytest.approx(parameters(network), rel=2e-3)


def test_pictures_in_windows_and_in_copies(files: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    whole = srkd.Upscaler(files / "two_step.onnx", tile=0).upscale(image)
    exact = srkd.Upscaler(NETWORKS["two_step"], tile=0, precision="fp32").upscale(image)
    assert np.abs(whole.astype(int) - exact).max() <= 1
    windows = srkd.Upscaler(copy.deepcopy(srkd.load_network(files / "two_step.onnx")), tile=24)
    assert windows.margin == srkd.Upscaler(NETWORKS["two_step"]).margin
    assert np.abs(windows.upscale(image).astype(int) - whole).max() <= 1
    assert windows.precision == "fp32"


def test_a_file_of_one_size_takes_smaller_images_and_refuses_larger_ones(files: Path) -> None:
    file = srkd.load_network(files / "fixed.onnx")
    image = torch.rand(1, 3, 30, 50)
    expected = NETWORKS["two_step"](image)
    made = file(image)
    assert made.shape == expected.shape
    assert torch.allclose(made[..., :30, :60], expected[..., :30, :60], atol=1e-5)  # away from what was added
    with pytest.raises(InputError, match=r"images of 40 × 60 pixels only.*--tile"):
        file(torch.rand(1, 3, 41, 60))


def test_files_of_others_without_metadata(tmp_path: Path) -> None:
    """One image at a time, other names for input and output, weights of a matrix product."""
    module = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.PixelShuffle(2)).eval()
    path = tmp_path / "theirs.onnx"
    torch.onnx.export(
        module, (torch.rand(1, 3, 8, 8),), path, input_names=["image"], output_names=["big"],
        dynamic_shapes=({2: torch.export.Dim("h"), 3: torch.export.Dim("w")},), dynamo=True, external_data=False,
        verbose=False,
    )  # fmt: skip
    file = onnx_network(path)
    images = torch.rand(3, 3, 9, 13)
    assert file.scale == 2
    assert torch.allclose(file(images), module(images), atol=1e-5)
    assert file.receptive_field is None


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x08\x07" + b"\xff" * 40])
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    assert main(["cost", str(path)]) == 2
    assert "is no valid ONNX file" in capsys.readouterr().err


def test_what_is_no_super_resolution_is_refused(tmp_path: Path) -> None:
    module, image = (
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval(),
        torch.rand(1, 3, 8, 8),
    )
    for beside, words in ((True, "weights in files beside it"), (False, "not a larger one")):
        path = tmp_path / f"{beside}.onnx"
        torch.onnx.export(module, (image,), path, dynamo=True, external_data=beside, verbose=False)
        with pytest.raises(InputError, match=words):
            onnx_network(path)


def test_a_file_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "no_such.onnx"]) == 2
    assert "no_such.onnx does not exist" in capsys.readouterr().err


def test_benchmark_cost_and_upscale_take_files(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
    from srkd.imaging.files import write_image

    (tmp_path / "set").mkdir()
    write_image(tmp_path / "set" / "a.png", image)
    both = [str(files / "two_step.pth"), str(files / "two_step.onnx")]
    assert (
        main(
            [
                "benchmark",
                *both,
                "--precision",
                "fp32,bf16",
                "--sets",
                str(tmp_path / "set"),
                "-o",
                str(tmp_path / "r.json"),
            ]
        )
        == 0
    )
    from srkd.evaluation.result import read_result

    result = read_result(tmp_path / "r.json")
    scores = {row.model: row.metrics["psnr"] for row in result.rows}
    ours, theirs = (scores[name] for name in ("two_step.pth", "two_step.onnx"))
    assert ours == pytest.approx(theirs, abs=1e-3)
    assert result.record("two_step.onnx")["network"]["runtime"] == "onnxruntime"
    assert scores["two_step.pth (bf16)"] == pytest.approx(ours, abs=0.1)
    assert scores["two_step.pth (bf16)"] != ours
    assert "two_step.onnx (bf16)" not in scores
    shown = (tmp_path / "r.md").read_text()
    assert f"{(files / 'two_step.onnx').stat().st_size / 1024:.0f} |" in shown
    assert main(["cost", *both, "--size", "16x16", "--runs", "1"]) == 0
    shown = capsys.readouterr().out
    assert "onnxruntime fp32" in shown
    assert "torch fp32" in shown
    assert main(["upscale", str(tmp_path / "set" / "a.png"), "-m", both[1], "-o", str(tmp_path / "a_x2.png")]) == 0
    assert (tmp_path / "a_x2.png").is_file()
