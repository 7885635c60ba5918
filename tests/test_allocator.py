"""The C library's allocator: told once, switched off by the environment, and left alone where it cannot be told."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource, torch
from srkd.allocator import tune_allocator
tuned = tune_allocator()
def use():
    torch.ones(2**23)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    use()
print(tuned, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(**environment: str) -> tuple[bool, int]:
    """Whether the allocator was told, and the page faults of using 32 MiB twenty times."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("SRKD_MALLOPT", "GLIBC_TUNABLES")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**inherited, **environment}, capture_output=True, text=True, check=True
    )
    tuned, faults = done.stdout.split()
    return tuned == "True", int(faults)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is tuned on Linux only")
def test_large_blocks_are_kept_and_the_switch_leaves_them_alone():
    tuned, kept = page_faults()
    if not tuned:
        pytest.skip("this C library has no mallopt")
    untouched, returned = page_faults(SRKD_MALLOPT="0")
    assert not untouched
    assert kept < returned / 2


def test_an_environment_that_tunes_glibc_itself_is_left_alone():
    assert page_faults(GLIBC_TUNABLES="glibc.malloc.top_pad=1048576")[0] is False
