"""srkd's methods inside BasicSR's own trainer: its `train_pipeline`, its data sets, its options."""

from __future__ import annotations

import importlib
import logging
import os
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
import torch
import yaml

from srkd.imaging.files import write_image
from srkd.imaging.resize import imresize
from srkd.inference.upscaler import Upscaler
from srkd.methods.base import teacher_use
from srkd.networks.edsr import EDSR
from srkd.networks.weights import load_network, read_weights, save_network
from srkd.registry import METHODS as METHODS_OF_SRKD
from srkd.types import InputError, WorkError

STUDENT = {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 8, "num_block": 3, "upscale": 2}
TEACHER = {**STUDENT, "num_feat": 16, "num_block": 4}
PIX = {"type": "L1Loss", "loss_weight": 1.0, "reduction": "mean"}


@pytest.fixture
def module(basicsr):
    return importlib.import_module("srkd.compat.basicsr_model")


@pytest.fixture
def workspace(tmp_path, monkeypatch, _astronaut):
    """A folder with crops of a photograph in BasicSR's layout and a teacher's file, and everybody works in it."""
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        gt = _astronaut[60 * number : 60 * number + 96, 120:216].copy()
        write_image(Path(f"gt/im{number}.png"), gt)
        write_image(Path(f"lq/im{number}.png"), imresize(gt, scale=1 / 2))
    torch.manual_seed(1)
    save_network("teacher.pth", EDSR(**TEACHER))
    return tmp_path


def options(name, method, /, *, total_iter=20, teacher=False, **changes):
    """A file of BasicSR's, with nothing of ours but `method` and the teacher."""
    data = {"type": "PairedImageDataset", "dataroot_gt": "gt", "dataroot_lq": "lq", "io_backend": {"type": "disk"}}
    opt = {
        "name": name,
        "model_type": "SRKDModel",
        "scale": 2,
        "num_gpu": 0,
        "manual_seed": 0,
        "datasets": {
            "train": {
                **data,
                "name": "crops",
                "gt_size": 48,
                "use_hflip": True,
                "use_rot": True,
                "num_worker_per_gpu": 0,
                "batch_size_per_gpu": 4,
                "dataset_enlarge_ratio": 8,
            },
            "val": {**data, "name": "Photos"},
        },
        "network_g": {"type": "EDSR_srkd", **STUDENT},
        "path": {"pretrain_network_g": None, "strict_load_g": True, "resume_state": None},
        "method": method,
        "train": {
            "ema_decay": 0.9,
            "optim_g": {"type": "Adam", "lr": 1e-3, "weight_decay": 0, "betas": [0.9, 0.99]},
            "scheduler": {"type": "MultiStepLR", "milestones": [15], "gamma": 0.5},
            "total_iter": total_iter,
            "warmup_iter": -1,
            "pixel_opt": PIX,
        },
        "val": {
            "val_freq": 10,
            "save_img": False,
            "metrics": {"psnr": {"type": "calculate_psnr", "crop_border": 2, "test_y_channel": True}},
        },
        "logger": {"print_freq": 1, "save_checkpoint_freq": 10, "use_tb_logger": False},
    }
    if teacher:
        opt["network_g_teacher"] = {"type": "EDSR_srkd", **TEACHER}
        opt["path"]["pretrain_network_g_teacher"] = "teacher.pth"
    for path, value in changes.items():
        *blocks, key = path.split("__")
        block = opt
        for part in blocks:
            block = block[part]
        block[key] = value
    return opt


def write(opt):
    # BasicSR reads YAML 1.1, where 0.001 is a number and 1e-3 is text
    Path("options.yml").write_text(yaml.safe_dump(opt, sort_keys=False))


@pytest.fixture
def train(module, workspace, monkeypatch):
    """BasicSR's trainer in this process: (exit status, its log)."""

    def run(opt, *arguments):
        write(opt)
        monkeypatch.setattr(sys, "argv", ["train.py", "-opt", "options.yml", *arguments])
        logger, lines = logging.getLogger("basicsr"), []
        handler = logging.Handler()
        handler.emit = lambda record: lines.append(record.getMessage())  # its own file handler is the first run's
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        try:
            return module.main(), "\n".join(lines)
        finally:
            logger.removeHandler(handler)

    return run


def logged(log, name):
    """The values of a loss, in order."""
    return [float(value) for value in re.findall(rf"{re.escape(name)}: (\S+) ", log)]


