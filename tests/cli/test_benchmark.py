import csv
import json

import numpy as np
import pytest
from reference import super_resolve

from srkd.cli import main
from srkd.imaging.files import read_image, write_image
from srkd.imaging.resize import imresize, mod_crop

# PSNR and SSIM of bicubic interpolation on Set5: `y` as measured by independent code, `paper-y` as papers print it.
SET5 = {
    ("y", 2): (33.682, 0.93052),
    ("y", 3): (30.405, 0.86897),
    ("y", 4): (28.431, 0.81127),
    ("paper-y", 2): (33.66, 0.9299),
    ("paper-y", 3): (30.39, 0.8682),
    ("paper-y", 4): (28.42, 0.8104),
}


@pytest.mark.parametrize(("protocol", "scale"), SET5)
def test_bicubic_on_set5(protocol, scale, shared_data, tmp_path):
    out = tmp_path / "x.json"
    command = ["benchmark", "bicubic", "--sets", str(shared_data / "Set5"), "--scale", str(scale), "-o", str(out)]
    assert main([*command, "--protocol", protocol, "--device", "cpu"]) == 0
    (summary,) = json.loads(out.read_text())["summary"]
    psnr, ssim = SET5[protocol, scale]
    assert summary["psnr"] == pytest.approx(psnr, abs=0.005 if protocol == "y" else 0.02)
    assert summary["ssim"] == pytest.approx(ssim, abs=1e-4 if protocol == "y" else 2e-4)
    assert (summary["set"], summary["model"], summary["n"], summary["n_expected"]) == ("Set5", "bicubic", 5, 5)


def test_everything_at_once(folder, checkpoint, network, tmp_path, capsys):
    out, images = tmp_path / "r" / "x.json", tmp_path / "images"
    command = [
        "benchmark",
        str(checkpoint),
        "bicubic",
        "--sets",
        str(folder),
        "--widths",
        "1.0,0.5,1/4",
        "--limit",
        "2",
    ]
    assert main([*command, "-o", str(out), "--save-images", str(images), "--device", "cpu"]) == 0
    content = json.loads(out.read_text())
    assert [model["name"] for model in content["models"]] == ["bicubic", "net"]
    model = content["models"][1]
    assert (model["path"], model["key"], model["iter"], model["method"]) == (str(checkpoint), "params", 7, "CSD")
    assert model["network"]["type"] == "EDSR" and model["network"]["num_feat"] == 8
    assert [(row["model"], row["width"]) for row in content["summary"]] == [
        ("bicubic", 1.0),
        ("net", 1.0),
        ("net", 0.5),
        ("net", 0.25),
    ]
    assert len(content["rows"]) == 8 == len(list(csv.reader(out.with_suffix(".csv").open()))) - 1
    assert {"torch", "device", "threads"} <= content["environment"].keys()
    assert out.with_suffix(".md").read_text().startswith("| set | model | width | PSNR | SSIM |")
    printed = capsys.readouterr().out
    assert "Warning: net was not trained at width 0.25" in printed
    assert "Protocol y: ×2" in printed and "multi-adds" in printed

    lq = imresize(mod_crop(read_image(folder / "HR" / "img0.png"), 2), scale=0.5)
    assert np.array_equal(read_image(images / "mine" / "img0_net_w0.5.png"), super_resolve(network, lq, width=0.5))
    assert np.array_equal(read_image(images / "mine" / "img0_bicubic_w1.png"), imresize(lq, scale=2))


def test_widths_default_to_the_trained_ones(folder, checkpoint, tmp_path):
    assert main(["benchmark", str(checkpoint), "--sets", str(folder), "-o", str(tmp_path / "x.json")]) == 0
    summary = json.loads((tmp_path / "x.json").read_text())["summary"]
    assert [row["width"] for row in summary] == [1.0, 1.0, 0.5]


