"""Output of any encoding, to a reader that goes away, or to nobody."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from srkd.cli import COMMANDS
from srkd.cli.streams import plain, prepare_streams
from srkd.imaging.files import write_image

ENCODINGS = [
    *("ascii", "cp437"),
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("latin-1", "cp932", "cp1252", "utf-16", "utf-8")),
]

HELPS = """
import sys
from srkd.cli import COMMANDS, main
for arguments in [["--help"], *([name, "--help"] for name in COMMANDS), ["data", "check", "--help"]]:
    print("====", *arguments)
    try:
        status = main(arguments)
    except SystemExit as end:
        status = end.code
    assert not status, arguments
"""


def srkd(*arguments: str, code: str = "", encoding: str = "utf-8", **options) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "srkd"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    return subprocess.run([*command, *arguments], env=environment, check=False, **{"capture_output": True, **options})


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_help_in_any_encoding(encoding):
    done = srkd(code=HELPS, encoding=encoding)
    assert done.returncode == 0, done.stderr.decode(encoding, "replace")[-800:]
    text = done.stdout.decode(encoding)
    assert text.count("usage: srkd") == len(COMMANDS) + 2 and all(f"==== {name} --help" in text for name in COMMANDS)


@pytest.fixture
def odd_names(photo, tmp_path):
    """A folder called with signs that no 8-bit encoding has all of, and files that are no UTF-8."""
    folder = tmp_path / "größe ×2 大 – σ"
    names = [
        "é ×.png",
        *([os.fsdecode(b"caf\xe9.png"), os.fsdecode(b"\x93\xfa\x96{.png")] if os.name == "posix" else []),
    ]
    for name in names:
        write_image(folder / name, photo[:24, :30])
    return folder


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_working_runs_in_any_encoding(odd_names, tmp_path, encoding):
    out = tmp_path / "out ×"
    upscaled = srkd(
        "upscale", str(odd_names), "-o", str(out), "--width", "0.25", "--precision", "fp32", encoding=encoding
    )
    assert upscaled.returncode == 0, upscaled.stderr
    assert len(list(out.iterdir())) == len(list(odd_names.iterdir()))
    result = tmp_path / "é.json"
    scored = srkd(
        "benchmark", "bicubic", "--scale", "2", "--sets", str(odd_names), "-o", str(result), encoding=encoding
    )
    assert scored.returncode == 0, scored.stderr
    assert "2 images" not in scored.stdout.decode(encoding)
    assert result.exists() and "\\udce9" in result.read_text(encoding="utf-8")
    failed = srkd("upscale", str(odd_names / "不.png"), encoding=encoding)
    assert failed.returncode == 2 and b"does not exist" in failed.stderr.replace(b"\0", b"")


def test_signs_have_an_ascii_form():
    assert plain("×2 – 3 … ±1 → é ü 大 ²") == "x2 - 3 ... +/-1 -> e u ? 2"
    assert plain(os.fsdecode(b"caf\xe9.png")) == "caf\\xe9.png"


def test_a_handler_that_the_user_chose_stays():
    done = srkd("--help", encoding="ascii:ignore")
    assert done.returncode == 0
    code = "import sys; from srkd.cli import main; main(['--version']); print('×', file=sys.stdout)"
    assert srkd(code=code, encoding="ascii:ignore").stdout.split() == [b"srkd", *_version()]
    assert srkd(code=code, encoding="ascii").stdout.split()[-1] == b"x"


def _version() -> list[bytes]:
    import srkd

    return [srkd.__version__.encode()]


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_goes_away_stops_no_work(odd_names, tmp_path, stream):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        arguments = ("upscale", str(odd_names), "-o", str(tmp_path / "out"), "--width", "0.25", "--precision", "fp32")
        other = {"stdout": "stderr", "stderr": "stdout"}[stream]
        done = srkd(*arguments, capture_output=False, **{stream: writing, other: subprocess.PIPE})
    finally:
        os.close(writing)
    assert done.returncode == 0 and not done.stderr
    assert len(list((tmp_path / "out").iterdir())) == len(list(odd_names.iterdir()))


@pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX")
@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&-"])
def test_streams_that_are_closed_from_the_start(closing):
    done = subprocess.run(f"{sys.executable} -m srkd --help {closing}", shell=True, capture_output=True, check=False)
    assert done.returncode == 0 and not done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_an_error():
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = srkd("--help", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"No space left" in done.stderr


@pytest.mark.parametrize("command", [["list", "networks"], ["doctor"]])
def test_no_colour_is_asked_for(command):
    done = srkd(*command, encoding="utf-8")
    assert done.returncode == 0 and b"\x1b" not in done.stdout
    colour = subprocess.run(
        [sys.executable, "-m", "srkd", *command],
        env={**os.environ, "NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "xterm-256color"},
        capture_output=True,
        check=False,
    )
    assert not any(f"\x1b[{code}m".encode() in colour.stdout for code in (*range(30, 38), *range(90, 98)))


def test_streams_of_others_are_left_alone(monkeypatch):
    mine = io.StringIO()
    monkeypatch.setattr(sys, "stdout", mine)
    prepare_streams()
    assert sys.stdout is mine
