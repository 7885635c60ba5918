"""docs/results.md says what the result files say."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
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
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPT.parent))  # as where the script is run
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


def test_the_frontier_has_every_width_and_each_name_hides_no_other(make_table):
    frontier = make_table.frontier_x4
    found = frontier.networks(make_table.read_result(make_table.RESULTS / "switchable_x4/benchmark.json"))
    widths = {row.width for row in make_table.read_result(make_table.RESULTS / "switchable_x4/benchmark.json").summary}
    assert {one.label for one in found if one.data == frontier.OURS} == {f"{width:g}" for width in widths}
    assert {one.data for one in found} == {frontier.OURS, *frontier.DATA}  # each has its mark in the legend
    picture = make_table.PICTURES[make_table.ROOT / "docs/images/frontier_x4.svg"]()
    names = re.findall(r'<text font-size="11" x="([\d.]+)" y="([\d.]+)">([^<]+)<', picture)
    charts = picture.split('class="chart" viewBox')[1:]
    assert len(charts) == 4 and {name for *_, name in names} == {one.label for one in found}
    for chart in charts:
        boxes = [
            frontier.Box(float(x), float(y) - 9, float(x) + 6 * len(name), float(y))
            for x, y, name in re.findall(r'<text font-size="11" x="([\d.]+)" y="([\d.]+)">([^<]+)<', chart)
        ]
        assert all(one.overlap(other) == 0 for one, other in itertools.combinations(boxes, 2))


def test_multi_adds_and_parameters_of_the_public_chains_are_those_of_their_layers():
    rows = json.loads((ROOT / "docs/results/published_networks.json").read_text(encoding="utf-8"))["rows"]
    chains = [row for row in rows if "chain" in row]
    assert {row["network"] for row in chains} >= {"ESPCN", "ECBSR-M4C16", "ABPN-M6C40", "ETDS-L"}
    for row in chains:
        weights = [inside * outside * kernel**2 for inside, outside, kernel in row["chain"]]
        assert row["multi_adds"] == pytest.approx(sum(weights) * 320 * 180 / 1e9, abs=0.006)
        biases = sum(outside for _, outside, _ in row["chain"])
        assert row["params"] == pytest.approx((sum(weights) + biases) / 1e3, rel=0.01)  # PReLU's are few
        assert [inside for inside, *_ in row["chain"][1:]] == [outside for _, outside, _ in row["chain"][:-1]]


def test_times_of_another_network_than_the_measured_one_are_left_out(make_table, monkeypatch):
    frontier = make_table.frontier_x4
    given = frontier._content
    monkeypatch.setattr(
        frontier, "_content", lambda name: {**given(name), "sha256": "0"} if "milliseconds" in name else given(name)
    )
    result = make_table.read_result(make_table.RESULTS / "switchable_x4/benchmark.json")
    ours = [one for one in frontier.networks(result) if one.data == frontier.OURS]
    assert ours and all(one.costs["milliseconds"] is None and one.costs["multi_adds"] for one in ours)
    assert "not measured yet" in frontier.note()
    assert "FSRCNN" in frontier.picture()


def test_a_width_is_behind_where_a_cheaper_public_network_is_better(make_table):
    frontier = make_table.frontier_x4

    def network(label, data, cost, psnr):
        return frontier.Network(label, data, {"multi_adds": cost, "milliseconds": None}, {"Set5": psnr})

    ours = [network("0.5", frontier.OURS, 3.0, 31.0), network("1", frontier.OURS, 9.0, 32.0)]
    found = [
        *ours,
        network("A", "DIV2K", 3.0, 31.1),
        network("B", "DIV2K", 9.1, 33.0),
        network("C", "DIV2K", None, 40.0),
    ]
    assert frontier.behind(found, "Set5") == ["0.5"]
    assert frontier.behind(ours, "Set5") == []
