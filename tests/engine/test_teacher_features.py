"""Cached features of the teacher: the same crops in every orientation, what they may take, the student alone."""

import dataclasses

import numpy as np
import pytest
import torch
import yaml

from srkd.cli import main
from srkd.data.batches import TrainBatches
from srkd.data.resident import ResidentBatches
from srkd.data.teacher_cache import TeacherCache
from srkd.data.teacher_features import Features
from srkd.engine.distributed import World
from srkd.engine.targets import attach_targets, features_of
from srkd.losses.pixel import L1Loss
from srkd.methods.distiller import Viewer
from srkd.networks.edsr import EDSR
from srkd.registry import METHODS
from srkd.types import InputError

pytestmark = pytest.mark.usefixtures("own_home")

ALONE = World(0, 1, torch.device("cpu"))


def network(**options):
    torch.manual_seed(0)
    return EDSR(**{"num_feat": 6, "num_block": 2, "upscale": 2, **options}).eval()


def with_features(name, dataset, teacher, **options):
    batches = TrainBatches(dataset, seed=1, batch_size=8)
    cache = options.pop("cache", "features")
    method = METHODS.get(name)(network(num_feat=4), teacher, L1Loss(), teacher_cache=cache, **options)
    attach_targets(method, batches, ALONE)
    return method, batches


def test_they_are_cut_where_the_patch_is_in_every_orientation(data, tmp_path):
    """Features that are the image itself have to come out as the low-resolution patches."""
    dataset = data()
    features = Features(tmp_path / "f", dataset, channels=3, limit=1.0)
    assert features.render(lambda lq: lq / 255) == 8 * len(dataset)
    batches = TrainBatches(dataset, seed=1, batch_size=16)
    batches.targets["teacher/features"] = features
    resident = ResidentBatches(batches, dataset.gpu_cache, torch.device("cpu"))
    turns = set()
    for iteration in range(6):
        batch = batches[iteration]
        torch.testing.assert_close(batch.targets["teacher/features"], batch.lq, rtol=0, atol=3e-4)
        made = resident[iteration]
        assert torch.equal(made.targets["teacher/features"], batch.targets["teacher/features"])
        turns |= {crop[3:6] for crop in batch.crops}
    assert len(turns) == 8


def test_cached_and_live_differ_by_rounding_inside_and_by_context_at_the_edge(data):
    """Measured, in all orientations alike: what a network turned gives is not what it gives, turned."""
    teacher = network(num_block=1)
    method, batches = with_features("FitNet", data(), teacher, taps=["body.0"])
    margin = 3  # what the first convolution and the block see
    inner, outer, turned = 0.0, 0.0, set()
    for iteration in range(6):
        batch = batches[iteration]
        with torch.no_grad():
            live = method.told("teacher", batch.lq)
        difference = (batch.targets["teacher/features"] - live).abs() / live.abs().amax((1, 2, 3), keepdim=True)
        inner = max(inner, difference[..., margin:-margin, margin:-margin].max().item())
        outer = max(outer, difference.max().item())
        turned |= {crop[3:6] for crop in batch.crops}
    assert len(turned) == 8 and inner <= 2**-11  # float16 keeps 11 bits
    assert outer > 20 * inner


@pytest.mark.parametrize("name", ["SRKD", "AT", "FitNet", "FAKD", "LSFD"])
def test_what_is_kept_is_what_is_compared(data, name):
    """Statistics keep one map a tap. How far the losses are from the live ones is in docs/teachers.md."""
    method, batches = with_features(name, data(), network(num_feat=8))
    maps = name in ("SRKD", "AT")
    features = batches.targets["teacher/features"]
    taps = len(method.paths["teacher"])
    assert features.channels == taps * (1 if maps else 8) and features.dtype == np.float16
    assert ("teacher" in batches.targets) == method.needs_output
    batch = batches[0]
    with torch.no_grad():
        kept = method(batch)[method.term].item()
        live = method(dataclasses.replace(batch, targets={}))[method.term].item()
    assert kept > 0 and kept != live  # the borders of patches


def test_they_are_made_once_for_equal_taps_and_orientations(data, tmp_path):
    teacher = network()
    with_features("FitNet", data(), teacher)
    (folder,) = (tmp_path / "home/teachers").iterdir()
    files = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    assert len(files) == 4 * 8 and folder.name.startswith("EDSR-") and "-features-" in folder.name
    with_features("VID", data(), teacher)  # the same taps, as they are: the same files
    with_features("FitNet", data(use_rot=False), teacher)
    assert {file: file.stat().st_mtime_ns for file in folder.iterdir()} == files
    with_features("AT", data(), teacher)
    with_features("FitNet", data(), teacher, taps=["body.0"])
    with_features("SRKD", data(), teacher, statistic="max", stage_weights=[1.0, 1.0])
    assert len(list((tmp_path / "home/teachers").iterdir())) == 4


