import json
import subprocess
import sys

import numpy as np
import pytest

from srkd.cli import main
from srkd.imaging.files import write_image
from srkd.inference.budget import fit, make_plan
from srkd.inference.upscaler import Upscaler
from srkd.networks.edsr import EDSR
from srkd.networks.weights import save_network
from srkd.types import InputError

NETWORK = EDSR(num_feat=16, num_block=2, upscale=2)
NETWORK.trained_widths = (1.0, 0.5, 0.25)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SRKD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def clock(monkeypatch):
    """Each width takes 10 ms, 4 ms or 1 ms for a piece; returns the pieces that were measured."""
    measured = []
    times = {1.0: 10.0, 0.5: 4.0, 0.25: 1.0}

    def median_ms(upscaler, part):
        measured.append((upscaler.width, part.shape))
        return times[upscaler.width]

    monkeypatch.setattr("srkd.inference.budget._median_ms", median_ms)
    return measured


def upscaler(**options):
    return Upscaler(NETWORK, device="cpu", precision="fp32", **options)


def test_the_widest_that_keeps_the_time_is_chosen_and_explained(clock):
    up = upscaler(width=0.25)
    plan = make_plan(up, 20, 30, latency_ms=5)
    assert plan.chosen is not None and plan.chosen.width == 0.5
    assert [(cost.width, cost.latency_ms, cost.fits) for cost in plan.costs] == [
        (1.0, 10.0, False),
        (0.5, 4.0, True),
        (0.25, 1.0, True),
    ]
    assert "20 × 30 pixels within 5 ms" in str(plan)
    assert "width 0.5: 4.0 ms" in str(plan) and "chosen" in str(plan) and "width 1: 10.0 ms" in str(plan)
    assert up.width == 0.25  # as it was
    assert up.fit(20, 30, latency_ms=5).chosen == plan.chosen and up.width == 0.5


def test_widths_written_with_few_digits_are_the_same_widths(clock, monkeypatch):
    monkeypatch.setattr("srkd.inference.budget._median_ms", lambda upscaler, part: 1.0)
    network = EDSR(num_feat=3, num_block=1, upscale=2)
    network.trained_widths = (1.0, 0.33333333)
    up = Upscaler(network, device="cpu", precision="fp32")
    assert [cost.width for cost in make_plan(up, 8, 9, memory_mb=100).costs] == [1.0, 1 / 3]


def test_no_budget_chooses_the_full_width(clock):
    assert make_plan(upscaler(), 20, 30).chosen.width == 1.0


def test_windows_are_measured_once_and_counted(clock):
    plan = make_plan(upscaler(tile=16), 64, 32, latency_ms=100)
    assert clock[0] == (1.0, (16 + 2 * upscaler().margin, 32, 3))
    assert plan.costs[0].latency_ms == 10.0 * 8 and plan.chosen.width == 1.0
    assert make_plan(upscaler(tile=16), 64, 32, latency_ms=79).chosen.width == 0.5


def test_memory_is_kept_by_windows_first_and_by_width_then(clock):
    whole = make_plan(upscaler(), 400, 400)
    full, half, quarter = (cost.memory_mb for cost in whole.costs)
    assert full > half > quarter
    cut = make_plan(upscaler(), 400, 400, memory_mb=full / 2)
    assert cut.chosen.width == 1.0 and cut.chosen.tile is not None and cut.chosen.memory_mb <= full / 2
    smallest = make_plan(upscaler(tile=16), 400, 400)
    least = [cost.memory_mb for cost in smallest.costs]
    narrow = make_plan(upscaler(), 400, 400, memory_mb=(least[1] + least[2]) / 2)
    assert narrow.chosen.width == 0.25 and narrow.costs[0].latency_ms is None
    assert "width 1: not timed" in str(narrow)
    with pytest.raises(InputError, match=r"no width keeps the budget: allow more .* 400 × 400 pixels within 0.01 MiB:"):
        fit(upscaler(), 400, 400, memory_mb=0.01)


def test_what_was_fitted_stays_within_the_memory(clock):
    up = upscaler()
    plan = fit(up, 400, 400, memory_mb=8)
    assert up.tile_for(400, 400) == plan.chosen.tile


def test_calibrations_are_kept_by_machine_network_and_size(clock, home):
    make_plan(upscaler(), 20, 30)
    assert len(clock) == 3
    make_plan(upscaler(), 20, 30, latency_ms=3)
    assert len(clock) == 3
    make_plan(upscaler(), 20, 31)
    make_plan(upscaler(self_ensemble=True), 20, 30)
    assert len(clock) == 9
    other = EDSR(num_feat=16, num_block=2, upscale=2)
    other.trained_widths = (1.0,)
    make_plan(Upscaler(other, device="cpu", precision="fp32"), 20, 30)
    assert len(clock) == 10
    (file,) = home.rglob("latency.json")
    assert len(json.loads(file.read_text())) == 10
    file.write_text("{ half a fi")
    assert make_plan(upscaler(), 20, 30).chosen.latency_ms == 10.0


def test_a_real_calibration_takes_real_time():
    plan = make_plan(upscaler(), 40, 50, latency_ms=1e6)
    assert plan.chosen.width == 1.0 and all(0 < cost.latency_ms < 1e5 for cost in plan.costs)


def test_wrong_budgets():
    with pytest.raises(InputError, match=r"`latency_ms` \(=0\) must be above 0"):
        upscaler().plan(20, 30, latency_ms=0)
    with pytest.raises(InputError, match=r"`height` \(=0\)"):
        upscaler().plan(0, 30)


def test_the_command_chooses_for_each_size(clock, tmp_path, photo, capsys):
    save_network(tmp_path / "n.pth", NETWORK)
    write_image(tmp_path / "in" / "a.png", photo[:20, :30])
    write_image(tmp_path / "in" / "b.png", photo[20:40, :30])
    write_image(tmp_path / "in" / "c.png", photo[:25, :30])
    command = ["upscale", str(tmp_path / "in"), "-m", str(tmp_path / "n.pth"), "--precision", "fp32"]
    assert main([*command, "-o", str(tmp_path / "out"), "--latency-ms", "5"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("within 5 ms") == 2 and "25 × 30 pixels" in printed and "3 of 3 files" in printed
    expected = upscaler(width=0.5)(np.ascontiguousarray(photo[:20, :30]))
    from srkd.imaging.files import read_image

    assert np.array_equal(read_image(tmp_path / "out" / "a.png"), expected)
    assert main([*command, "-o", str(tmp_path / "no"), "--latency-ms", "0.5"]) == 1
    assert "no width keeps the budget" in capsys.readouterr().err
    assert main([*command, "-o", str(tmp_path / "no"), "--latency-ms", "5", "--width", "0.5"]) == 2
    assert "give one or the other" in capsys.readouterr().err


def test_the_budget_can_be_imported_without_the_upscaler():
    code = "import sys, srkd.inference.budget; print('srkd.inference.upscaler' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
