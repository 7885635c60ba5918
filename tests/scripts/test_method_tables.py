"""The tables of methods: every registered method is in the family's; every arm's option file is read; both run."""

import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from PIL import Image

from srkd.methods.feature import FeatureMethod
from srkd.options import load_train_options
from srkd.registry import METHODS

ROOT = Path(__file__).parents[2]
MODULES = ("arms", "table", "family", "convergence", "steps")


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts/reproduce"))
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def family(scripts):
    return scripts("family")


@pytest.fixture
def convergence(scripts):
    return scripts("convergence")


def table(script, budget, craft, root):
    arms = script.arms_of(craft)
    made = script.Table("t", script.BUDGETS[budget], script.FIRST, arms, base=script.BASE, craft=craft)
    made.root = root
    return made


def test_every_method_is_an_arm(family):
    arms = {**family.FIRST, **family.arms_of("craft")}
    named = {arm.method["type"] for arm in arms.values()}
    assert {name for name in METHODS.names() if name not in named} <= {"Sum"}  # which is made of others


@pytest.mark.parametrize("name", ["family", "convergence"])
@pytest.mark.parametrize("craft", [None, Path("craft_x4.pth")])
def test_every_option_file_is_read(scripts, tmp_path, monkeypatch, name, craft):
    script = scripts(name)
    made = table(script, "cpu-night", craft, tmp_path)
    monkeypatch.setattr(script.Table, "acting_weight", lambda *_: 2.0)
    for arm_name, arm in made.every.items():
        assert arm.control in made.arms and arm.first() <= {*made.first}
        assert (
            made.budget.iterations[made.arms[arm.control].length] == made.iterations(arm_name) or arm_name in made.first
        )
        options = load_train_options(made.option_file(arm_name, f"{arm_name}_seed1", 1))
        assert options.manual_seed == 1 and options.train.total_iter == made.iterations(f"{arm_name}_seed1")
        assert len(options.network_g_teachers) == (len(arm.teachers) if len(arm.teachers) > 1 else 0)
        if "craft" in arm.teachers and issubclass(METHODS.get(options.method.type), FeatureMethod):
            assert options.method.args["teacher_taps"]  # it has no body of blocks to find them by
        if arm.acting:
            assert 2.0 in options.method.args.values()
    assert set(made.with_controls(made.arms)) == set(made.arms)


def test_the_arms_at_convergence(convergence):
    arms = convergence.arms_of()
    assert {name for name, arm in arms.items() if arm.length == "long"} >= {"scratch", "slice", "own", "craft", "both"}
    assert {arm.method["type"] for arm in arms.values() if arm.length == "middle"} == {
        "Supervised", "FAKD", "AT", "SRKD", "PISR", "USNets",
    }  # fmt: skip
    assert [convergence.BUDGETS["cpu-night"].iterations[length] for length in ("long", "middle", "short")] == [
        60_000, 20_000, 5_000,
    ]  # fmt: skip
    assert arms["csd"].length == "short" and arms["fakd_acting"].acting == ("fakd", "l_sa", "affinity_weight")
    without = convergence.arms_of(None)
    assert {*arms} - {*without} == {"craft", "both", "slice_craft"}
    assert convergence.arms_of(self_ensemble=True)["own"].method["teacher_cache"]["self_ensemble"] is True


def test_a_quarter_of_the_wide_network_is_compared_with_the_student(convergence, tmp_path):
    made = table(convergence, "try", None, tmp_path)
    assert made.width("us_nets") == 0.25 and made.width("slice_middle") == made.width("scratch") == 1
    assert made.arms["slice"].control == "scratch" and made.arms["us_nets"].control == "slice_middle"


def test_gains_are_those_over_the_control_at_the_iterations_of_both(convergence, tmp_path, monkeypatch):
    made = table(convergence, "try", None, tmp_path)
    monkeypatch.setattr(made, "finished", lambda run: run != "slice_seed1")
    lines = {"scratch_seed0": {5: 20.0, 10: 21.0}, "slice_seed0": {5: 20.5, 10: 21.25, 15: 30.0}}
    for run, values in lines.items():
        (tmp_path / run).mkdir()
        text = [json.dumps({"kind": "val", "iter": at, "width": 1.0, "psnr": value}) for at, value in values.items()]
        text.append(json.dumps({"kind": "val", "iter": 5, "width": 0.5, "psnr": 1.0}))
        (tmp_path / run / "metrics.jsonl").write_text("\n".join(text) + "\n")
    assert convergence.gains(made, "slice", ["slice_seed0", "slice_seed1"]) == {5: [0.5], 10: [0.25]}


