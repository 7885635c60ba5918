"""What a user installs: the sdist makes the wheel, the wheel installs into an empty folder and works from there.

Nothing is fetched: the build backend runs without pip's isolated environment, and dependencies are this environment's.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import numpy as np
import pytest

from srkd.imaging.files import read_image, write_image

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str | Path, cwd: Path, site: Path | None = None, status: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "SRKD_"))}
    if site is not None:
        environment["PYTHONPATH"] = str(site)  # comes before the checkout that this environment knows
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stderr
    return done


@pytest.fixture(scope="module")
def sdist(tmp_path_factory) -> Path:
    """The unpacked source distribution."""
    folder = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", folder, cwd=ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    (source,) = (path for path in folder.iterdir() if path.is_dir())
    return source


@pytest.fixture(scope="module")
def site(sdist, tmp_path_factory) -> Path:
    """An empty folder with nothing but the wheel that the sdist makes, installed by pip."""
    pytest.importorskip("pip", reason="this environment has no pip")
    folder = tmp_path_factory.mktemp("site")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder / "dist", cwd=sdist)
    (wheel,) = (folder / "dist").glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    run(*pip, "--disable-pip-version-check", "--target", folder / "site", wheel, cwd=folder)
    return folder / "site"


def test_the_sdist_has_what_its_readers_need(sdist):
    for name in ("README.md", "LICENSE", "CHANGELOG.md", "Makefile", "constraints.txt", "docs/deploy.md", "options"):
        assert (sdist / name).exists(), name
    for name in ("datasets", "experiments", "results", "weights", ".venv", ".git"):
        assert not (sdist / name).exists(), name
    assert sum(path.stat().st_size for path in sdist.rglob("*") if path.is_file()) < 40e6


def test_the_installed_package_works_in_an_empty_folder(site, tmp_path):
    where = run(sys.executable, "-c", "import srkd; print(srkd.__file__)", cwd=tmp_path, site=site).stdout
    assert Path(where.strip()).is_relative_to(site)
    for command in (["--version"], ["--help"], ["list", "networks"], ["doctor"], ["schema"]):
        assert run(sys.executable, "-m", "srkd", *command, cwd=tmp_path, site=site).stdout
    write_image(tmp_path / "small.png", np.full((12, 10, 3), 128, np.uint8))
    run(
        *(sys.executable, "-m", "srkd", "upscale", "-m", "switchable-x2", "--width", "0.25", "small.png"),
        *("-o", "large.png"),
        cwd=tmp_path,
        site=site,
    )
    assert read_image(tmp_path / "large.png").shape == (24, 20, 3)
    run(sys.executable, "-m", "srkd", "export", "switchable-x4", "-o", "small.pth", cwd=tmp_path, site=site)
    wrong = run(sys.executable, "-m", "srkd", "upscale", "none.png", cwd=tmp_path, site=site, status=2)
    assert "none.png" in wrong.stderr and "Traceback" not in wrong.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"small.png", "large.png", "small.pth"}


def test_every_extra_is_named_where_it_is_missed():
    """The answer to a missing package names its extra, and only extras that there are."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "srkd").rglob("*.py"))
    named = set(re.findall(r"pip install -e \\?[\"']\.\[(\w+)\]", sources))
    assert named == set(extras) - {"dev"}
