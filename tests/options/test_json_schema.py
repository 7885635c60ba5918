"""The JSON schema that editors check option files with: it takes all of ours and marks what the reader would refuse."""

import copy
import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from srkd.cli import main
from srkd.options.json_schema import option_file_schema

jsonschema = pytest.importorskip("jsonschema")
ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "options").rglob("*.yml"))


def read(file):
    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))))


@pytest.fixture(scope="module")
def validator():
    schema = option_file_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_shipped_file_is_valid_and_names_the_schema(validator, file):
    assert [error.message for error in validator.iter_errors(read(file))] == []
    first = file.read_text(encoding="utf-8").splitlines()[0]
    named = first.removeprefix("# yaml-language-server: $schema=")
    assert named != first and (file.parent / named).resolve() == ROOT / "options/schema.json"


def test_the_shipped_schema_is_that_of_the_package(tmp_path):
    assert main(["schema", "-o", str(tmp_path / "made.json")]) == 0
    made, shipped = (json.loads(path.read_text()) for path in (tmp_path / "made.json", ROOT / "options/schema.json"))
    assert made == shipped, "run: srkd schema -o options/schema.json"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("trian", {}),
        ("train.total_itr", 5),
        ("train.total_iter", "many"),
        ("train.precision", "fp8"),
        ("train.optim_g.lrr", 1e-3),
        ("train.optim_g.lr", "fast"),
        ("network_g.num_feats", 8),
        ("network_g.upsampler", "three_step"),
        ("network_g.num_feat", [8]),
        ("method", {"type": "FAKD", "affinity": 1}),
        ("method.widths", 0.5),
        ("datasets.train.gt_sze", 96),
        ("datasets.train.degradation", {"type": "JPEG", "qualty": 50}),
        ("datasets.validation", {}),
        ("val.metrics.psnr.better", "more"),
        ("val.metrics.psnr.border", 4),
        ("logger.print", 5),
    ],
)
def test_mistakes_are_marked(validator, path, value):
    content = copy.deepcopy(read(ROOT / "options/demo/train.yml")) | {"method": {"type": "Supervised"}}
    assert validator.is_valid(content)
    *blocks, key = path.split(".")
    here = content
    for block in blocks:
        here = here[block]
    here[key] = value
    assert not validator.is_valid(content)


@pytest.mark.parametrize(
    "content",
    [
        {"method": {"type": "Supervised", "widths": [1, 0.5, "1/3"]}},
        {"train": {"scheduler": None}},
        {"network_g": {"type": "basicsr.SwinIR", "embed_dim": 60}},
        {"network_g": {"type": "MyPluginNetwork", "anything": 1}, "plugins": ["mine"]},
        {"datasets": {"val_2": {"dataroot_gt": ["a", "b"]}, "test_1": {"dataroot_gt": "a"}}},
    ],
)
def test_what_the_reader_takes_is_not_marked(validator, content):
    assert [error.message for error in validator.iter_errors(content)] == []
