"""Mistakes in the input: exit status 2, one paragraph that names the place, and nothing lost."""

from pathlib import Path

import pytest
import torch
import yaml

from srkd.imaging.files import write_image

TYPOS = {
    "top level": (["nmae"], "name", 1),
    "network_g": (["network_g", "num_fet"], "num_feat", None),
    "method": (["method", "widhts"], "widths", None),
    "optim_g": (["train", "optim_g", "betsa"], "betas", None),
    "metric": (["val", "metrics", "psnr", "test_y_chanel"], "test_y_channel", None),
}


@pytest.mark.parametrize("kind", TYPOS)
def test_a_typo_is_answered_with_path_line_and_suggestion(recipe, train, tmp_path, capsys, kind):
    path, meant, _ = TYPOS[kind]
    recipe["method"] = {"type": "Supervised"}
    block = recipe
    for key in path[:-1]:
        block = block[key]
    block[path[-1]] = block.pop(meant, 1)
    assert train(recipe) == 2
    message = capsys.readouterr().err
    dotted = ".".join(path)
    text = yaml.safe_dump(recipe, sort_keys=False).splitlines()
    line = next(number for number, content in enumerate(text, 1) if content.strip().startswith(f"{path[-1]}:"))
    assert dotted in message and f"options.yml:{line}" in message and f"'{meant}'" in message
    assert "Traceback" not in message and not (tmp_path / "experiments").exists()


def test_an_enum_value(recipe, train, capsys):
    recipe["train"]["precision"] = "bf61"
    assert train(recipe) == 2
    message = capsys.readouterr().err
    assert "train.precision" in message and "bf16" in message and "options.yml:" in message


def test_all_errors_at_once(recipe, train, capsys):
    recipe["network_g"]["num_fet"] = 1
    recipe["train"]["optim_g"]["lrr"] = 1
    recipe["scale"] = "two"
    assert train(recipe) == 2
    message = capsys.readouterr().err
    assert "num_fet" in message and "lrr" in message and "scale" in message


