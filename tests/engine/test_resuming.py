"""A run resumes what it was: what may change is named and recorded, what may not is refused; damaged checkpoints."""

import random
import re
import shutil
import subprocess
import sys

import pytest
import torch
import yaml

from srkd.engine.checkpoint import Folder, load_state
from srkd.networks.edsr import EDSR
from srkd.networks.weights import load_network, read_weights, save_network
from srkd.options import load_train_options
from srkd.types import InputError


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "experiments" / "tiny"


@pytest.fixture
def begun(recipe, train, folder):
    """A training of which five of ten iterations are done."""
    assert train(recipe, "train.total_iter=5", "train.scheduler.T_max=10") == 0
    return folder


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["method={type: PISRTeacher}"], 'method.type was "Supervised", now "PISRTeacher"'),
        (["method={type: CSD, widths: [0.5], num_negatives: 2, perceptual: {type: network}}"], 'now "CSD"'),
        (["network_g.img_range=255"], "network_g.img_range was 1.0, now 255"),
        (["network_g.res_scale=0.1"], "network_g.res_scale was 1.0, now 0.1"),
        (["network_g.num_feat=4"], "network_g.num_feat was 8, now 4"),
        (["network_g={type: RCAN, num_feat: 8, upscale: 2}"], 'network_g.type was "EDSR", now "RCAN"'),
        (["scale=4", "network_g.upscale=4"], "scale was 2, now 4"),
        (["train.optim_g={type: SGD, lr: 0.1}"], 'train.optim_g.type was "Adam", now "SGD"'),
        (["train.optim_g={type: AdamW, lr: 0.1}"], 'now "AdamW"'),
        (["train.total_iter=4"], "train.total_iter: is 4, but"),
    ],
)
def test_what_makes_another_training_is_refused(recipe, train, begun, capsys, change, said):
    before = contents(begun)
    assert train(recipe, "--auto_resume", *change) == 2
    message = capsys.readouterr().err
    assert said in message and "`name`" in message and "Traceback" not in message
    assert contents(begun) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("train.optim_g.lr=1e-4", "train.optim_g.lr: 0.001 → 0.0001"),
        ("train.pixel_opt.type=MSELoss", 'train.pixel_opt.type: "L1Loss" → "MSELoss"'),
        ("manual_seed=9", "manual_seed: 3 → 9"),
        ("train.grad_clip=1.0", "train.grad_clip: null → 1.0"),
        ("datasets.train.use_rot=false", "datasets.train.use_rot: true → false"),
        ("train.scheduler=null", 'train.scheduler.type: "CosineAnnealingLR" → "not given"'),
        ("train.ema_decay=0", "train.ema_decay: 0.99 → 0"),
        ("val.metrics.ssim={type: calculate_ssim, crop_border: 2, test_y_channel: true}", "val.metrics.ssim.type"),
        ("logger.print_freq=5", "logger.print_freq: 1 → 5"),
        ("method.widths=[1.0, 0.5]", "method.widths: "),
    ],
)
def test_what_may_change_is_named_and_recorded(recipe, train, begun, change, said):
    first = (begun / "options.yml").read_bytes()
    recipe["method"] = {"type": "Supervised"}
    assert train(recipe, "--auto_resume", change) == 0
    assert said.replace('"not given"', "not given") in (begun / "train.log").read_text()
    record = (begun / "options_2.yml").read_text()
    assert (
        said.replace('"not given"', "not given") in record and "From iteration 5 on, instead of options.yml" in record
    )
    assert (begun / "options.yml").read_bytes() == first
    assert load_train_options(begun / "options_2.yml").train.total_iter == 10
    # and the same once more is nothing new
    assert train(recipe, "--auto_resume", change, "train.total_iter=10") == 0
    assert Folder(begun).options_files() == [begun / "options.yml", begun / "options_2.yml"]


def test_a_record_for_every_change(recipe, train, begun):
    for total in (6, 7, 12):
        assert train(recipe, "--auto_resume", f"train.total_iter={total}") == 0
    files = Folder(begun).options_files()
    assert [load_train_options(path).train.total_iter for path in files] == [5, 6, 7, 12]
    assert "train.total_iter: 7 → 12" in files[-1].read_text()
    assert [path.name for path in files] == ["options.yml", "options_2.yml", "options_3.yml", "options_4.yml"]


