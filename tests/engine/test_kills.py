"""SIGKILL at any moment: what is resumed is, bit for bit, what was never disturbed."""

import json
import random
import shutil
import subprocess
import sys
import time

import pytest
import torch
import yaml

METHODS = {
    "Supervised": {"type": "Supervised"},
    "CSD": {"type": "CSD", "widths": [0.5, 0.25], "num_negatives": 2, "perceptual": {"type": "network"}},
}


def rows(folder):
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if "seconds" not in key} for row in found]


def flat(value, at=""):
    if isinstance(value, dict):
        return {k: v for name, item in value.items() for k, v in flat(item, f"{at}.{name}").items()}
    if isinstance(value, list | tuple):
        return {k: v for number, item in enumerate(value) for k, v in flat(item, f"{at}.{number}").items()}
    return {at: value}


def same(one, other):
    a, b = (flat(torch.load(path, weights_only=True)) for path in (one, other))
    assert a.keys() == b.keys()
    return [k for k in a if not (torch.equal(a[k], b[k]) if isinstance(a[k], torch.Tensor) else a[k] == b[k])]


def run_with_kills(recipe, train, tmp_path, started, *, kills, seed):
    """Train undisturbed, then with kills at random moments between two saves or inside one; compare everything."""
    recipe["train"] |= {"total_iter": 60, "scheduler": {"type": "CosineAnnealingLR", "T_max": 60}}
    recipe["logger"] = {"print_freq": 7, "save_checkpoint_freq": 3}
    recipe["val"]["val_freq"] = 11
    assert train(recipe, "name=whole") == 0
    path = tmp_path / "killed.yml"
    path.write_text(yaml.safe_dump(recipe))
    whole, killed = (tmp_path / "experiments" / name for name in ("whole", "tiny"))
    moments, done = random.Random(seed), 0
    command = [sys.executable, "-m", "srkd", "train", "-opt", str(path), "--auto_resume"]
    while done < kills:
        process = started(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        known = len([*killed.rglob("*.state")])
        deadline = time.monotonic() + 120
        while process.poll() is None and len([*killed.rglob("*.state")]) <= known and time.monotonic() < deadline:
            time.sleep(0.01)  # one more is saved
        time.sleep(moments.uniform(0, 0.15))
        process.kill()
        if process.wait() == 0:
            break  # it was faster
        done += 1
    assert done, "no kill met the training"
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    for name in ("models/net_g_60.pth", "models/net_g_latest.pth", "models/net_g_best.pth", "training_states/60.state"):
        assert same(whole / name, killed / name) == [], name
    assert rows(whole) == rows(killed)
    left = {file.relative_to(killed) for file in killed.rglob(".*")}
    assert not left, left
    return done


def test_killed_a_few_times(recipe, train, tmp_path, started):
    run_with_kills(recipe, train, tmp_path, started, kills=2, seed=0)


def test_a_run_that_is_done_writes_the_same_state_again(recipe, train, tmp_path):
    """Killed after its last state and before its last validation, a run has no step left to take."""
    recipe["train"] |= {"total_iter": 4, "scheduler": {"type": "CosineAnnealingLR", "T_max": 4}}
    recipe["val"]["val_freq"] = 3
    assert train(recipe) == 0
    state, before = tmp_path / "experiments/tiny/training_states/4.state", tmp_path / "before.state"
    shutil.copy(state, before)
    assert train(recipe, "--auto_resume") == 0
    assert same(before, state) == []


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(3))
def test_killed_often(recipe, train, tmp_path, started, method, seed):
    recipe["method"] = METHODS[method]
    print(run_with_kills(recipe, train, tmp_path, started, kills=6, seed=seed), "kills")