def command(*arguments):
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment, timeout=240
    )


def test_the_command_runs_basicsrs_trainer_with_fakd(basicsr, workspace, photo):
    write(options("fakd", {"type": "FAKD", "alpha": 0.25}, teacher=True))
    done = command("-m", "srkd.compat.basicsr_model", "-opt", "options.yml")
    assert done.returncode == 0, done.stderr
    folder = workspace / "experiments" / "fakd"
    (log_file,) = folder.glob("train_fakd_*.log")
    log = log_file.read_text()
    assert "BasicSR" in log and "Model [SRKDModel] is created" in log and "End of training" in log
    for name in ("l_pix", "l_ts", "l_sa"):
        assert len(logged(log, name)) == 20
    pixel = logged(log, "l_pix")
    assert sum(pixel[-5:]) < 0.8 * sum(pixel[:5])
    assert log.count("Validation Photos") == 3  # at 10, at 20, and at the end
    assert "lr:(1.000e-03,)" in log and "lr:(5.000e-04,)" in log  # its schedule
    assert {file.name for file in (folder / "models").iterdir()} == {
        "net_g_10.pth",
        "net_g_20.pth",
        "net_g_latest.pth",
    }

    latest = folder / "models" / "net_g_latest.pth"
    weights = read_weights(latest)
    assert weights.key == "params_ema" and weights.meta["method"] == "FAKD" and weights.meta["iter"] == 20
    network = load_network(latest)
    assert network.config["num_feat"] == 8
    assert Upscaler(network, device="cpu")(photo).shape == (192, 240, 3)
    assert not any("teacher" in name for name in weights.params)


def test_a_train_script_of_ones_own_needs_one_line(basicsr, workspace):
    write(options("own", {"type": "Supervised"}, total_iter=1))
    Path("train.py").write_text(
        "import srkd.compat.basicsr_model\n"
        "from basicsr.train import train_pipeline\n"
        "if __name__ == '__main__':\n"
        "    train_pipeline('.')\n"
    )
    done = command("train.py", "-opt", "options.yml")
    assert done.returncode == 0, done.stderr
    assert load_network("experiments/own/models/net_g_latest.pth").trained_widths == (1.0,)


METHODS = {
    "Supervised": ({"widths": [1.0, 0.5]}, ["l_pix@1", "l_pix@0.5"]),
    "SRKD": ({}, ["l_pix", "l_stat"]),
    "OutputKD": ({}, ["l_pix", "l_ts"]),
    "CSD": (
        {"widths": [0.5], "num_negatives": 2, "perceptual": {"type": "network"}},
        ["l_pix@1", "l_pix@0.5", "l_contrast@0.5"],
    ),
}


@pytest.mark.parametrize("name", METHODS)
def test_every_kind_of_method_runs_in_basicsrs_trainer(train, name):
    own, losses = METHODS[name]
    status, log = train(options(name, {"type": name, **own}, total_iter=5, teacher=name in ("SRKD", "OutputKD")))
    assert status == 0
    for loss in losses:
        assert len(logged(log, loss)) == 5
    assert logged(log, losses[0])[-1] < logged(log, losses[0])[0]
    network = load_network(f"experiments/{name}/models/net_g_latest.pth")
    assert network.trained_widths == ((1.0, 0.5) if "@" in losses[0] else (1.0,))


def test_validation_at_several_widths(train, workspace):
    method = {"type": "Supervised", "widths": [1.0, "1/2"]}
    opt = options("wide", method, total_iter=1, val__widths=[1.0, 0.5], val__save_img=True)
    status, log = train(opt)
    assert status == 0
    values = dict(re.findall(r"Validation (Photos@\S+)\n\t # psnr: (\S+)", log))
    assert list(values) == ["Photos@1", "Photos@0.5"]
    assert values["Photos@1"] != values["Photos@0.5"]
    pictures = workspace / "experiments" / "wide" / "visualization"
    assert len(list(pictures.glob("width_1/im0/*.png"))) == len(list(pictures.glob("width_0.5/im0/*.png"))) == 1