def test_a_check_of_a_resumed_run_says_it_and_writes_nothing(recipe, train, begun, capsys):
    before = contents(begun)
    assert train(recipe, "--auto_resume", "--check", "train.optim_g.lr=1e-4") == 0
    assert "train.optim_g.lr: 0.001 → 0.0001" in capsys.readouterr().out
    assert contents(begun) == before


@pytest.mark.parametrize("damage", [None, "name: [", "nmae: x\n"])
def test_options_that_cannot_be_read_are_no_obstacle(recipe, train, begun, caplog, damage):
    (begun / "options.yml").unlink()
    if damage:
        (begun / "options.yml").write_text(damage)
    assert train(recipe, "--auto_resume") == 0
    assert ("has no options.yml" if damage is None else "is not known, since that cannot be read") in caplog.text
    last = Folder(begun).options_files()[-1]
    assert last.name == ("options_2.yml" if damage else "options.yml") and load_train_options(last).name == "tiny"


def test_a_moved_experiment_goes_on(recipe, train, begun, tmp_path):
    shutil.move(tmp_path / "experiments", tmp_path / "elsewhere")
    assert train(recipe, "--auto_resume", f"path.experiments_root={tmp_path / 'elsewhere'}") == 0
    assert "path." not in (tmp_path / "elsewhere/tiny/options_2.yml").read_text().split("# The options")[0]


def test_an_average_that_is_switched_on_starts_from_the_weights(recipe, train, folder, caplog):
    assert train(recipe, "train.total_iter=5", "train.ema_decay=0") == 0
    still = ["train.optim_g.lr=0", "train.total_iter=6", "train.ema_decay=0.9"]
    assert train(recipe, "--auto_resume", *still) == 0
    assert "the average starts from the weights of iteration 5" in caplog.text
    before = read_weights(folder / "models/net_g_5.pth").params
    content = torch.load(folder / "models/net_g_6.pth", weights_only=True)
    for name, value in before.items():
        torch.testing.assert_close(content["params_ema"][name], value, rtol=0, atol=0)
    assert load_state(folder / "training_states/6.state")["ema_updates"] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "datasets.train.batch_size_per_gpu=2",
            "A step had 4 images (batch_size_per_gpu 4 × 1 process × accumulate 1) and now has 2 "
            "(batch_size_per_gpu 2 × 1 process × accumulate 1), at the same learning rate. "
            "To keep 4: train.accumulate=2.",
        ),
        ("datasets.train.batch_size_per_gpu=8", "To keep 4: datasets.train.batch_size_per_gpu=4 train.accumulate=1."),
        ("datasets.train.batch_size_per_gpu=3", "To keep 4: datasets.train.batch_size_per_gpu=2 train.accumulate=2."),
        ("train.accumulate=2", "To keep 4: train.accumulate=1."),
    ],
)
def test_a_step_of_another_size(recipe, train, begun, caplog, change, said):
    assert train(recipe, "--auto_resume", "train.total_iter=6", change) == 0
    assert said in caplog.text


def test_a_step_split_otherwise_is_the_same_step(recipe, train, begun, caplog):
    split = ["datasets.train.batch_size_per_gpu=2", "train.accumulate=2"]
    assert train(recipe, "--auto_resume", "train.total_iter=6", *split) == 0
    assert "A step had" not in caplog.text


def test_another_number_of_processes(recipe, train, begun, tmp_path, caplog):
    """1 → 2 → 1: both sizes are told, and what keeps the old one."""
    recipe["train"]["total_iter"] = 6
    (tmp_path / "options.yml").write_text(yaml.safe_dump(recipe))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*torchrun, "-m", "srkd", "train", "-opt", str(tmp_path / "options.yml"), "--auto_resume"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 0, said
    assert said.count("and now has 8 (batch_size_per_gpu 4 × 2 processes × accumulate 1)") == 1
    assert "To keep 4: datasets.train.batch_size_per_gpu=2 train.accumulate=1." in said
    assert train(recipe, "--auto_resume", "train.total_iter=7") == 0
    assert "A step had 8 images" in caplog.text and "To keep 8: train.accumulate=2." in caplog.text
    assert "The state is of 2 process(es), this run has 1: random states begin anew." in caplog.text


