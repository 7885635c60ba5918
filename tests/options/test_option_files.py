"""Every option file that ships is read, and its network, objective and optimiser are built."""

from pathlib import Path

import pytest
import torch

from srkd.engine.build import construct
from srkd.engine.networks import teachers_in
from srkd.losses.pixel import L1Loss
from srkd.methods.base import teacher_use
from srkd.methods.csd import NetworkSpace
from srkd.networks.pretrained import PRETRAINED
from srkd.networks.weights import build_network, load_network, save_network
from srkd.options import load_test_options, load_train_options
from srkd.registry import METHODS, OPTIMIZERS, SCHEDULERS

ROOT = Path(__file__).parents[2] / "options"
FILES = [path for folder in ("train", "demo") for path in (ROOT / folder).rglob("*.yml")]
TRAIN = sorted(path for path in FILES if "base" not in path.parts)  # base/ holds what others include


def narrow(component):
    """The network with 16 channels (48, where its channels are a multiple of 3), where it has that option."""
    full = component.args.get("num_feat")
    fewer = {} if full is None else {"num_feat": 16 if full % 3 else min(full, 48)}
    return build_network(component.type, {**component.args, **fewer})


@pytest.mark.parametrize("path", TRAIN, ids=lambda path: path.stem)
def test_training_file(path, tmp_path):
    opt = load_train_options(path)
    assert not opt.notices and not opt.warnings
    with torch.device("meta"):
        network = build_network(opt.network_g.type, opt.network_g.args)
    assert network.scale == opt.scale
    component = METHODS.get(opt.method.type)
    blocks = {name: block for name, (block, _) in teachers_in(opt).items()}
    assert teacher_use(component) in ("optional", "required" if blocks else "no")
    # narrow networks of the same kind and depth: the objective copies them, and VGG's weights would be downloaded
    student = narrow(opt.network_g)
    teachers = {}
    for name, (block, path) in teachers_in(opt).items():
        foreign = block.type == "spandrel"  # a file that is not here
        teachers[name] = narrow(opt.network_g if foreign else block)
        assert foreign or (path and teachers[name].scale == opt.scale)
    method = opt.method.args | ({"perceptual": NetworkSpace()} if "perceptual" in opt.method.args else {})
    if "stage1" in method:
        first = METHODS.get("PISRTeacher")(student, None, L1Loss())
        method["stage1"] = str(tmp_path / "stage1.pth")
        save_network(method["stage1"], student, companions=first.companions)
    objective = component(student, teachers or None, L1Loss(), **method)
    optimizer = OPTIMIZERS.get(opt.train.optim_g.type)(objective.parameters(), **opt.train.optim_g.args)
    assert optimizer.param_groups[0]["lr"] > 0
    scheduler = opt.train.scheduler
    assert scheduler is not None
    rate = construct("train.scheduler", SCHEDULERS.get(scheduler.type), scheduler)
    assert 0 <= rate(opt.train.total_iter - 1, 1.0) < 1


@pytest.fixture(scope="module")
def by_name():
    """Every training file's options, by the name of the experiment."""
    named = [load_train_options(path) for path in TRAIN]
    assert len({opt.name for opt in named}) == len(named)  # else one training would move another's folder aside
    return {opt.name: opt for opt in named}


@pytest.mark.parametrize("path", TRAIN, ids=lambda path: path.stem)
def test_what_a_training_starts_from_is_made_by_another_file(path, by_name):
    opt = load_train_options(path)
    needed = {
        opt.path.pretrain_network_g: opt.network_g,
        **{file: block for block, file in teachers_in(opt).values()},
        opt.method.args.get("stage1"): opt.network_g,
    }
    for file, network in needed.items():
        if file is None:
            continue
        if file in PRETRAINED:  # comes with the package
            shipped = load_network(file)
            assert (shipped.scale, type(shipped).__name__) == (opt.scale, network.type)
            assert network.args.items() <= shipped.config.items()
            continue
        folder, models, name = Path(file).parts[-3:]
        first = by_name[folder]
        assert (models, name) == ("models", "net_g_latest.pth")
        assert Path(file).parents[2] == Path(first.path.experiments_root or "experiments")
        assert first.network_g.type == network.type
        if first.network_g.args.get("num_feat") != network.args.get("num_feat"):  # grows around a narrower one
            narrower = round(opt.train.frozen_width * network.args["num_feat"])
            assert {**network.args, "num_feat": narrower} == first.network_g.args
        elif opt.path.strict_load_g:
            assert (first.scale, first.network_g.args) == (opt.scale, network.args)
        else:  # begun from another scale: all but the upsampler
            assert {**first.network_g.args, "upscale": opt.scale} == network.args
        assert (first.method.type == "PISRTeacher") == (opt.method.type == "PISR" or opt.name.startswith("decoder_"))


@pytest.mark.parametrize("path", sorted((ROOT / "test").rglob("*.yml")), ids=lambda path: path.stem)
def test_test_file(path):
    opt = load_test_options(path)
    with torch.device("meta"):
        assert build_network(opt.network_g.type, opt.network_g.args).scale == opt.scale
