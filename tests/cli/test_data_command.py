import hashlib
import signal
import subprocess
import sys
import time

import pytest
from fileserver import serving

from srkd.cli import main
from srkd.data import sources
from srkd.data.sources import Source, known_models

CONTENT = b"weights" * 50_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SRKD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SRKD_MIRROR", raising=False)


@pytest.fixture
def shelf():
    with serving(CONTENT) as shelf:
        yield shelf


@pytest.fixture
def known(shelf, monkeypatch):
    """The command knows two files, on the local server."""
    entry = {"what": "a test", "url": shelf.url, "licence": "CC0-1.0"}
    table = {"sure": Source(**entry, sha256=SHA256, size=len(CONTENT)), "unsure": Source(**entry)}
    monkeypatch.setattr(sources, "known_models", lambda: table)


def test_without_a_name_all_are_listed(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    assert main(["data", "get-model"]) == 0
    printed = capsys.readouterr().out
    for name, source in known_models().items():
        assert name in printed
        assert source.licence in printed
    assert "574.7 MB" in printed
    assert "8 digits of SHA-256" in printed


def test_a_verified_file(shelf, known, tmp_path, capsys):
    assert main(["data", "get-model", "sure"]) == 0
    path, *lines = capsys.readouterr().out.splitlines()
    assert path == str(tmp_path / "home" / "models" / "weights.pth")
    assert lines == [
        "what:     a test",
        f"from:     {shelf.url}",
        "size:     350,000 bytes",
        f"SHA-256:  {SHA256}",
        "          verified by SHA-256",
        "licence:  CC0-1.0",
    ]


def test_a_file_that_cannot_be_verified_is_not_called_verified(known, tmp_path, capsys):
    assert main(["data", "get-model", "unsure", "-o", str(tmp_path / "here")]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(str(tmp_path / "here" / "weights.pth"))
    assert SHA256 in printed
    assert "not verified: its authors published no checksum" in printed


def test_a_second_call_says_that_the_file_is_there(shelf, known, capsys):
    assert main(["data", "get-model", "sure"]) == 0
    assert main(["data", "get-model", "sure"]) == 0
    assert "it was there already" in capsys.readouterr().out
    assert len(shelf.requests) == 1


def test_the_mirror_of_the_environment_is_used(shelf, known, tmp_path, monkeypatch, capsys):
    (tmp_path / "mirror" / "models").mkdir(parents=True)
    (tmp_path / "mirror" / "models" / "weights.pth").write_bytes(CONTENT)
    monkeypatch.setenv("SRKD_MIRROR", str(tmp_path / "mirror"))
    assert main(["data", "get-model", "sure"]) == 0
    assert f"from:     {tmp_path}/mirror/models/weights.pth" in capsys.readouterr().out
    assert shelf.requests == []


def test_failed_work_is_1_and_a_wrong_name_is_2(shelf, known, capsys):
    shelf.status = 404
    assert main(["data", "get-model", "sure"]) == 1
    assert "weights.pth does not exist any more (the server says 404 Not Found)." in capsys.readouterr().err
    assert main(["data", "get-model", "shure"]) == 2
    assert "'shure' is not known. Did you mean 'sure'? Known: sure, unsure." in capsys.readouterr().err


def test_without_an_action_the_usage_is_shown(capsys):
    assert main(["data"]) == 2
    assert "ACTION is missing. `srkd data --help`" in capsys.readouterr().err
    assert main(["data", "chek"]) == 2
    assert "Did you mean 'check'?" in capsys.readouterr().err
    assert main(["data", "--help"]) == 0
    assert "get-model" in capsys.readouterr().out


def test_ctrl_c_keeps_what_came_and_the_next_call_goes_on(shelf, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SRKD_MIRROR", shelf.url.removesuffix("/weights.pth"))
    program = (
        "import sys; from srkd.data import sources; from srkd.cli import main\n"
        f"table = {{'unsure': sources.Source(what='a test', url='{shelf.url}', licence='none')}}\n"
        "sources.known_models = lambda: table\n"
        "sys.exit(main(['data', 'get-model', 'unsure']))"
    )
    shelf.stall_after = 200_000

    def listening() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs ignore it

    command = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, preexec_fn=listening)
    part = tmp_path / "home" / "models" / "weights.pth.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size >= 131_072) and time.monotonic() < deadline:
        time.sleep(0.02)
    command.send_signal(signal.SIGINT)
    _, complaints = command.communicate(timeout=60)
    assert command.returncode == 130
    kept = part.stat().st_size
    assert f"What was done is kept in {part}; the same command goes on from there." in complaints
    assert "interrupted" in complaints
    shelf.stall_after = None
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60)
    assert shelf.asked_from()[-1] == f"bytes={kept}-"
    assert (tmp_path / "home" / "models" / "weights.pth").read_bytes() == CONTENT