# --- damaged states


def wrong(state, path, value):
    *parents, last = path.split(".")
    place = state
    for key in parents:
        place = place[int(key) if isinstance(place, list) or key.isdigit() else key]
    place[int(last) if isinstance(place, list) or last.isdigit() else last] = value


TYPES = ["x", 1.5, -1, None, [], {}, [1], True, {"a": 1}, torch.ones(2), 10**30]
PLACES = [
    "iter", "optimizer", "optimizer.state", "optimizer.param_groups", "optimizer.param_groups.0",
    "optimizer.param_groups.0.params", "optimizer.state.0", "optimizer.state.0.exp_avg", "scaler", "heads",
    "ema_updates", "best", "best.value", "best.iter", "best.records", "best.records.held/psnr@1", "random", "random.0",
    "random.0.python",
    "random.0.numpy", "random.0.torch", "random.0.python.1", "losses", "losses.0", "losses.0.0", "losses.0.0.sums",
    "losses.0.0.names", "origin", "origin.seed", "origin.start",
]  # fmt: skip
CASES = [(place, value) for place in PLACES for value in TYPES]


def resume_with(recipe, train, folder, place, value, capsys):
    """One sentence and status 2, or a training that goes on (a few values mean nothing wrong)."""
    path = folder / "training_states/5.state"
    whole = path.read_bytes()
    state = torch.load(path, weights_only=True)
    state["losses"] = [[{"names": ["l_pix", "total"], "sums": torch.ones(2), "count": 1}]]
    wrong(state, place, value)
    torch.save(state, path)
    status = train(recipe, "--auto_resume")
    said = capsys.readouterr().err
    assert status in (0, 2) and "Traceback" not in said, (place, value, said)
    if status == 2:
        assert "5.state" in said and len(said) < 800
    for left in (folder / "training_states/10.state", folder / "models/net_g_10.pth"):
        left.unlink(missing_ok=True)
    path.write_bytes(whole)
    return status


ALWAYS = [("optimizer.state.0.exp_avg", "x"), ("optimizer.state.0.exp_avg", [1]), ("optimizer.state.0.exp_avg", 1.5)]
ALWAYS += [("losses.0.0.names", []), ("losses.0.0.names", ["l_pix"])]
ALWAYS += [("iter", 10**30), ("iter", 4), ("optimizer.state.0.exp_avg", torch.ones(2))]


@pytest.mark.parametrize(("place", "value"), [*ALWAYS, *random.Random(0).sample(CASES, 24)])
def test_fields_of_a_wrong_type(recipe, train, begun, capsys, place, value):
    resume_with(recipe, train, begun, place, value, capsys)


@pytest.mark.slow
def test_fields_of_a_wrong_type_all(recipe, train, begun, capsys):
    refused = sum(resume_with(recipe, train, begun, place, value, capsys) == 2 for place, value in CASES)
    print(f"{len(CASES)} states, {refused} refused")
    assert refused > 0.7 * len(CASES)


@pytest.mark.parametrize("field", ["iter", "optimizer", "scaler", "heads", "ema_updates", "best", "random"])
def test_a_field_that_is_missing(recipe, train, begun, capsys, field):
    path = begun / "training_states/5.state"
    state = torch.load(path, weights_only=True)
    del state[field]
    torch.save(state, path)
    assert train(recipe, "--auto_resume") == 2
    assert "5.state" in capsys.readouterr().err


def truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


def overwrite(path):
    path.write_bytes(b"\0" * 5000)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [truncate, overwrite, empty])
