"""The page on foreign networks, done: a plugin outside the package reaches every command, and no file imports it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from skimage import data

from srkd.cli import main
from srkd.imaging.files import read_image, write_image
from srkd.networks.weights import build_network, read_weights

PAGE = Path(__file__).resolve().parents[2] / "docs" / "foreign_networks.md"


FILE = "experiments/light/models/net_g_latest.pth"


@pytest.fixture(scope="module")
def _trained(tmp_path_factory):
    """The page's plugin under the name `my_networks`, photographs, and a network trained for four iterations."""
    folder = tmp_path_factory.mktemp("evening")
    plugin, measured = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[:2]
    (folder / "my_networks.py").write_text(plugin)
    (folder / "measured.py").write_text(measured)
    for number in range(3):
        write_image(folder / f"photos/p{number}.png", data.astronaut()[60 * number : 60 * number + 48, 100:156].copy())
    recipe = {
        "name": "light",
        "scale": 2,
        "plugins": ["my_networks"],
        "datasets": {
            "train": {"type": "PairedImageDataset", "dataroot_gt": "photos", "gt_size": 40, "batch_size_per_gpu": 2},
            "val": {"type": "PairedImageDataset", "dataroot_gt": "photos"},
        },
        "network_g": {"type": "Light", "feats": 6},
        "train": {"total_iter": 4, "optim_g": {"type": "Adam", "lr": 1e-4}, "precision": "fp32"},
        "val": {"val_freq": 2, "metrics": {"psnr": {"type": "calculate_psnr", "crop_border": 2}}},
        "logger": {"save_checkpoint_freq": 2, "use_tb_logger": False},
    }
    (folder / "light.yml").write_text(yaml.safe_dump(recipe))
    run(folder, "train", "-opt", "light.yml")
    run(folder, "benchmark", FILE, "--sets", "photos", "-o", "seen.json", "--plugin", "my_networks")
    for number in range(3):
        write_image(folder / f"same/p{number}.png", read_image(folder / f"photos/p{number}.png"))
    taught = {"network_g_teacher": recipe["network_g"], "path": {"pretrain_network_g_teacher": FILE}}
    taught |= {"network_g": {"type": "EDSR", "num_feat": 4, "num_block": 1}, "name": "taught"}
    taught |= {"method": {"type": "OutputKD", "teacher_cache": "outputs"}}
    (folder / "taught.yml").write_text(yaml.safe_dump(recipe | taught))
    return folder


def run(folder, *arguments, status=0, **environment):
    """A command in a process of its own, where nothing has imported the plugin."""
    import os

    whole = {**os.environ, "SRKD_HOME": str(folder / "home"), "COLUMNS": "200", **environment}
    done = subprocess.run(
        [sys.executable, "-m", "srkd", *arguments], cwd=folder, env=whole, capture_output=True, text=True
    )
    assert done.returncode == status and "Traceback" not in done.stderr, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_file_names_its_plugin_and_does_not_import_it(_trained):
    assert read_weights(_trained / FILE).meta["plugin"] == "my_networks"
    answer = run(_trained, "cost", FILE, status=2)
    assert "holds a 'Light' from the plugin 'my_networks', which is not loaded" in answer
    assert "--plugin my_networks" in answer and "SRKD_PLUGINS" in answer


@pytest.mark.parametrize(
    "command",
    [
        ["benchmark", FILE, "--sets", "photos", "-o", "result.json"],
        ["upscale", "photos/p0.png", "-m", FILE, "-o", "large.png"],
        ["export", FILE, "-o", "exported.pth"],
        ["cost", FILE, "--no-latency", "-o", "cost.json"],
        ["list", "networks", "Light"],
        ["train", "-opt", "light.yml", "--auto_resume"],
        ["score", "same", "photos", "--scale", "2"],
        ["report", "seen.json", "-o", "page.html", "--experiment", "experiments/light"],
        ["compare", "seen.json:bicubic", "seen.json:light"],
        ["plot", "experiments/light", "-o", "curves.svg"],
        ["sweep", "-opt", "light.yml", "--seeds", "0", "--sets", "photos", "--name", "swept"],
        ["data", "render-teacher", "-opt", "taught.yml"],
        ["schema", "-o", "schema.json"],
        ["doctor"],
    ],
    ids=lambda command: command[0],
)
def test_every_command_takes_it(_trained, command):
    shown = run(_trained, *command, "--plugin", "my_networks", "--plugin", "./my_networks.py")
    if command[0] == "benchmark":
        assert json.loads((_trained / "result.json").read_text())["rows"]
        assert "below bicubic" in shown
    if command[0] == "export":
        assert read_weights(_trained / "exported.pth").meta["plugin"] == "my_networks"
    if command[0] == "report":
        assert "no pictures" not in shown
    if command[0] == "schema":
        assert "Light" in (_trained / "schema.json").read_text()
    if command[0] == "upscale":
        assert read_image(_trained / "large.png").shape == (96, 112, 3)


def test_the_teacher_of_the_command_line_may_be_of_a_plugin_of_the_file(_trained):
    shown = run(_trained, "train", "light.yml", "name=pupil", "--teacher", FILE, "--check")
    assert "All is well" in shown and "l_ts" in shown