def test_basicsrs_own_test_pipeline_measures_every_width(module, workspace, monkeypatch):
    save_network("student.pth", EDSR(**STUDENT))
    opt = options("measured", {}, val__widths=[1.0, 0.5], val__save_img=True, val__suffix=None)
    del opt["train"], opt["datasets"]["train"]
    opt["datasets"] = {"test_1": opt["datasets"]["val"]}
    opt["path"]["pretrain_network_g"] = "student.pth"
    write(opt)
    monkeypatch.setattr(sys, "argv", ["test.py", "-opt", "options.yml"])
    importlib.import_module("basicsr.test").test_pipeline(str(workspace))
    pictures = workspace / "results" / "measured" / "visualization"
    names = [sorted(file.name for file in pictures.glob(f"width_{w}/Photos@{w}/*.png")) for w in ("1", "0.5")]
    assert names[0] == names[1] and len(names[0]) == 4


@pytest.mark.parametrize("kind", ["RCAN", "EDSR"])
def test_a_network_of_basicsrs_is_trained_and_read_by_both(train, kind):
    """BasicSR's RCAN from BasicSR's EDSR; the file is BasicSR's own in names, and ours in what it says of itself."""
    own = {"num_group": 1, "num_block": 1, "squeeze_factor": 4} if kind == "RCAN" else {"num_block": 1}
    network_g = {**STUDENT, "type": kind, **own}
    arch = importlib.import_module("basicsr.archs").build_network
    torch.manual_seed(2)
    teacher = {"type": "EDSR", **TEACHER}
    torch.save({"params": arch(teacher).state_dict()}, "basicsr_teacher.pth")
    opt = options("theirs", {"type": "OutputKD"}, total_iter=2, teacher=True, network_g=network_g)
    opt["network_g_teacher"], opt["path"]["pretrain_network_g_teacher"] = teacher, "basicsr_teacher.pth"
    status, log = train(opt)
    assert status == 0 and len(logged(log, "l_ts")) == 2
    latest = "experiments/theirs/models/net_g_latest.pth"
    theirs, ours = arch(network_g), load_network(latest)
    theirs.load_state_dict(torch.load(latest, weights_only=True)["params_ema"])
    x = torch.rand(1, 3, 9, 12)
    with torch.no_grad():
        assert torch.equal(theirs.eval()(x), ours(x))
    assert train(opt | {"method": {"type": "Supervised", "widths": [1.0, 0.5]}})[0] == 2


def parsed(opt):
    """What BasicSR's `parse_options` makes of an option file, as far as a model looks at it."""
    for name in ("models", "training_states"):
        Path(name).mkdir(exist_ok=True)
    own = {"models": "models", "training_states": "training_states", "visualization": "visualization"}
    opt = {**opt, "dist": False, "rank": 0, "world_size": 1, "is_train": True}
    return {**opt, "path": {**opt["path"], **own}}


def build(opt, **changes):
    return importlib.import_module("basicsr.models").build_model({**parsed(opt), **changes})


def batches(count):
    generator = torch.Generator().manual_seed(3)
    for _ in range(count):
        gt = torch.rand(2, 3, 32, 32, generator=generator)
        yield {"lq": torch.nn.functional.avg_pool2d(gt, 2), "gt": gt}


def steps(model, data, start=1):
    for iteration, batch in enumerate(data, start=start):
        model.update_learning_rate(iteration)
        model.feed_data(batch)
        model.optimize_parameters(iteration)


def test_supervised_training_is_srmodels_bit_for_bit(module, workspace):
    models = []
    for kind in ("SRModel", "SRKDModel"):
        torch.manual_seed(7)
        opt = options("same", {"type": "Supervised"}, model_type=kind, network_g={"type": "EDSR", **STUDENT})
        opt["train"]["scheduler"]["milestones"] = [3]
        models.append(build(opt))
        steps(models[-1], batches(5))
    theirs, ours = models
    for one, other in ((theirs.net_g, ours.net_g), (theirs.net_g_ema, ours.net_g_ema)):
        weights = other.state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in one.state_dict().items())
    assert theirs.get_current_log() == ours.get_current_log()
    assert theirs.get_current_learning_rate() == ours.get_current_learning_rate() == [5e-4]


@pytest.mark.parametrize("name", METHODS_OF_SRKD.names())
def test_every_method_is_trained_by_basicsrs_steps(module, workspace, name):
    """By existing: what it owns is in the state, and the student moves."""
    component = METHODS_OF_SRKD.get(name)
    torch.manual_seed(4)
    method = {"type": name, **component.example(workspace)}
    model = build(options("all", method, teacher=teacher_use(component) != "no"))
    before = deepcopy(model.net_g.state_dict())
    steps(model, [{key: torch.cat([value, value.flip(-1)]) for key, value in batch.items()} for batch in batches(2)])
    log = model.get_current_log()
    assert log and all(value == value for value in log.values())
    assert any(not torch.equal(value, before[key]) for key, value in model.net_g.state_dict().items())


