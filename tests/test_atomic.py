"""Writes that an interruption, at any time, takes back."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from types import FrameType

import pytest
import torch
from safetensors.torch import save_file

from srkd import atomic


def _interrupted_at(number: int, write: Callable[[], None]) -> bool:
    """Run `write`, with Ctrl-C before the given step of srkd/atomic.py; whether it came to that."""
    seen = 0

    def trace(frame: FrameType, event: str, _: object):
        nonlocal seen
        if frame.f_code.co_filename not in (atomic.__file__, contextlib.__file__):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            seen += 1
            if seen == number:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        write()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_an_interruption_at_any_time_leaves_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "result.json"
    path.write_text("old")
    number = 1
    while _interrupted_at(number, lambda: atomic.atomic_write_text(path, "new")):
        assert path.read_text() in ("old", "new")
        assert [*tmp_path.iterdir()] == [path], number
        path.write_text("old")
        number += 1
    assert number > 50 and path.read_text() == "new" and [*tmp_path.iterdir()] == [path]


def test_an_interruption_at_any_time_leaves_a_whole_folder_or_none(tmp_path):
    path = tmp_path / "Set5"

    def unpack() -> None:
        with atomic.atomic_folder(path) as folder:
            (folder / "HR").mkdir()
            (folder / "HR/baby.png").touch()

    number = 1
    while _interrupted_at(number, unpack):
        left = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*"))
        assert left in ([], ["Set5", "Set5/HR", "Set5/HR/baby.png"]), number
        shutil.rmtree(path, ignore_errors=True)
        number += 1
    assert number > 50 and (path / "HR/baby.png").exists() and [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_results_are_ordinary_files(tmp_path, mask):
    before = os.umask(mask)
    try:
        with atomic.atomic_path(tmp_path / "net.safetensors") as temporary:
            save_file({"weight": torch.zeros(3)}, temporary)  # makes private files
    finally:
        os.umask(before)
    assert (tmp_path / "net.safetensors").stat().st_mode & 0o777 == 0o666 & ~mask
