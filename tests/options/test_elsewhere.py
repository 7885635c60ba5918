"""Files of other toolkits are told apart and mapped; JSON with comments is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from srkd.options import load_train_options
from srkd.options.elsewhere import TOOLKITS, as_yaml, keys_of
from srkd.options.reader import read_file
from srkd.options.schema import TrainOptions
from srkd.options.tree import Problems
from srkd.types import InputError

HERE = Path(__file__).parent / "elsewhere"


@pytest.mark.parametrize(
    ("file", "toolkit", "lines"),
    [
        (
            "kair.json",
            "KAIR",
            [
                "netG.net_type: 'msrresnet0'  →  network_g.type (`srkd list networks`)",
                "datasets.train.H_size: 96  →  datasets.train.gt_size",
                "train.G_optimizer_lr: 0.0001  →  train.optim_g.lr",
                "train.G_scheduler_milestones: [200000, 400000]  →  train.scheduler.milestones",
            ],
        ),
        (
            "neosr.toml",
            "neosr",
            [
                "use_amp: true  →  train.precision: auto, bf16 or fp16",
                "datasets.train.patch_size: 48  →  datasets.train.gt_size: patch_size × scale",
                "logger.total_iter: 1000000  →  train.total_iter",
                "train.optim_g.type: 'adan_sf'  →  train.optim_g.type: Adam, AdamW or SGD",
            ],
        ),
        (
            "redux.yml",
            "traiNNer-redux",
            [
                "amp_bf16: true  →  train.precision: bf16",
                "datasets.train.lq_size: 64  →  datasets.train.gt_size: lq_size × scale",
                "network_g.type: 'span'  →  network_g.type (`srkd list networks`)",
            ],
        ),
    ],
)
def test_a_file_of_another_toolkit_is_mapped(file: str, toolkit: str, lines: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        load_train_options(HERE / file)
    first, *mapped, rest = str(caught.value).splitlines()
    assert first.startswith(str(HERE / file))
    assert f"this is an option file of {toolkit}, and srkd reads BasicSR's form" in first
    assert {f"  {line}" for line in lines} <= set(mapped)
    assert "other keys have no equivalent" in rest


@pytest.mark.parametrize("toolkit", TOOLKITS)
def test_what_the_keys_are_called_here_exists(toolkit: str) -> None:
    for ours in keys_of(toolkit).values():
        name = ours.split(":")[0].split(" ")[0]
        fields = TrainOptions.model_fields
        assert name.split(".")[0] in fields, name
        block = getattr(fields[name.split(".")[0]].annotation, "model_fields", None)
        if block and name.count(".") and not name.startswith(("datasets", "val")):
            assert name.split(".")[1] in block, name


def test_no_file_of_basicsr_is_taken_for_one(write: Callable[..., Path]) -> None:
    for path in [*Path(__file__).parent.glob("basicsr_*.yml"), write()]:
        root = read_file(path, Problems())
        assert not [name for name, marks in TOOLKITS.items() if marks(root)]


def test_json_with_comments_is_an_option_file(write: Callable[..., Path]) -> None:
    text = '{\n\t"name": "a // b", // "scale": 3\n\t"scale": 2,\n\t"network_g": {"type": "EDSR"}\n}\n'
    root = read_file(write(text, "a.json"), Problems())
    assert root.plain() == {"name": "a // b", "scale": 2, "network_g": {"type": "EDSR"}}
    assert root.locate(["network_g", "type"]).endswith("a.json:4  network_g.type")


@pytest.mark.parametrize(
    ("text", "message"),
    [("a = ", "is no TOML"), ('name = "x"\nscale = 2\n', "this is TOML; srkd's option files are YAML")],
)
def test_other_toml_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_yaml(text, ".toml", "a.toml")