def test_pictures_that_a_report_cannot_make_are_explained_once(_trained, tmp_path):
    """For two models of one plugin that is not loaded."""
    other = _trained / "experiments/light/models/net_g_2.pth"
    run(_trained, "benchmark", FILE, str(other), "--sets", "photos", "-o", "two.json", "--plugin", "my_networks")
    shown = run(_trained, "report", "two.json", "-o", str(tmp_path / "page.html"))
    assert shown.count("which is not loaded") == 1 and "no pictures of light, light/2: " in shown


SPOILT = {
    "ends": ("raise SystemExit('done')", "cannot import 'ends': SystemExit: done."),
    "syntax": ("def f(:\n", "cannot import 'syntax': SyntaxError: invalid syntax (syntax.py, line 1)."),
    "bytes": ("x = '\udcff'", "cannot import 'bytes': SyntaxError"),
    "taken": ("from srkd.registry import NETWORKS\n@NETWORKS.register\nclass EDSR: pass\n", "is registered twice"),
    "needs": ("import nothing_of_the_kind", "cannot import 'needs': ModuleNotFoundError: No module named"),
    "folder.py": (None, "plugin folder.py is a folder."),
    "gone.py": (None, "plugin gone.py does not exist."),
    "notes.txt": ("hello", "plugin notes.txt is no module"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_plugin_that_cannot_be_imported(tmp_path, name):
    text, said = SPOILT[name]
    (tmp_path / "folder.py").mkdir()
    if text is not None:
        path = tmp_path / (name if "." in name else f"{name}.py")
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
    assert said in " ".join(run(tmp_path, "list", "networks", "--plugin", name, status=2).split())


def test_a_type_that_cannot_be_understood_is_the_plugins_fault(_trained, tmp_path):
    lines = "from __future__ import annotations\nfrom srkd.registry import NETWORKS\n"
    (tmp_path / "odd.py").write_text(f"{lines}@NETWORKS.register\ndef Odd(*, n: Nothing = 1, upscale: int = 2): ...\n")
    (tmp_path / "odd.yml").write_text((_trained / "light.yml").read_text().replace("my_networks", "odd"))
    shown = run(tmp_path, "train", "odd.yml", "network_g={type: Odd}", "--check", status=2)
    assert "Odd cannot be used: the type of one of its options cannot be understood" in " ".join(shown.split())


def test_the_environment_names_it_too(_trained):
    assert "light" in run(_trained, "cost", FILE, "--no-latency", SRKD_PLUGINS="my_networks")
    assert "(plugin my_networks)" in run(_trained, "list", "networks", SRKD_PLUGINS="my_networks")
    assert "cannot import 'nothing'" in run(_trained, "list", "networks", SRKD_PLUGINS="nothing", status=2)
    assert "cannot import 'nothing'" in run(_trained, "cost", FILE, SRKD_PLUGINS="nothing", status=2)


def test_published_weights_get_a_file_that_names_them(_trained, monkeypatch):
    torch.save({"state": read_weights(_trained / FILE).params, "epoch": 2}, _trained / "light_x2.pth")
    with_feats = (_trained / "measured.py").read_text().replace('"feats": 16', '"feats": 6')
    done = subprocess.run([sys.executable, "-c", with_feats], cwd=_trained, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert read_weights(_trained / "light.pth").described["type"] == "Light"


def test_a_network_that_needs_more_pixels_takes_small_images(_trained, monkeypatch):
    monkeypatch.syspath_prepend(str(_trained))
    import my_networks  # noqa: F401

    network = build_network("Light", {}).eval()
    assert network.minimum == 16
    with torch.no_grad():
        assert network(torch.rand(1, 3, 5, 9)).shape == (1, 3, 10, 18)


def test_an_option_file_beside_a_network_file_is_no_reason_either(_trained, tmp_path, capsys):
    """`srkd benchmark` looks for the teacher in the experiment's options.yml, which may be a stranger's."""
    root = tmp_path / "experiments" / "x"
    write_image(tmp_path / "set/a.png", np.zeros((32, 32, 3), np.uint8))
    from srkd.networks.edsr import EDSR
    from srkd.networks.weights import save_network

    save_network(root / "models/net_g_latest.pth", EDSR(num_feat=4, num_block=1, upscale=2))
    (tmp_path / "strange_plugin.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (root / "options.yml").write_text(
        yaml.safe_dump({**yaml.safe_load((_trained / "light.yml").read_text()), "plugins": ["strange_plugin"]})
    )
    shown = run(tmp_path, "benchmark", str(root / "models/net_g_latest.pth"), "--sets", "set")
    assert not (tmp_path / "ran").exists() and "--plugin strange_plugin" in shown


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("SwinIR", "BasicSR has one of this name: `type: basicsr.SwinIR`"),
        ("SRVGGNetCompact", "`type: basicsr.SRVGGNetCompact"),
        ("MSRResNet", "`type: basicsr.MSRResNet`"),
        ("BSRN", "'BSRN' is none of them"),
    ],
)
def test_an_unknown_network_is_answered_with_every_door(basicsr, capsys, name, says):
    assert main(["list", "networks", name]) == 2
    answer = capsys.readouterr().err
    for door in (says, "{type: spandrel, path: FILE}", "plugins: [MODULE]", "--plugin", "EDSR"):
        assert door in answer
    assert "Did you mean" not in answer and answer.count("\n") == 1


@pytest.mark.parametrize("kind", ["networks", "methods", "datasets", "metrics", "losses", "optimizers", "schedulers"])
def test_everything_that_a_file_can_name_is_listed(kind, capsys):
    assert main(["list", kind]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 4