def test_several_teachers_are_srkds_own(module, workspace):
    with pytest.raises(InputError, match="network_g_teachers is for srkd's own trainer"):
        build(options("several", {"type": "OutputKD"}, network_g_teachers={"a": TEACHER}))


def test_our_edsr_trains_as_basicsrs(module, workspace):
    start, nets = EDSR(**STUDENT).state_dict(), []
    for kind, network in (("SRModel", "EDSR"), ("SRKDModel", "EDSR_srkd")):
        model = build(options("same", {"type": "Supervised"}, model_type=kind, network_g={"type": network, **STUDENT}))
        model.net_g.load_state_dict(start)
        steps(model, batches(5))
        nets.append(model.net_g.state_dict())
    assert all(torch.allclose(value, nets[1][name], rtol=0, atol=1e-6) for name, value in nets[0].items())


def test_the_progress_of_the_training_reaches_the_weights(module, workspace):
    model = build(options("fading", {"type": "Supervised"}, total_iter=4))
    seen = []
    total = model.method.total
    model.method.total = lambda losses, progress: (seen.append(progress), total(losses, progress))[1]
    steps(model, batches(4))
    assert seen == [0, 0.25, 0.5, 0.75]


def test_a_resumed_pisr_run_ends_as_an_uninterrupted_one(train, workspace):
    """One image without augmentation: BasicSR repeats the epoch it stopped in, so only then are the batches the same.

    PISR has heads, which are in no network file; the teacher of FAKD, below, is looked for in the wrong place by
    BasicSR's own resumption.
    """
    fixed = {"datasets__train__gt_size": 96, "datasets__train__use_hflip": False, "datasets__train__use_rot": False}
    for number in (1, 2, 3):
        Path(f"gt/im{number}.png").unlink()
        Path(f"lq/im{number}.png").unlink()
    stage1 = options("stage1", {"type": "PISRTeacher"}, total_iter=2, **fixed)
    assert train(stage1)[0] == 0
    decoder = "experiments/stage1/models/net_g_latest.pth"
    assert "encoder" in read_weights(decoder).meta["companions"]

    method = {"type": "PISR", "stage1": decoder, "information_weight": 0.1}
    opt = options("pisr", method, path__pretrain_network_g=decoder, **fixed)
    status, log = train(opt)
    assert status == 0 and len(logged(log, "l_vid")) == 20
    folder = workspace / "experiments" / "pisr"
    whole = [read_weights(folder / "models" / "net_g_20.pth", key).params for key in ("params", "params_ema")]
    state = torch.load(folder / "training_states" / "20.state", weights_only=True)
    (folder / "models" / "net_g_20.pth").unlink()
    (folder / "training_states" / "20.state").unlink()

    status, log = train(opt, "--auto_resume")
    assert status == 0 and "Resuming training from epoch: 4, iter: 10." in log
    assert len(logged(log, "l_vid")) == 10
    resumed = [read_weights(folder / "models" / "net_g_20.pth", key).params for key in ("params", "params_ema")]
    for one, other in zip(whole, resumed, strict=True):
        assert all(torch.equal(value, other[name]) for name, value in one.items())
    again = torch.load(folder / "training_states" / "20.state", weights_only=True)
    assert {name.split(".")[0] for name in again["srkd"]["heads"]} == {"mean_head", "scale_head"}
    for name, value in state["srkd"]["heads"].items():
        assert torch.equal(value, again["srkd"]["heads"][name])


def test_a_resumed_run_finds_its_teacher_again(train, workspace):
    method = {"type": "FAKD"}
    opt = options("again", method, total_iter=10, teacher=True, path__param_key_g_teacher="params")
    assert train(opt)[0] == 0
    opt["train"]["total_iter"] = 12
    opt["path"]["resume_state"] = str(workspace / "experiments" / "again" / "training_states" / "10.state")
    status, log = train(opt)
    assert status == 0 and len(logged(log, "l_ts")) == 2
    # the way to say that it has moved
    Path("teacher.pth").rename("moved.pth")
    assert train(opt)[0] == 2
    opt["path"] |= {"pretrain_network_g_teacher": "moved.pth", "ignore_resume_networks": ["network_g_teacher"]}
    assert train(opt)[0] == 0


