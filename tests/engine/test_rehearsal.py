"""`--check` rehearses the whole path: what passes it does not fail at its first validation or save."""

import os

import pytest

from srkd.engine.runtime import is_out_of_memory

NETWORK = """
from srkd.networks.edsr import EDSR
from srkd.registry import NETWORKS

@NETWORKS.register
class {name}(EDSR):
    \"\"\"A network of one's own.\"\"\"
{body}
"""

FORGETS = """
    def __init__(self, *, num_feat: int = 8, secret: int = 3, upscale: int = 2) -> None:
        super().__init__(num_feat=num_feat, num_block=1, upscale=upscale, img_range=1.0)
"""

CHANGES = """
    def __init__(self, *, num_feat: int = 8, upscale: int = 2) -> None:
        super().__init__(num_feat=num_feat, num_block=1, upscale=upscale, img_range=1.0)

    def load_state_dict(self, state, strict=True, assign=False):
        return super().load_state_dict({name: 2 * value for name, value in state.items()}, strict, assign)
"""

SOUND = """
    def __init__(self, *, num_feat: int = 8, upscale: int = 2) -> None:
        super().__init__(num_feat=num_feat, num_block=1, upscale=upscale, img_range=1.0)
"""

METRIC = """
from srkd.registry import METRICS

@METRICS.register
def {name}(sr, gt):
    \"\"\"A metric of one's own.\"\"\"
    {body}
"""

DATASET = """
from srkd.data.paired_image import PairedImageDataset
from srkd.registry import DATASETS

@DATASETS.register
class {name}:
    \"\"\"A data set of one's own.\"\"\"

    {constructor}

    def __len__(self):
        return len(self.inner)

    def __getattr__(self, name):
        if name in {lacks}:
            raise AttributeError(name)
        return getattr(self.inner, name)
"""
WITH_SCALE = """def __init__(self, *, scale: int, dataroot_gt: str, gt_size: int | None = None):
        self.inner = PairedImageDataset(scale=scale, dataroot_gt=dataroot_gt, gt_size=gt_size)"""
WITHOUT_SCALE = """def __init__(self, *, dataroot_gt: str, gt_size: int | None = None):
        self.inner = PairedImageDataset(scale=2, dataroot_gt=dataroot_gt, gt_size=gt_size)"""


@pytest.fixture
def plugin(recipe, tmp_path, monkeypatch):
    """Write a plugin of that name beside the option file, and name it there."""
    monkeypatch.chdir(tmp_path)

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        recipe["plugins"] = [name]

    return write


def untouched(tmp_path):
    return not (tmp_path / "experiments").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("val.metrics.psnr.crop_border=100", "val.metrics.psnr: p"),
        ("val.metrics.ssim={type: calculate_ssim, crop_border: 22}", "val.metrics.ssim: p"),
    ],
)
def test_a_metric_that_cannot_measure_the_smallest_image(recipe, train, tmp_path, capsys, change, said):
    assert train(recipe, "--check", change) == 2
    message = capsys.readouterr().err
    assert said in message and "datasets.held" in message and "height×width" in message and "Traceback" not in message
    assert untouched(tmp_path)
    assert train(recipe, change) == 2  # and the training itself says the same, and keeps what was learnt
    assert said in capsys.readouterr().err
    assert (tmp_path / "experiments/tiny/training_states/5.state").exists()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('no such thing')", "no such thing"),
        ("return 'high'", "could not convert string to float"),
        ("return None", "float() argument must be"),
    ],
)
def test_metrics_of_a_plugin(recipe, train, plugin, tmp_path, capsys, body, said):
    name = f"metric_{abs(hash(body)) % 10**8}"
    plugin(f"plugin_{name}", METRIC.format(name=name, body=body))
    recipe["val"]["metrics"]["own"] = {"type": name}
    assert train(recipe, "--check") == 2
    message = capsys.readouterr().err
    assert "val.metrics.own: p" in message and said in message
    assert untouched(tmp_path)


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("Forgets", FORGETS, "does not keep `secret`"),
        ("Changes", CHANGES, "is not the same once it has been saved"),
        ("Sound", SOUND, None),
    ],
)
def test_networks_of_a_plugin(recipe, train, plugin, tmp_path, capsys, name, body, said):
    plugin(f"plugin_{name.lower()}", NETWORK.format(name=name, body=body))
    recipe["network_g"] = {"type": name}
    assert train(recipe, "--check") == (2 if said else 0)
    output = capsys.readouterr()
    assert said in output.err if said else "written and opened again" in output.out
    assert untouched(tmp_path)