@pytest.mark.parametrize(("flips", "number"), [((False, False), 1), ((True, False), 2), ((False, True), 4)])
def test_only_orientations_that_occur(data, tmp_path, flips, number):
    _, batches = with_features("AT", data(use_hflip=flips[0], use_rot=flips[1]), network())
    assert len(batches.targets["teacher/features"].names) == 4 * number
    assert batches[0].targets["teacher/features"].shape == (8, 2, 12, 12)


def test_a_memory_mapped_file_holds_the_same(data, tmp_path):
    _, in_memory = with_features("AT", data(), network())
    _, mapped = with_features("AT", data(path=str(tmp_path / "flat")), network())
    assert len(list((tmp_path / "flat").glob("teacher_*.cache"))) == 1
    for i in range(3):
        assert torch.equal(*(found[i].targets["teacher/features"] for found in (in_memory, mapped)))


def test_what_is_too_large_says_what_it_takes(data):
    with pytest.raises(
        InputError, match=r"4 images in 8 orientations, with 12 channels each, take 0\.000576 GB.*1e-06"
    ):
        with_features("FitNet", data(), network(), cache=TeacherCache("features", limit=1e-6))


def test_what_cannot_be_cut_is_said(data):
    method = METHODS.get("SP")(
        network(num_feat=4), network(), L1Loss(), teacher_cache="features", taps=["body.0"], teacher_taps=["upsample"]
    )
    with pytest.raises(InputError, match=r"tap 'upsample' gives \[32, 32\] for an image of \[16, 16\]"):
        features_of(method, "teacher", data(), TeacherCache("features"))


def test_a_damaged_file_is_named(data):
    batches = with_features("AT", data(), network())[1]
    file = batches.targets["teacher/features"].file(2)
    file.write_bytes(b"no array")
    with pytest.raises(InputError, match=r"cannot be read .*: remove it, and it is made again"):
        with_features("AT", data(), network())


@pytest.fixture
def distil(recipe, train, tmp_path):
    student = dict(recipe["network_g"])
    recipe["network_g"] = {**student, "num_feat": 12}
    assert train({**recipe, "name": "teacher"}, "train.total_iter=1") == 0
    recipe["network_g_teacher"], recipe["network_g"] = recipe["network_g"], student
    recipe["path"]["pretrain_network_g_teacher"] = str(tmp_path / "experiments/teacher/models/net_g_latest.pth")
    return recipe


@pytest.mark.parametrize("name", ["SRKD", "FAKD"])
def test_training_with_them_resumes_exactly_and_never_runs_the_teacher(distil, train, tmp_path, monkeypatch, name):
    root, run = tmp_path / "experiments", Viewer._run
    distil["method"] = {"type": name, "teacher_cache": "features"}
    assert train({**distil, "name": "whole"}) == 0
    monkeypatch.setattr(Viewer, "_run", lambda viewer, x, *given: _student_alone(run, viewer, x, *given))
    assert train({**distil, "name": "parts"}) == 0
    for path in (root / "parts").glob("*/*10.*"):
        path.unlink()
    assert train({**distil, "name": "parts"}, "--auto_resume") == 0
    whole, parts = (torch.load(root / run / "models/net_g_10.pth", weights_only=True) for run in ("whole", "parts"))
    assert all(torch.equal(value, parts["params"][name]) for name, value in whole["params"].items())
    assert "-features-" in whole["teacher_cache"] and whole["teacher_cache"].count("EDSR-") == 1 + (name == "FAKD")


def _student_alone(run, viewer, x, *given):
    assert not viewer.frozen or len(x) == 1  # a probe, or a whole image
    return run(viewer, x, *given)


def test_commands(distil, train, tmp_path, capsys):
    distil["method"] = {"type": "SRKD", "teacher_cache": "features"}
    assert train(distil, "--check") == 0
    assert "32 of 32 pictures of teacher/features are not there yet" in " ".join(capsys.readouterr().out.split())
    assert not (tmp_path / "home").exists()
    (tmp_path / "kd.yml").write_text(yaml.safe_dump(distil))
    assert main(["data", "render-teacher", "-opt", str(tmp_path / "kd.yml")]) == 2
    assert "the training makes them" in capsys.readouterr().err
    assert train(distil, "method.type=OutputKD") == 2
    assert "OutputKD compares no features that could be kept" in capsys.readouterr().err
    distil["method"] = {"type": "Sum", "terms": [{"type": "SRKD"}], "teacher_cache": {"keep": "features"}}
    assert train(distil) == 2
    assert "the terms of a sum keep pictures only" in capsys.readouterr().err