@pytest.mark.parametrize("file", ["training_states/10.state", "models/net_g_10.pth"])
def test_a_damaged_checkpoint_is_passed_over_and_the_result_is_the_same(recipe, train, folder, caplog, damage, file):
    assert train(recipe) == 0
    reference = read_weights(folder / "models/net_g_10.pth").params
    damage(folder / file)
    assert train(recipe, "--auto_resume") == 0
    told = [record.getMessage() for record in caplog.records if "Going on from the one before" in record.getMessage()]
    assert len(told) == 1 and file in told[0] and "training_states/5.state" in told[0]
    assert "Going on from the one before" in (folder / "train.log").read_text()
    after = read_weights(folder / "models/net_g_10.pth").params
    assert all(torch.equal(reference[name], after[name]) for name in reference)
    assert train(recipe, "--auto_resume", f"path.resume_state={folder}/training_states/10.state") == 0


def test_a_damaged_state_that_was_named_is_refused_and_the_whole_one_named(recipe, train, folder, capsys):
    assert train(recipe) == 0
    truncate(folder / "training_states/10.state")
    assert train(recipe, f"path.resume_state={folder}/training_states/10.state") == 2
    said = capsys.readouterr().err
    assert "10.state cannot be read" in said and f"path.resume_state={folder}/training_states/5.state" in said
    truncate(folder / "training_states/5.state")
    assert train(recipe, "--auto_resume") == 2
    assert "No other checkpoint" in capsys.readouterr().err
    assert not list(folder.parent.glob("*archived*"))


# --- what killed writes left behind

LEFT = [
    "models/.net_g_5.abcdefgh.pth", "models/.net_g_latest.a_c9efgh.pth", "models/.net_g_best.abcdefgh.pth",
    "training_states/.5.abcdefgh.state", ".options.abcdefgh.yml", ".options_2.abcdefgh.yml", ".metrics.abcdefgh.jsonl",
    "visualization/p0/.p0_5.abcdefgh.png",
]  # fmt: skip
KEPT = [
    "models/.net_g_mine.abcdefgh.pth", "models/.net_g_5.pth", "models/.small.abcdefgh.safetensors",
    "models/net_g_4.abcdefgh.pth", ".notes.abcdefgh.txt", "visualization/p0/p0_4.abcdefgh.png",
]  # fmt: skip


@pytest.mark.parametrize("how", [["--auto_resume"], []])
def test_what_killed_writes_left_is_removed(recipe, train, begun, how):
    for name in [*LEFT, *KEPT]:
        (begun / name).parent.mkdir(parents=True, exist_ok=True)
        (begun / name).write_bytes(b"half")
    with Folder(begun).claimed():
        assert train(recipe, *how) == 2
        assert all((begun / name).exists() for name in LEFT)  # a live process writes them
    assert train(recipe, *how) == 0
    place = begun if how else next(begun.parent.glob("tiny_archived_*"))
    assert [name for name in LEFT if (place / name).exists()] == []
    assert [name for name in KEPT if not (place / name).exists()] == []


def test_the_names_are_those_of_real_writes(tmp_path, monkeypatch):
    folder, kept = Folder(tmp_path), []
    monkeypatch.setattr("pathlib.Path.unlink", lambda path, missing_ok=False: kept.append(path))
    monkeypatch.setattr("pathlib.Path.replace", lambda path, target: kept.append(path))
    save_network(folder.network(5), EDSR(num_feat=4, num_block=1))
    monkeypatch.undo()
    assert re.fullmatch(r"\.net_g_5\.[a-z0-9_]{8}\.pth", kept[0].name) and kept[0].exists()
    folder.remove_leftovers()
    assert not kept[0].exists()


def test_a_state_without_a_network_is_no_checkpoint(recipe, train, begun):
    assert train(recipe, "--auto_resume") == 0
    (begun / "models/net_g_10.pth").unlink()
    assert Folder(begun).all_states() == [begun / "training_states/5.state"]
    assert train(recipe, "--auto_resume") == 0
    load_network(begun / "models/net_g_10.pth")


def test_load_state_says_which_field(tmp_path):
    torch.save({"iter": 1, "optimizer": {"state": {}, "param_groups": [3]}, "random": [{}]}, tmp_path / "1.state")
    with pytest.raises(InputError, match=r"1\.state is damaged: optimizer\.param_groups\.0: "):
        load_state(tmp_path / "1.state")
