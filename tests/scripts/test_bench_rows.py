"""Rows of a benchmark are in their file after each round; workers do not outlive who started them."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "scripts" / "bench"
sys.path.insert(0, str(BENCH))
import common  # noqa: E402

ARGS = {"device": "cpu", "threads": 1, "rounds": 3, "load": 0.0}


def test_a_killed_script_keeps_the_rows_of_its_rounds(tmp_path, monkeypatch):
    args = argparse.Namespace(**ARGS, save=tmp_path)
    killed = True

    def measure(script, variants, *, rounds, each_round, **how):
        assert (rounds, how) == (3, {"device": "cpu", "threads": 1})
        for done in range(1, rounds + 1):
            each_round(medians := {("a", "default"): {"seconds": float(done)}}, {"conv": 1.0})
            if killed and done == 2:
                raise SystemExit(143)
        return medians, {"conv": 1.0}

    def rows_of(medians, ceiling):
        return [{"what": "a", "seconds": medians["a", "default"]["seconds"]}]

    monkeypatch.setattr(common, "measure", measure)
    before = [{"what": "before", "seconds": 9.0}]
    with pytest.raises(SystemExit):
        common.measured("x.py", args, {"a": {}}, rows_of, "numpy", before=before)
    (file,) = tmp_path.glob("*/x.json")
    content = json.loads(file.read_text())
    assert not content["complete"] and content["rows"] == [*before, {"what": "a", "seconds": 2.0}]
    assert content["environment"]["numpy"] and content["ceiling"] == {"conv": 1.0}
    killed = False
    rows, ceiling = common.measured("x.py", args, {"a": {}}, rows_of, before=before)
    assert common.report("x.py", args, rows, ceiling) == file
    content = json.loads(file.read_text())
    assert content["complete"] and content["rows"][1]["seconds"] == 3.0


WORKER = """
import sys
sys.path.insert(0, {bench!r})
import turns
if turns.worker():
    turns.serve(lambda: {{}})
else:
    worker = turns.Worker(__file__, {{"variant": "a"}}, allocator="default", threads=1)
    print(worker._process.pid, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells a process of its parent's end")
def test_a_stopped_worker_does_not_outlive_a_kill(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(WORKER.format(bench=str(BENCH)))
    parent = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    worker = int(parent.stdout.readline())
    os.kill(worker, 0)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    for _ in range(200):
        state = Path(f"/proc/{worker}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    os.kill(worker, signal.SIGKILL)
    raise AssertionError("it is still there")
