import subprocess
import sys

import pytest

from srkd.cli import COMMANDS, main
from srkd.cli.doctor import attempt


def test_doctor(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for word in ("srkd", "python", "torch", "threads", "device auto", "onnxruntime", "test sets"):
        assert word in printed
    assert "failed" not in printed


def test_data_sets_are_found(tmp_path, monkeypatch, capsys):
    (tmp_path / "set14").mkdir()
    monkeypatch.setenv("SRKD_DATASETS", str(tmp_path))
    assert main(["doctor"]) == 0
    assert "Set14" in capsys.readouterr().out


def test_a_broken_machine_is_a_line_and_no_traceback():
    def network_card():
        yield "first", "works"
        raise OSError("libcuda.so is not there")

    assert list(attempt(network_card)) == [
        ("first", "works"),
        ("network card", "failed: OSError: libcuda.so is not there"),
    ]


@pytest.mark.parametrize("command", ["benchmark", "score", "upscale", "export", "list", "doctor"])
def test_help_is_fast(command):
    module = COMMANDS[command][0]
    code = (
        "import sys, argparse, importlib\n"
        f"importlib.import_module('srkd.cli.{module}').add_arguments(argparse.ArgumentParser())\n"
        "assert not {'torch', 'cv2', 'numpy', 'rich'} & set(sys.modules), set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