def corrupt(folder):
    data = (folder / "p1.png").read_bytes()
    (folder / "p1.png").write_bytes(data[: len(data) // 2])
    return "p1.png"


def unpaired(recipe, tmp_path, photo):
    for name in ("p0", "p1", "p2"):
        write_image(tmp_path / "lq" / f"{name}.png", photo[:25, :30])
    recipe["datasets"]["train"]["dataroot_lq"] = str(tmp_path / "lq")
    return "p3"


def wrong_ratio(recipe, tmp_path, photo):
    for name in ("p0", "p1", "p2", "p3"):
        write_image(tmp_path / "lq" / f"{name}.png", photo[:12, :15])
    recipe["datasets"]["train"]["dataroot_lq"] = str(tmp_path / "lq")
    return "p0"


def test_missing_folder(recipe, train, capsys, tmp_path):
    recipe["datasets"]["train"]["dataroot_gt"] = str(tmp_path / "nowhere")
    assert train(recipe) == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_teacher_that_is_not_trained_yet(recipe, train, capsys, tmp_path):
    recipe["method"] = {"type": "OutputKD"}
    recipe["network_g_teacher"] = dict(recipe["network_g"])
    recipe["path"]["pretrain_network_g_teacher"] = str(tmp_path / "teacher.pth")
    assert train(recipe) == 2
    message = capsys.readouterr().err
    assert "path.pretrain_network_g_teacher: checkpoint" in message and "does not exist" in message


@pytest.mark.parametrize("frozen", [[], ["train.frozen_width=0.25"]])
def test_what_has_to_be_trained_before_is_named(recipe, train, capsys, tmp_path, monkeypatch, frozen):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "options/train").mkdir(parents=True)
    (tmp_path / "options/train/first.yml").touch()
    assert train(recipe, "path.pretrain_network_g=experiments/first/models/net_g_latest.pth", *frozen) == 2
    assert f"exist: `srkd train -opt {Path('options/train/first.yml')}` makes it; run" in capsys.readouterr().err
    (tmp_path / "experiments/first/models").mkdir(parents=True)
    (tmp_path / "experiments/first/models/net_g_latest.pth").touch()  # it was trained: another file of it was meant
    assert train(recipe, "path.pretrain_network_g=experiments/first/models/net_g_lates.pth", *frozen) == 2
    assert "Did you mean 'experiments/first/models/net_g_latest.pth'?" in capsys.readouterr().err


@pytest.mark.parametrize("mistake", [unpaired, wrong_ratio])
def test_pairs(recipe, train, capsys, tmp_path, photo, mistake):
    named = mistake(recipe, tmp_path, photo)
    assert train(recipe) == 2
    assert named in capsys.readouterr().err


def test_corrupt_image(recipe, train, capsys, photographs):
    named = corrupt(photographs)
    assert train(recipe) == 2
    assert named in capsys.readouterr().err


def test_scale_of_the_network(recipe, train, capsys):
    recipe["network_g"]["upscale"] = 4
    assert train(recipe) == 2
    assert "upscale" in capsys.readouterr().err


def test_unreadable_checkpoint(recipe, train, capsys, tmp_path):
    (tmp_path / "x.pth").write_text("not a checkpoint")
    recipe["path"]["pretrain_network_g"] = str(tmp_path / "x.pth")
    assert train(recipe) == 2
    assert "x.pth" in capsys.readouterr().err


def test_wrong_network_in_checkpoint(recipe, train, capsys, tmp_path):
    from srkd.networks.edsr import EDSR
    from srkd.networks.weights import save_network

    save_network(tmp_path / "x.pth", EDSR(num_feat=4, num_block=1, upscale=2))
    recipe["path"]["pretrain_network_g"] = str(tmp_path / "x.pth")
    assert train(recipe) == 2
    message = capsys.readouterr().err
    assert "x.pth" in message and "conv_first" in message and "num_feat: 4" in message


def test_batch_too_small_for_the_negatives(recipe, train, capsys):
    recipe["method"] = {"type": "CSD", "widths": [0.5], "num_negatives": 4, "perceptual": {"type": "network"}}
    assert train(recipe) == 2
    message = capsys.readouterr().err
    assert "num_negatives` (=4)" in message and "batch size = 4" in message


def test_teacher_without_use_and_use_without_teacher(recipe, train, capsys):
    recipe["network_g_teacher"] = dict(recipe["network_g"])
    assert train(recipe) == 2
    assert "network_g_teacher" in capsys.readouterr().err


def test_invalid_width(recipe, train, capsys):
    recipe["method"] = {"type": "CSD", "widths": [0.3], "num_negatives": 2, "perceptual": {"type": "network"}}
    assert train(recipe) == 2
    assert "Nearest valid" in capsys.readouterr().err


def test_resume_state_of_another_kind(recipe, train, capsys, tmp_path):
    states = tmp_path / "experiments" / "tiny" / "training_states"
    states.mkdir(parents=True)
    torch.save({"iter": 1}, states / "1.state")
    recipe["path"]["resume_state"] = str(states / "1.state")
    assert train(recipe) == 2
    assert "1.state" in capsys.readouterr().err


def test_a_missing_gpu_is_an_error_for_device_and_a_warning_for_num_gpu(recipe, train, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert train(recipe, "device=cuda") == 2
    assert "not available" in capsys.readouterr().err
    assert train(recipe, "num_gpu=1", "device=auto", "train.total_iter=1") == 0


def test_missing_option_file(capsys):
    from srkd.cli import main

    assert main(["train", "-opt", "nowhere.yml"]) == 2
    assert "nowhere.yml" in capsys.readouterr().err


def test_an_image_that_breaks_during_training_keeps_what_was_learnt(recipe, train, capsys, photographs, tmp_path):
    from srkd.data.sampling import plan

    recipe["datasets"]["train"] |= {"io_backend": {"type": "disk"}, "batch_size_per_gpu": 1}
    recipe["datasets"].pop("val")
    recipe.pop("val")
    third = int(plan(3, 2, rank=0, world_size=1, batch_size=1, num_images=4).image[0])
    path = photographs / f"p{third}.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:-600])  # its header is sound
    assert train(recipe) == 2
    assert path.name in capsys.readouterr().err
    assert [state.name for state in (tmp_path / "experiments/tiny/training_states").iterdir()] == ["2.state"]
    path.write_bytes(whole)
    assert train(recipe, "--auto_resume") == 0


@pytest.mark.parametrize("mistake", ["val.widths=[0.3]", "train.precision=fp16"])
def test_a_late_mistake_leaves_the_old_experiment_where_it_is(recipe, train, tmp_path, mistake):
    assert train(recipe, "train.total_iter=1") == 0
    before = sorted(path.name for path in (tmp_path / "experiments").rglob("*"))
    assert train(recipe, mistake) == 2
    assert sorted(path.name for path in (tmp_path / "experiments").rglob("*")) == before
