import json
from pathlib import Path

import pytest
import torch

from srkd.cli import main
from srkd.engine.teachers import teachers_of
from srkd.evaluation.models import load_models
from srkd.networks.edsr import EDSR
from srkd.networks.weights import save_network

OPTIONS = """
name: {name}
scale: 2
network_g: {{type: EDSR, num_feat: 8, num_block: 1}}
network_g_teacher: {{type: EDSR, num_feat: 6, num_block: 2}}
path: {{pretrain_network_g_teacher: experiments/big/models/net_g_latest.pth}}
method: {{type: OutputKD}}
datasets: {{train: {{name: t, type: PairedImageDataset, dataroot_gt: nowhere, gt_size: 16}}}}
train: {{total_iter: 1, optim_g: {{type: Adam, lr: 1e-4}}, pixel_opt: {{type: L1Loss}}}}
"""


@pytest.fixture
def students(tmp_path, network):
    """Two students of one teacher, as trainings leave them behind below `experiments/`."""
    torch.manual_seed(1)
    paths = {name: tmp_path / "experiments" / name / "models" / "net_g_latest.pth" for name in ("big", "a", "b")}
    save_network(paths["big"], EDSR(num_feat=6, num_block=2, upscale=2))
    for number, name in enumerate("ab"):
        save_network(paths[name], network, iter=number, method="OutputKD")
        (paths[name].parents[1] / "options.yml").write_text(OPTIONS.format(name=name))
    return paths


def test_one_row_for_the_teacher_of_both(students):
    (teacher,), notices = teachers_of(load_models([students["a"], students["b"]]))
    assert teacher.name == "big (teacher of a, b)" and teacher.only == (1.0,) and notices == []
    assert teacher.network.num_feat == 6 and Path(teacher.origin["path"]) == students["big"]


def test_a_teacher_among_the_models_is_no_second_row(students):
    assert teachers_of(load_models(list(students.values()))) == ([], [])


def test_networks_without_options_have_no_teacher(students, checkpoint):
    (students["a"].parents[1] / "options.yml").unlink()
    assert teachers_of(load_models([students["a"], checkpoint])) == ([], [])


def test_a_teacher_that_is_gone_or_options_that_are_damaged_are_told(students):
    students["big"].unlink()
    (students["b"].parents[1] / "options.yml").write_text("name: [")
    found, notices = teachers_of(load_models([students["a"], students["b"]]))
    assert found == [] and [line.split(":")[0] for line in notices] == [
        f"no row for the teacher of {name}" for name in "ab"
    ]


def test_benchmark_adds_the_teacher_by_itself(students, folder, tmp_path):
    out = tmp_path / "x.json"
    command = ["benchmark", str(students["a"]), "--sets", str(folder), "--widths", "0.5", "-o", str(out)]
    assert main([*command, "--device", "cpu"]) == 0
    rows = json.loads(out.read_text())["summary"]
    assert [(row["model"], row["width"]) for row in rows] == [
        *(("bicubic", 1.0), ("a", 0.5), ("big (teacher of a)", 1.0)),
    ]
    assert main([*command, "--no-teacher", "--overwrite"]) == 0
    assert len(json.loads(out.read_text())["summary"]) == 2


def test_a_second_student_of_a_teacher_adds_rows(students, folder, tmp_path):
    """The teacher's row then has another name, and is still the teacher's."""
    out, names = tmp_path / "x.json", ["a", "b"]
    command = ["--sets", str(folder), "--widths", "0.5", "-o", str(out), "--device", "cpu"]
    assert main(["benchmark", str(students[names[0]]), *command]) == 0
    assert main(["benchmark", *(str(students[name]) for name in names), *command]) == 0
    assert {row["model"] for row in json.loads(out.read_text())["summary"]} == {
        "bicubic",
        "a",
        "b",
        "big (teacher of a, b)",
    }
