"""Cached pictures of the teacher: the same crops, turned the same way; kept, found again, told; the student alone."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml

from srkd.cli import main
from srkd.data.batches import TrainBatches
from srkd.data.resident import ResidentBatches
from srkd.data.teacher_cache import Targets, TeacherCache
from srkd.engine.distributed import World
from srkd.engine.targets import attach_targets, render, targets_of, teacher_key
from srkd.evaluation.models import load_models
from srkd.imaging.files import read_image, write_image
from srkd.losses.pixel import L1Loss
from srkd.methods.output_kd import OutputKD
from srkd.networks.edsr import EDSR
from srkd.types import InputError

pytestmark = pytest.mark.usefixtures("own_home")

ALONE = World(0, 1, torch.device("cpu"))


def network(**options):
    torch.manual_seed(0)
    return EDSR(**{"num_feat": 6, "num_block": 2, "upscale": 2, "img_range": 1.0, **options}).eval()


def with_targets(dataset, teacher, cache):
    batches = TrainBatches(dataset, seed=1, batch_size=8)
    method = OutputKD(network(num_feat=4), teacher, L1Loss(), teacher_cache=cache)
    attach_targets(method, batches, ALONE)
    return method, batches


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("bits", [8, 16])
def test_targets_are_cut_and_turned_with_the_patch(data, tmp_path, bits, channels):
    """Pictures that are the ground truth itself have to come out as the ground truth's patches, in all orientations."""
    dataset = data()
    targets = Targets(tmp_path / "t", len(dataset), lambda i: dataset.pair(i)[0], scale=2, channels=channels, bits=bits)
    truth = {dataset.pair(i)[0].tobytes(): dataset.pair(i)[1] for i in range(len(dataset))}
    assert targets.render(lambda lq: truth[lq.tobytes()][..., :channels] / 255) == len(dataset)
    batches = TrainBatches(dataset, seed=1, batch_size=16)
    batches.targets["teacher"] = targets
    resident = ResidentBatches(batches, dataset.gpu_cache, torch.device("cpu"))
    turns = set()
    for iteration in range(6):
        batch = batches[iteration]
        torch.testing.assert_close(batch.targets["teacher"], batch.gt[:, :channels], rtol=0, atol=1e-7)
        made = resident[iteration]
        assert torch.equal(made.targets["teacher"], batch.targets["teacher"]) and made.crops == batch.crops
        turns |= {crop[3:6] for crop in batch.crops}
    assert len(turns) == 8


def test_pictures_are_made_once_and_found_again(data, tmp_path, caplog):
    teacher = network()
    _, batches = with_targets(data(), teacher, "outputs")
    (folder,) = (tmp_path / "home" / "teachers").iterdir()
    files = sorted(folder.iterdir())
    assert len(files) == 4 and folder.name.endswith("-8bit")
    before = [file.stat().st_mtime_ns for file in files]
    files[0].unlink()
    _, again = with_targets(data(), teacher, "outputs")
    assert [file.stat().st_mtime_ns for file in files][1:] == before[1:] and files[0].is_file()
    assert all(torch.equal(batches[i].targets["teacher"], again[i].targets["teacher"]) for i in range(3))


def test_names_do_not_matter_and_pixels_do(data, photographs, tmp_path):
    teacher = network()
    with_targets(data(), teacher, "outputs")
    for number, file in enumerate(sorted(photographs.iterdir())):
        file.rename(photographs / f"renamed_{9 - number}.png")
    targets = targets_of(teacher, data(), TeacherCache())
    assert targets.missing() == []
    image = read_image(photographs / "renamed_9.png")
    write_image(photographs / "renamed_9.png", 255 - image)
    assert len(targets_of(teacher, data(), TeacherCache()).missing()) == 1


def test_another_teacher_or_way_is_another_folder():
    teacher, other = network(), network()
    with torch.no_grad():
        other.conv_last.bias.add_(1e-6)
    keys = {
        teacher_key(teacher, TeacherCache()),
        teacher_key(other, TeacherCache()),
        teacher_key(network(res_scale=0.5), TeacherCache()),
        teacher_key(teacher, TeacherCache(bits=16)),
        teacher_key(teacher, TeacherCache(self_ensemble=True)),
    }
    assert len(keys) == 5 and teacher_key(network(), TeacherCache()) in keys


@pytest.mark.parametrize("bits", [8, 16])
def test_cached_and_live_differ_by_rounding_inside_and_by_context_at_the_edge(data, bits):
    """The measured difference: where the receptive field ends inside the patch only rounding is left."""
    teacher = network(num_block=0)
    _, batches = with_targets(data(), teacher, TeacherCache(bits=bits))
    margin = 2 * teacher.receptive_field
    inner, outer = [], []
    for iteration in range(8):
        batch = batches[iteration]
        upright = [j for j, crop in enumerate(batch.crops) if not any(crop[3:6])]  # no network is equivariant
        if upright:
            with torch.no_grad():
                live = teacher(batch.lq[upright]).clamp(0, 1)
            difference = (batch.targets["teacher"][upright] - live).abs()
            inner.append(difference[..., margin:-margin, margin:-margin].max().item())
            outer.append(difference.max().item())
    assert len(inner) > 2 and max(inner) <= 0.5 / (2**bits - 1) + 1e-6
    assert max(outer) > 10 * max(inner)