@pytest.mark.parametrize("moved", [False, True])
def test_a_resumed_run_takes_the_same_weights_of_the_teachers_file(module, workspace, moved):
    """BasicSR's `check_resume` makes `params` of `params_ema`, and looks for every network in the run's folder."""
    current, averaged = EDSR(**TEACHER), EDSR(**TEACHER)
    save_network("teacher.pth", current, params_ema=averaged.state_dict())
    opt = parsed(options("again", {"type": "OutputKD"}, teacher=True, path__param_key_g_teacher="params_ema"))
    build(opt).save(0, 3)
    opt["path"]["resume_state"] = "training_states/3.state"
    if moved:
        Path("teacher.pth").rename("moved.pth")
        opt["path"] |= {"pretrain_network_g_teacher": "moved.pth", "ignore_resume_networks": ["network_g_teacher"]}
    importlib.import_module("basicsr.utils").check_resume(opt, 3)
    assert opt["path"]["param_key_g_teacher"] == "params"
    teacher = build(opt).method.teacher.module.state_dict()
    assert all(torch.equal(value, teacher[name]) for name, value in averaged.state_dict().items())


def test_several_processes_train_as_one(module, workspace, monkeypatch):
    """The method is wrapped, not the network. One process stands for several; without a GPU there is no device id."""
    base = importlib.import_module("basicsr.models.base_model")

    class OnTheCPU(torch.nn.parallel.DistributedDataParallel):
        def __init__(self, net, device_ids, find_unused_parameters):
            super().__init__(net)

    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(base, "DistributedDataParallel", OnTheCPU)
    torch.distributed.init_process_group("gloo", init_method=f"file://{workspace}/store", rank=0, world_size=1)
    try:
        nets = []
        for dist in (False, True):
            torch.manual_seed(5)
            model = build(options("dist", {"type": "FAKD"}, teacher=True), dist=dist)
            steps(model, batches(3))
            nets.append(model.net_g.state_dict())
        assert isinstance(model.parallel, OnTheCPU) and isinstance(model.net_g, EDSR)
    finally:
        torch.distributed.destroy_process_group()
    assert all(torch.equal(value, nets[1][name]) for name, value in nets[0].items())


def test_a_state_of_another_model_or_method_is_refused(module, workspace):
    build(options("a", {"type": "Supervised"}, model_type="SRModel")).save(0, 3)
    ours = build(options("b", {"type": "Supervised"}))
    with pytest.raises(InputError, match=r"path.resume_state: it was not written by SRKDModel.*pretrain_network_g"):
        ours.resume_training(torch.load("training_states/3.state", weights_only=True))
    build(options("c", {"type": "PISRTeacher"})).save(0, 4)
    with pytest.raises(InputError, match=r"it is of another method; encoder\.0\.weight differs"):
        ours.resume_training(torch.load("training_states/4.state", weights_only=True))


def test_basicsrs_own_model_loads_what_is_saved(module, workspace):
    """Network and training state: a run may go on, or be finished, without srkd."""
    ours = build(options("both", {"type": "Supervised"}))
    steps(ours, batches(3))
    ours.save(0, 3)
    resumed = options("both", {}, model_type="SRModel", network_g={"type": "EDSR", **STUDENT})
    resumed["path"] |= {"pretrain_network_g": "models/net_g_3.pth", "param_key_g": "params"}
    theirs = build(resumed)
    theirs.resume_training(torch.load("training_states/3.state", weights_only=True))
    for model in (ours, theirs):
        steps(model, batches(2), start=4)
    for one, other in ((theirs.net_g, ours.net_g), (theirs.net_g_ema, ours.net_g_ema)):
        weights = other.state_dict()
        assert all(torch.allclose(value, weights[name], rtol=0, atol=1e-6) for name, value in one.state_dict().items())


