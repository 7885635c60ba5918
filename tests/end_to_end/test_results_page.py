"""docs/results.md says what the result files say."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts/make_table.py"


@pytest.fixture(scope="module")
def make_table():
    spec = importlib.util.spec_from_file_location("make_table", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_number_comes_from_the_files():
    done = subprocess.run([sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_number_changed_by_hand_is_noticed_and_put_right(make_table):
    for page in make_table.PAGES:
        text = page.read_text(encoding="utf-8")
        block = make_table.BLOCK.search(text)[0]
        number = make_table.re.search(r"\d\d\.\d\d", block)[0]
        assert make_table.filled(text.replace(block, block.replace(number, "99.99"))) == text


def test_no_number_stands_outside_the_blocks_that_a_result_could_contradict(make_table):
    text = make_table.BLOCK.sub("", make_table.PAGES[0].read_text(encoding="utf-8"))
    assert " dB" not in text