def test_a_plugin_that_another_process_does_not_find(recipe, train, plugin, tmp_path, capsys):
    plugin("plugin_gone", NETWORK.format(name="Gone", body=SOUND))
    recipe["network_g"] = {"type": "Gone"}
    assert train(recipe, "--check") == 0
    (tmp_path / "plugin_gone.py").unlink()
    assert train(recipe, "--check") == 2
    message = capsys.readouterr().err
    assert "plugins: a network file of this training" in message and "'plugin_gone'" in message


@pytest.mark.parametrize("constructor", [WITH_SCALE, WITHOUT_SCALE], ids=["scale", "no scale"])
def test_data_sets_of_a_plugin(recipe, train, plugin, photographs, constructor, request):
    name = f"Own{request.node.callspec.id.title().replace(' ', '')}"
    plugin(f"plugin_{name.lower()}", DATASET.format(name=name, constructor=constructor, lacks=()))
    own = {"type": name, "dataroot_gt": str(photographs)}
    recipe["datasets"] = {"train": {**own, "gt_size": 24, "batch_size_per_gpu": 4}, "val": {"name": "held", **own}}
    assert train(recipe, "--check") == 0
    assert train(recipe) == 0


@pytest.mark.parametrize(
    ("part", "lacks", "said"),
    [
        ("val", "names", "datasets.held (LacksValNames): this class of data sets lacks names"),
        ("val", "pair", "(LacksValPair): this class of data sets lacks pair"),
        ("train", "gt_size", "datasets.train (LacksTrainGtSize): this class of data sets lacks gt_size"),
        ("train", "prepare", "(LacksTrainPrepare): this class of data sets lacks prepare"),
    ],
)
def test_data_sets_that_lack_something(recipe, train, plugin, tmp_path, photographs, capsys, part, lacks, said):
    name = f"Lacks{part.title()}{lacks.title().replace('_', '')}"
    plugin(f"plugin_{name.lower()}", DATASET.format(name=name, constructor=WITH_SCALE, lacks=(lacks,)))
    kept = {"gt_size": 24, "batch_size_per_gpu": 4} if part == "train" else {"name": "held"}
    recipe["datasets"][part] = {"type": name, "dataroot_gt": str(photographs), **kept}
    assert train(recipe) == 2
    assert said in capsys.readouterr().err
    assert untouched(tmp_path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(recipe, train, tmp_path, capsys):
    (tmp_path / "closed").mkdir(mode=0o500)
    assert train(recipe, "--check", f"path.experiments_root={tmp_path / 'closed' / 'x'}") == 2
    assert "path.experiments_root" in capsys.readouterr().err


def test_a_root_that_is_a_file(recipe, train, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert train(recipe, "--check", f"path.experiments_root={tmp_path / 'file' / 'x'}") == 2
    assert "path.experiments_root" in capsys.readouterr().err


def test_what_check_shows(recipe, train, capsys):
    assert train(recipe, "--check", "val.widths=[1.0, 0.5]") == 0
    said = capsys.readouterr().out
    for row in ("held/psnr@1", "held/psnr@0.5", "(the smallest image)", "written and opened again", "total"):
        assert row in said


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("a metric"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_what_is_a_lack_of_memory(error, expected):
    assert is_out_of_memory(error) == expected
