import math

import pytest

from srkd.evaluation import models
from srkd.evaluation.arms import pairs, read_arms
from srkd.evaluation.protocols import protocol_of
from srkd.evaluation.result import BICUBIC, Result, Row
from srkd.evaluation.tables import write_result
from srkd.types import InputError

MACHINE = {"srkd_version": "1", "torch": "2", "hardware": "abacus", "device": "cpu", "threads": 1}


def write(path, contents, shift=0.0):
    """A result file of {model: widths}, with bicubic, on two images."""
    contents = {BICUBIC: [1.0], **contents}
    rows = [
        Row("Set5", image, model, width, {"psnr": 30.0 + number + width + shift, "ssim": 0.9}, 0.1)
        for number, image in enumerate(("baby", "bird"))
        for model, widths in contents.items()
        for width in widths
    ]
    write_result(path, Result(protocol_of("y", 4).record(), [{"name": model} for model in contents], MACHINE, rows))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """scratch.json and csd.json of one model at two widths, net_s0..2.json, all.json of several models."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "scratch.json", {"scratch": [1.0, 0.5]})
    write(tmp_path / "csd.json", {"csd": [1.0, 0.5, 0.25]})
    for number in range(3):
        write(tmp_path / f"net_s{number}.json", {"net": [1.0, 0.5]}, shift=number)
    write(tmp_path / "all.json", {"scratch": [1.0], "csd_s0": [1.0], "csd_s1": [1 / 3]})
    return tmp_path


def labels(*specs, keep_bicubic=False):
    return [(arm.label, len(arm.runs)) for arm in read_arms(specs, keep_bicubic=keep_bicubic)]


def compared(*specs, baseline=None):
    found, alone = pairs(read_arms(specs, keep_bicubic=baseline == BICUBIC), baseline)
    return [(b.label, a.label) for b, a in found], alone


def test_bicubic_is_called_what_the_benchmark_calls_it():
    assert models.BICUBIC == BICUBIC


def test_a_file_gives_an_arm_for_each_model_and_width_without_bicubic(here):
    assert labels("all.json") == [("scratch", 1), ("csd_s0", 1), ("csd_s1@0.3333", 1)]
    assert labels("all.json:bicubic", "csd.json@1/4") == [("bicubic", 1), ("csd@0.25", 1)]
    write(here / "bicubic.json", {})
    assert labels("bicubic.json") == [("bicubic", 1)]


def test_a_name_makes_runs_of_files_or_of_models(here):
    assert labels("net=net_s0.json,net_s2.json") == [("net", 2), ("net@0.5", 2)]
    assert labels("net=net_s*.json@0.5") == [("net@0.5", 3)]
    assert labels(f"net={here}/net_s*.json@1") == [("net", 3)]
    assert labels("csd=all.json:csd_s0,net_s1.json@1") == [("csd", 2)]
    (arm,) = read_arms(["x=net_s*.json@1"])
    assert [run.rows["Set5", "baby"].metrics["psnr"] for run in arm.runs] == [31, 32, 33]


def test_equal_names_become_those_of_the_files(here):
    assert labels("net_s0.json@1", "net_s1.json@1") == [("net_s0", 1), ("net_s1", 1)]
    assert labels("net_s*.json@1")[2] == ("net_s2", 1)
    write(here / "other" / "net_s0.json", {"net": [1.0]})
    assert labels("net_s0.json@1", "other/net_s0.json") == [("net_s0.json", 1), ("other/net_s0.json", 1)]
    assert labels("all.json:scratch", "scratch.json@1") == [("all:scratch", 1), ("scratch", 1)]
    assert labels("net_s0.json@1", "net_s0.json@1") == [("net_s0.json", 1), ("net_s0.json (2)", 1)]


def test_widths_of_two_files_with_one_model_name_are_kept_apart_by_file(here):
    assert labels("net_s0.json@1", "net_s1.json@0.5") == [("net_s0", 1), ("net_s1@0.5", 1)]


def test_a_file_whose_path_looks_like_a_name_is_a_file(here):
    write(here / "w=1.json", {"net": [1.0]})
    write(here / "w=1" / "x.json", {"net": [1.0]})
    assert labels("w=1.json") == labels("w=1/x.json") == labels("./w=1.json") == [("net", 1)]


def test_arms_are_compared_at_equal_widths_with_the_first(here):
    assert compared("scratch.json", "csd.json") == (
        [("scratch", "csd"), ("scratch@0.5", "csd@0.5")],
        ["csd@0.25 is not compared: scratch was not measured at width 0.25"],
    )
    assert compared("scratch.json", "csd.json", baseline="csd") == (
        [("csd", "scratch"), ("csd@0.5", "scratch@0.5")],
        [],
    )


def test_a_baseline_of_one_width_serves_all(here):
    assert compared("scratch.json@1", "csd.json")[0] == [("scratch", w) for w in ("csd", "csd@0.5", "csd@0.25")]
    assert compared("scratch.json", "csd.json@1", baseline="scratch@0.5")[0] == [
        ("scratch@0.5", "scratch"),
        ("scratch@0.5", "csd"),
    ]
    assert compared("csd.json")[0] == [("csd", "csd@0.5"), ("csd", "csd@0.25")]
    assert compared("scratch.json", "csd.json", baseline=BICUBIC)[0] == [
        (BICUBIC, label) for label in ("scratch", "scratch@0.5", "csd", "csd@0.5", "csd@0.25")
    ]


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        (["absent.json"], "the result file absent.json does not exist. The current folder has all.json"),
        (["results.csv"], r"is not \[NAME=\]FILE\.json"),
        (["x=net_s9*.json"], r"the result file net_s9\*\.json does not exist"),
        (["csd=all.json"], r"all\.json holds 3 models \(scratch, csd_s0, csd_s1\); say which are csd"),
        (["all.json:scrach"], r"has no model 'scrach'\. Did you mean 'scratch'"),
        (["all.json:x*"], r"has no model 'x\*'"),
        (["csd.json@0.75"], r"csd\.json has no width 0\.75 of csd; it has 1, 0\.5, 0\.25"),
        (["csd.json@2"], "a width is greater than 0 and at most 1"),
        (["x=net_s0.json", "x=net_s1.json"], r"x is given twice.*x=a\.json,b\.json"),
        (["x=net_s0.json,net_s0.json"], r"two runs of x are the same in every number.*net_s0\.json:net"),
    ],
)
def test_what_is_not_clear_is_refused(specs, said, here):
    with pytest.raises(InputError, match=said):
        read_arms(specs)


@pytest.mark.parametrize(
    ("specs", "baseline", "said"),
    [
        (["net_s0.json@1"], None, "the only arms are net. Give a second file, or --baseline bicubic"),
        (["scratch.json@0.5", "csd.json@1"], "csd@0.5", "'csd@0.5' is not among the arms.*There are: scratch"),
        (["scratch.json", "csd.json@1/4"], None, "csd@0.25 is not compared: scratch was not measured"),
    ],
)
def test_nothing_to_compare_is_said(specs, baseline, said, here):
    with pytest.raises(InputError, match=said):
        pairs(read_arms(specs), baseline)


def test_a_file_without_images_is_refused(here):
    write_result(here / "empty.json", Result(protocol_of("y", 4).record(), [], MACHINE))
    with pytest.raises(InputError, match=r"empty\.json holds no image"):
        read_arms(["empty.json"])
    assert math.isclose(read_arms(["all.json:csd_s1"])[0].width, 1 / 3)
