"""What every registered method must do in a training: resume exactly, alone and in two processes, with the average."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from trained import options, prepare, train_twice

from srkd.engine.build import Start, build_trainer
from srkd.imaging.files import write_image
from srkd.registry import METHODS


@pytest.fixture
def folder(tmp_path, _astronaut):
    for number in range(4):
        write_image(tmp_path / "photos" / f"p{number}.png", _astronaut[60 * number : 60 * number + 50, 100:160].copy())
    prepare(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", METHODS.names())
def test_two_and_two_iterations_are_four(folder, name):
    """Weights, average, heads, banks, optimiser, random states: all that is saved."""
    train_twice(folder, name)
    saved = torch.load(folder / name / "whole/models/net_g_4.pth", weights_only=True)
    assert any(not torch.equal(value, saved["params"][key]) for key, value in saved["params_ema"].items())


def in_two_processes(folder, names):
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    script = Path(__file__).with_name("trained.py")
    done = subprocess.run(
        [sys.executable, *command, str(script), str(folder), *names], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr


def with_parts_of_their_own(folder):
    """Methods that train or keep something beside the student: that is what two processes could get wrong."""
    found = []
    for name in METHODS.names():
        method = build_trainer(options(folder, name, "look"), Start(dry=True)).method
        if any(not key.startswith("student.") for key in method.state_dict()):
            found.append(name)
    return found


def test_a_tenth_of_the_methods_resumes_in_two_processes(folder):
    names = with_parts_of_their_own(folder)
    assert {"CRD", "FitNet", "MutualLearning"} <= {*names}
    chosen = random.Random(0).sample(names, max(1, len(names) // 10))
    in_two_processes(folder, {"CRD", *chosen})  # whose bank is filled by all


@pytest.mark.slow
def test_every_method_resumes_in_two_processes(folder):
    in_two_processes(folder, METHODS.names())
