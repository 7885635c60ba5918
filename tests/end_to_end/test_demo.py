"""`srkd demo` from an installed wheel, in an empty folder: the whole tool, end to end, in a minute."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with srkd installed from a wheel, and nothing of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    build = [*pip, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", str(folder / "dist"), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (wheel,) = (folder / "dist").glob("srkd-*.whl")
    target = [*pip, "install", "--no-index", "--no-deps", "--target", str(folder / "site"), str(wheel)]
    subprocess.run(target, check=True, capture_output=True, timeout=120)
    return folder / "site"


def srkd(installed, folder, *arguments, timeout=280):
    environment = {**os.environ, "PYTHONPATH": str(installed), "COLUMNS": "140"}
    command = [sys.executable, "-m", "srkd", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout)


def test_demo_from_a_wheel_in_an_empty_folder(installed, tmp_path):
    done = srkd(installed, tmp_path, "demo", "--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    out = tmp_path / "srkd_demo"
    assert (out / "before_after.png").stat().st_size > 10_000
    assert len(list((out / "upscaled").glob("*.png"))) == len(list((out / "upscaled_w025").glob("*.png"))) == 2
    assert list(out.glob("edsr_x2_w025.*"))
    results = json.loads((out / "results.json").read_text())
    summary = {(row["model"], row["width"]): row for row in results["summary"]}
    assert len(summary) == 4  # bicubic and three widths
    assert all(row["n"] == 2 for row in summary.values())
    assert "Try next" in done.stdout and "Traceback" not in done.stderr

    # what the demo made is an ordinary network: one more picture with it, by the printed command
    model = out / "experiments/demo_csd_x2/models/net_g_latest.pth"
    photo = out / "photos/small/chelsea.png"
    again = srkd(installed, tmp_path, "upscale", str(photo), "-m", str(model), "-o", "up", "--width", "0.5")
    assert again.returncode == 0 and len(list((tmp_path / "up").glob("*.png"))) == 1, again.stderr


def test_errors_have_no_traceback(installed, tmp_path):
    for arguments in (
        ["tarin"],
        ["upscale", "nothing.png", "-m", "nothing.pth", "-o", "x"],
        ["train", "-opt", "no.yml"],
    ):
        done = srkd(installed, tmp_path, *arguments, timeout=60)
        assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert "'train'" in srkd(installed, tmp_path, "tarin").stderr