def test_corrupt_image_exits_1_after_writing_the_rest(folder, checkpoint, tmp_path, capsys):
    (folder / "HR" / "img1.png").write_bytes(b"\x89PNG")
    assert main(["benchmark", str(checkpoint), "--sets", str(folder), "-o", str(tmp_path / "x.json")]) == 1
    content = json.loads((tmp_path / "x.json").read_text())
    assert [(row["n"], row["n_expected"]) for row in content["summary"]] == [(2, 3)] * 3
    assert content["failures"][0]["image"] == "img1"
    captured = capsys.readouterr()
    assert "2 of 3" in captured.out and "mine/img1" in captured.err and "Traceback" not in captured.err


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--scale", "4"], "--scale is 4, but net is a ×2 network"),
        (["--widths", "0.3"], "`width` (=0.3) is not valid"),
        (["--widths", "half"], "a width is a number or a fraction"),
        (["--protocol", "paper-y"], "use protocol y"),
        (["--protocol", "Y"], "Did you mean 'y'"),
        (["--limit", "0"], "--limit is at least 1"),
        (["--device", "abacus"], "device 'abacus' is unknown"),
        (["-o", "x.txt"], "must end in .json"),
        (["--force_yml", "a:b=c"], "give one with -opt"),
    ],
)
def test_wrong_input_exits_2(extra, message, folder, checkpoint, capsys):
    assert main(["benchmark", str(checkpoint), "--sets", str(folder), *extra]) == 2
    assert message in capsys.readouterr().err


def test_sets_and_models_are_needed(checkpoint, folder, capsys):
    assert main(["benchmark", str(checkpoint)]) == 2
    assert main(["benchmark", "--sets", str(folder)]) == 2
    assert main(["benchmark", "missing.pth", "--sets", str(folder)]) == 2
    assert main(["benchmark", str(checkpoint), "--sets", "Set6"]) == 2
    assert "Did you mean 'Set5'" in capsys.readouterr().err


TEST_FILE = """
name: mine_test
scale: 2
num_gpu: 0
datasets:
  test_1: {{name: A, type: PairedImageDataset, dataroot_gt: {gt}, dataroot_lq: {lq}, io_backend: {{type: disk}}}}
  test_2: {{name: B, type: PairedImageDataset, dataroot_gt: {gt}, dataroot_lq: {lq}, io_backend: {{type: disk}}}}
network_g: {{type: EDSR, num_in_ch: 3, num_out_ch: 3, num_feat: 8, num_block: 1, upscale: 2}}
path:
  pretrain_network_g: {checkpoint}
  strict_load_g: true
  results_root: {results}
val:
  save_img: true
  suffix: ~
  metrics:
    psnr: {{type: calculate_psnr, crop_border: 2, test_y_channel: true}}
    rgb: {{type: calculate_psnr, crop_border: 0, test_y_channel: false}}
"""


@pytest.fixture
def test_file(folder, checkpoint, tmp_path, network):
    for path in (folder / "HR").iterdir():
        gt = mod_crop(read_image(path), 2)
        write_image(tmp_path / "gt" / path.name, gt)
        write_image(tmp_path / "lq" / path.name, np.flipud(imresize(gt, scale=0.5)))  # not what bicubic would make
    file = tmp_path / "test.yml"
    file.write_text(
        TEST_FILE.format(gt=tmp_path / "gt", lq=tmp_path / "lq", checkpoint=checkpoint, results=tmp_path / "res")
    )
    return file


def test_option_file(test_file, tmp_path, network, capsys):
    assert main(["test", "-opt", str(test_file)]) == 0
    out = tmp_path / "res" / "mine_test"
    content = json.loads((out / "results.json").read_text())
    runs = [("bicubic", 1.0), ("mine_test", 1.0), ("mine_test", 0.5)]
    expected = [(name, model, width) for name in "AB" for model, width in runs]
    assert [(row["set"], row["model"], row["width"]) for row in content["summary"]] == expected
    name, options = content["protocol"]["metrics"]["rgb"]
    assert (name, options["crop_border"], options["test_y_channel"]) == ("calculate_psnr", 0, False)
    assert all({"psnr", "rgb"} <= row.keys() and "ssim" not in row for row in content["rows"])
    lq = read_image(tmp_path / "lq" / "img0.png")
    for set_name in "AB":
        saved = read_image(out / "visualization" / set_name / "img0_mine_test_w0.5.png")
        assert np.array_equal(saved, super_resolve(network, lq, width=0.5))
    assert "rgb: not comparable with papers' tables" in capsys.readouterr().out


def test_option_file_with_overrides(test_file, tmp_path):
    overrides = ["val.widths=[1.0]", "val.suffix=new", "name=other"]
    assert main(["benchmark", "-opt", str(test_file), *overrides, "--limit", "1"]) == 0
    images = sorted(path.name for path in (tmp_path / "res" / "other" / "visualization" / "A").iterdir())
    assert images == ["img0_new.png"]