MISTAKES = [
    ({"method": None}, r"method: its `type` is missing\. Available: .*FAKD"),
    ({"method": {"type": "FAKDD"}}, r"method \(FAKDD\): unknown method 'FAKDD'\. Did you mean 'FAKD'\?"),
    ({"method": {"type": "FAKD", "alhpa": 1}}, r"method \(FAKD\): alhpa: unknown key 'alhpa'\. Did you mean 'alpha'"),
    ({"method": {"type": "FAKD"}}, r"method \(FAKD\): FAKD needs a teacher"),
    ({"method": {"type": "Supervised", "widths": [0.3]}}, r"method \(Supervised\): `width` \(=0.3\) is not valid"),
    ({"network_g_teacher": {"type": "EDSR_srkd"}}, r"network_g_teacher is given without its weights"),
    ({"network_g__num_feta": 4}, r"network_g: num_feta: unknown key 'num_feta'\. Did you mean 'num_feat'"),
    ({"network_g__upscale": 4}, r"network_g: its scale is 4, but `scale` is 2"),
    ({"train__pixel_opt": {"type": "GANLoss"}}, r"train\.pixel_opt \(GANLoss\): unknown pixel loss"),
    ({"train__perceptual_opt": {"type": "PerceptualLoss"}}, r"train\.perceptual_opt: a method brings its own losses"),
    ({"val__widths": [0.3]}, r"val\.widths: `width` \(=0.3\) is not valid"),
    ({"num_gpu": 2}, r"num_gpu is 2: .*--launcher pytorch"),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES, ids=lambda value: value if isinstance(value, str) else "")
def test_mistakes_are_one_sentence(module, workspace, change, message):
    with pytest.raises(InputError, match=message):
        build(options("wrong", {"type": "Supervised"}, **deepcopy(change)))


def test_a_pretrained_student_is_checked_against_its_file(module, workspace):
    torch.manual_seed(1)
    network = EDSR(**STUDENT)
    save_network("start.pth", network)
    opt = options("start", {"type": "Supervised"}, network_g={"type": "EDSR_srkd", **STUDENT})
    opt["path"]["pretrain_network_g"] = "start.pth"
    model = build(deepcopy(opt))
    for loaded in (model.net_g, model.net_g_ema):
        assert all(torch.equal(value, network.state_dict()[name]) for name, value in loaded.state_dict().items())
    for kind in ("EDSR_srkd", "EDSR"):
        opt["network_g"] = {"type": kind, **STUDENT, "img_range": 2.0}
        with pytest.raises(InputError, match=r"img_range is .* in the file, and 2\.0 is given"):
            build(deepcopy(opt))


def test_a_teacher_that_nobody_asks_is_refused(module, workspace):
    with pytest.raises(InputError, match="method Supervised uses no teacher: remove network_g_teacher"):
        build(options("wrong", {"type": "Supervised"}, teacher=True))


def test_pictures_made_once_are_refused(module, workspace):
    with pytest.raises(InputError, match="teacher_cache is srkd's own trainer's"):
        build(options("wrong", {"type": "OutputKD", "teacher_cache": "outputs"}, teacher=True))


def test_luma_networks_need_luma_data_sets(train):
    luma = {"type": "FSRCNN_srkd", "upscale": 2, "num_feat": 8, "num_shrink": 4, "num_map": 1}
    opt = options("luma", {"type": "Supervised"}, total_iter=1, network_g=luma)
    assert train(opt)[0] == 2
    opt["datasets"]["train"]["color"] = opt["datasets"]["val"]["color"] = "y"
    opt["val"]["metrics"]["psnr"]["test_y_channel"] = False
    assert train(opt)[0] == 0


def test_a_loss_that_is_no_number_ends_the_run(module, workspace):
    model = build(options("nan", {"type": "Supervised"}))
    before = {name: value.clone() for name, value in model.net_g.state_dict().items()}
    model.feed_data({"lq": torch.full((1, 3, 4, 4), torch.nan), "gt": torch.zeros(1, 3, 8, 8)})
    with pytest.raises(WorkError, match="loss l_pix became infinite or not a number at iteration 1"):
        model.optimize_parameters(1)
    assert all(torch.equal(value, before[name]) for name, value in model.net_g.state_dict().items())


@pytest.mark.parametrize("start", ["-m srkd.compat.basicsr_model", "-c 'import srkd.compat.basicsr_model'"])
def test_without_basicsr_the_command_says_so(start, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['basicsr'] = None\n")
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{root}")
    done = subprocess.run(
        f"{sys.executable} {start}", shell=True, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "BasicSR cannot be imported" in last and "pip install basicsr" in last
    if start.startswith("-m"):
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