def test_a_table_without_a_run_that_it_has_is_refused_before_the_trainings(family, tmp_path):
    made = table(family, "try", None, tmp_path)
    made.out = tmp_path / "out"
    made.keeps_all([])  # there is no table yet
    made.out.mkdir()
    (made.out / "runs.json").write_text(json.dumps({"arms": {"scratch": ["scratch_seed0", "scratch_seed1"]}}))
    made.keeps_all(["scratch_seed0", "scratch_seed1", "sp_seed0"])
    with pytest.raises(SystemExit, match=r"has scratch_seed1, which would be gone: --arms scratch and what is new"):
        made.keeps_all(["scratch_seed0"])


def test_arms_of_a_teacher_that_is_not_there_are_refused(convergence, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["convergence.py", "--budget", "try", "--arms", "slice_craft"])
    with pytest.raises(SystemExit) as ended:
        convergence.main()
    assert ended.value.code == 2 and "slice_craft; --craft" in capsys.readouterr().err


@pytest.mark.parametrize(
    "folder", [file.parent for file in (ROOT / "docs/results").glob("*/table.md")], ids=lambda f: f.name
)
def test_a_table_is_what_its_files_say(scripts, folder):
    assert scripts("table").written(folder) == (folder / "table.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arm", "kept"), [((0, 1), (0, 1)), ((2,), (0, 1, 2)), ((0, 1, 2), (0, 1, 2)), ((1, 3), (0, 1, 2))]
)
def test_an_arm_of_fewer_seeds_is_compared_with_the_runs_of_these(scripts, arm, kept):
    """Of one run, and of a seed that the control does not have, with all of them."""
    table = scripts("table")

    def side(seeds):
        return SimpleNamespace(runs=tuple(seeds))

    table.seed_of, table.replace = int, lambda control, runs: side(runs)
    assert table._of_seeds(side((0, 1, 2)), side(arm)).runs == kept


@pytest.fixture
def small(convergence, tmp_path, monkeypatch, photo):
    """An option file of four small photographs in the place of the real one, and a folder to work in."""
    (tmp_path / "photos").mkdir()
    for number in range(4):
        Image.fromarray(photo[:, number * 8 : number * 8 + 72]).save(tmp_path / f"photos/{number}.png")
    content = yaml.safe_load(convergence.BASE.read_text(encoding="utf-8")) | {
        "include": str((ROOT / "options/train/base/bsds_x4.yml").resolve()),
        "datasets": {
            kind: {"dataroot_gt": str(tmp_path / "photos"), "meta_info_file": None} for kind in ("train", "val")
        },
    }
    (tmp_path / "small.yml").write_text(yaml.safe_dump(content))
    monkeypatch.setattr(convergence, "BASE", tmp_path / "small.yml")
    monkeypatch.setenv("SRKD_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("signal.signal", lambda *_: None)  # the script's handlers are for a process of its own
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_command_makes_the_table_and_goes_on(convergence, small, monkeypatch, capsys):
    words = ["convergence.py", "--budget", "try", "--sets", "photos", "--seeds", "0,1", "--jobs", "2",
             "--arms", "own", "pisr_acting", "us_nets"]  # fmt: skip
    monkeypatch.setattr(sys, "argv", words)
    convergence.main()
    out = small / "docs/results/convergence_x4_try"
    record = json.loads((out / "runs.json").read_text())
    assert {"scratch", "pisr", "decoder", "slice_middle", "scratch_middle"} <= {*record["arms"]}
    assert record["methods"]["own"]["teacher_cache"]["keep"] == "outputs"
    assert all(len(runs) == 2 for runs in record["arms"].values())
    assert record["methods"]["pisr_acting"]["information_weight"] != record["methods"]["pisr"]["information_weight"]
    found = json.loads((out / "comparison.json").read_text())["comparisons"]
    pairs = {(item["arm"].partition("@")[0], item["baseline"].partition("@")[0]) for item in found}
    assert {item["arm"] for item in found if item["baseline"] == "slice_middle"} == {"us_nets@0.25"}  # 16 channels
    assert {("own", "scratch"), ("pisr_acting", "decoder"), ("us_nets", "slice_middle")} <= pairs
    assert {item["seeds"]["pairing"] for item in found} == {"recorded"}
    share = record["gradients"]["pisr_acting"]["l_vid"]
    assert 0.05 < share < 0.2 and record["gradients"]["pisr"]["l_vid"] < share / 10
    table = (out / "table.md").read_text()
    assert "| us_nets" in table and (out / "curves.svg").read_text().startswith("<svg")
    assert "| us_nets | slice_middle | " in (out / "curves.md").read_text()
    made = {file: file.stat().st_mtime_ns for file in (small / "experiments").rglob("net_g_latest.pth")}
    monkeypatch.setattr(sys, "argv", words)
    capsys.readouterr()
    convergence.main()
    assert "srkd train" not in capsys.readouterr().out
    assert made == {file: file.stat().st_mtime_ns for file in (small / "experiments").rglob("net_g_latest.pth")}