def test_option_file_without_weights_or_with_other_flags(test_file, capsys):
    assert main(["benchmark", "-opt", str(test_file), "path.pretrain_network_g=~"]) == 2
    assert main(["benchmark", "-opt", str(test_file), "--scale", "2", "--save-images", "x"]) == 2
    error = capsys.readouterr().err
    assert "path.pretrain_network_g is missing" in error and "--scale, --save-images cannot be given" in error


def test_several_protocols_have_a_file_each_and_none_is_computed_twice(folder, checkpoint, tmp_path, capsys):
    command = ["benchmark", str(checkpoint), "--sets", str(folder), "--protocol", "y,rgb"]
    command += ["-o", str(tmp_path / "x.json"), "--device", "cpu"]
    assert main(command) == 0
    files = {path.name for path in tmp_path.iterdir() if path.name.startswith("x")}
    assert files == {f"x_{name}.{suffix}" for name in ("y", "rgb") for suffix in ("json", "csv", "md", "tex")}
    contents = [json.loads((tmp_path / f"x_{name}.json").read_text()) for name in ("y", "rgb")]
    assert [content["protocol"]["name"] for content in contents] == ["y", "rgb"]
    like_tables = [[line for line in content["warnings"] if "below bicubic" not in line] for content in contents]
    assert like_tables[1] and not like_tables[0]  # this network is not trained, which is said too
    printed = capsys.readouterr().out
    assert "9 of 9 rows" not in printed and "Warning: PSNR and SSIM are of RGB" in printed
    assert main(command) == 0
    assert capsys.readouterr().out.count("9 of 9 rows are from an earlier run") == 2
    assert main([*command, "--overwrite"]) == 0
    assert "earlier run" not in capsys.readouterr().out


def test_lpips_without_weights_is_refused_before_the_work(folder, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SRKD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    command = ["benchmark", str(checkpoint), "--sets", str(folder), "--lpips", "vgg", "-o", str(tmp_path / "x.json")]
    assert main(command) == 2
    assert "srkd data get-model vgg16, or leave out --lpips" in capsys.readouterr().err
    assert not list(tmp_path.glob("x.*"))


def test_ctrl_c_keeps_what_was_found(folder, checkpoint, tmp_path, monkeypatch, capsys):
    from srkd.evaluation import pipeline

    score, calls = pipeline.Run._score, []

    def interrupted(self, *args):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return score(self, *args)

    monkeypatch.setattr(pipeline.Run, "_score", interrupted)
    command = ["benchmark", str(checkpoint), "--sets", str(folder), "-o", str(tmp_path / "x.json")]
    assert main(command) == 130
    partial = tmp_path / "x.partial.jsonl"
    assert f"What was done is kept in {partial}" in capsys.readouterr().err
    assert partial.exists() and not (tmp_path / "x.json").exists()
    assert main(command) == 0
    assert "4 of 9 rows are from an earlier run" in capsys.readouterr().out and not partial.exists()


def test_self_ensemble_tile_and_pictures(folder, checkpoint, tmp_path):
    out, images = tmp_path / "x.json", tmp_path / "images"
    command = ["benchmark", str(checkpoint), "--sets", str(folder), "--limit", "1", "--widths", "0.5", "-o", str(out)]
    command += ["--self-ensemble", "--tile", "16"]
    assert main(command) == 0
    assert main([*command, "--save-images", str(images)]) == 0  # rows without their picture are made again
    content = json.loads(out.read_text())
    assert content["tile"] == 16 and content["protocol"]["self_ensemble"] is True
    assert [row["model"] for row in content["rows"]] == ["bicubic", "net+"]
    assert content["timing"]["reused_rows"] == 0 and len(list((images / "mine").iterdir())) == 2
    assert main(["benchmark", str(checkpoint), "--sets", str(folder), "--tile", "few"]) == 2


def test_given_lr_images(folder, checkpoint, tmp_path, capsys):
    for path in (folder / "HR").iterdir():
        write_image(folder / "LRbicx2" / path.name, np.flipud(imresize(mod_crop(read_image(path), 2), scale=0.5)))
    command = ["benchmark", str(checkpoint), "--sets", str(folder)]
    assert main([*command, "--given-lr"]) == 0
    assert "LR images of mine are not MATLAB's bicubic ones" in capsys.readouterr().out
    assert main(command) == 0
    assert "MATLAB's bicubic ones" not in capsys.readouterr().out