def test_the_mean_over_all_turns_turns_exactly(data):
    """×8 pictures of a turned image are the turned pictures: crops may be turned after the fact."""
    teacher = network()
    cache = TeacherCache(self_ensemble=True, bits=16)
    dataset = data()
    targets = targets_of(teacher, dataset, cache)
    render(targets, teacher, cache)
    lq = dataset.pair(0)[0]
    turned = Targets(
        targets.folder / "turned", 1, lambda _: np.ascontiguousarray(lq[::-1].swapaxes(0, 1)),
        scale=2, channels=3, bits=16,
    )  # fmt: skip
    render(turned, teacher, cache)
    difference = turned.picture(0).astype(int) - targets.picture(0)[::-1].swapaxes(0, 1)
    assert abs(difference).max() <= 1


def test_a_memory_mapped_file_holds_the_same(data, tmp_path):
    teacher = network()
    _, in_memory = with_targets(data(), teacher, TeacherCache(bits=16))
    _, mapped = with_targets(data(path=str(tmp_path / "flat")), teacher, TeacherCache(bits=16))
    assert len(list((tmp_path / "flat").glob("teacher_*.cache"))) == 1
    assert all(torch.equal(in_memory[i].targets["teacher"], mapped[i].targets["teacher"]) for i in range(3))


def test_what_is_wrong_is_said(data, monkeypatch):
    teacher = network()
    _, batches = with_targets(data(), teacher, "outputs")
    targets = batches.targets["teacher"]
    write_image(targets.file(1), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(InputError, match=r"is \[4, 4, 3\] uint8, not the teacher's picture of 50×60: remove it"):
        targets_of(teacher, data(), TeacherCache()).load()
    monkeypatch.setattr("srkd.data.teacher_cache.available_memory", lambda: 10)
    with pytest.raises(InputError, match="memory-mapped file, or `bits: 8`"):
        targets_of(teacher, data(), TeacherCache(bits=16)).load()


@pytest.fixture
def distil(recipe, train, tmp_path):
    student = dict(recipe["network_g"])
    recipe["network_g"] = {**student, "num_feat": 12, "num_block": 3}
    assert train({**recipe, "name": "teacher"}, "train.total_iter=1") == 0
    recipe["network_g_teacher"], recipe["network_g"] = recipe["network_g"], student
    recipe["path"]["pretrain_network_g_teacher"] = str(tmp_path / "experiments/teacher/models/net_g_latest.pth")
    recipe["method"] = {"type": "OutputKD", "teacher_cache": {"keep": "outputs", "self_ensemble": True}}
    return recipe


def test_training_with_it_resumes_exactly_and_never_runs_the_teacher(distil, train, tmp_path, monkeypatch, capsys):
    root = tmp_path / "experiments"
    assert train({**distil, "name": "whole"}) == 0
    assert "making 4 pictures of the teacher (×8)" in (root / "whole/train.log").read_text()
    monkeypatch.setattr("srkd.methods.distiller.Viewer._run", forbid_teacher)
    assert train({**distil, "name": "parts"}) == 0
    for path in (root / "parts").glob("*/*10.*"):
        path.unlink()
    assert train({**distil, "name": "parts"}, "--auto_resume") == 0
    whole, parts = (torch.load(root / run / "models/net_g_10.pth", weights_only=True) for run in ("whole", "parts"))
    assert all(torch.equal(value, parts["params"][name]) for name, value in whole["params"].items())
    assert whole["teacher_cache"].startswith("EDSR-") and whole["teacher_cache"].endswith("-x8-8bit")
    (model,) = load_models([root / "whole/models/net_g_10.pth"])
    assert model.origin["teacher_cache"] == whole["teacher_cache"]  # so it is in every result file


def forbid_teacher(viewer, x, width, picture, _run=None):
    from srkd.methods.distiller import View

    assert not viewer.frozen or (picture is not None and not viewer.paths)
    return View(picture, []) if viewer.frozen else View(*viewer._taps.run(x, width))


def test_check_makes_no_pictures_and_says_so(distil, train, tmp_path, capsys):
    assert train(distil, "--check") == 0
    assert "4 of 4 pictures of teacher are not there yet" in " ".join(capsys.readouterr().out.split())
    assert not (tmp_path / "home").exists()


def test_render_teacher(distil, train, tmp_path, capsys):
    file = tmp_path / "kd.yml"
    file.write_text(yaml.safe_dump(distil))
    assert main(["data", "render-teacher", "-opt", str(file)]) == 0
    assert "4 pictures made, 4 there" in capsys.readouterr().out
    assert main(["data", "render-teacher", "-opt", str(file)]) == 0
    assert "0 pictures made, 4 there" in capsys.readouterr().out
    assert train(distil, "--check") == 0
    assert "not there yet" not in capsys.readouterr().out
    shutil.rmtree(tmp_path / "home")
    del distil["network_g_teacher"], distil["path"]["pretrain_network_g_teacher"]
    file.write_text(yaml.safe_dump(distil))
    assert main(["data", "render-teacher", "-opt", str(file)]) == 2
    assert "names no network_g_teacher" in capsys.readouterr().err


def test_an_interruption_counts_between_two_pictures(distil, tmp_path):
    """In a process of its own: other tests' libraries may have wishes for the signals of this one."""
    (tmp_path / "kd.yml").write_text(yaml.safe_dump(distil))
    program = (
        "import signal, sys\n"
        "from srkd.cli import main\n"
        "from srkd.data.teacher_cache import Targets\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "made = Targets._rounded\n"
        "def interrupted(targets, picture):\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    return made(targets, picture)\n"
        "Targets._rounded = interrupted\n"
        "sys.exit(main(['train', '-opt', 'kd.yml']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    (folder,) = (tmp_path / "home" / "teachers").iterdir()
    assert len(list(folder.iterdir())) == 1
