"""Which students there are, which one is chosen, and for how long it learns."""

from dataclasses import replace

import pytest
import torch

from srkd.compression import recipe, students
from srkd.compression.students import Budget, Student, candidates, chosen, judged, learning_rate
from srkd.inference.budget import Cost
from srkd.metrics.cost import parameters
from srkd.networks.edsr import EDSR
from srkd.networks.fsrcnn import FSRCNN
from srkd.types import InputError

TEACHER = EDSR(num_feat=64, num_block=16, upscale=4)


def test_students_are_smaller_than_the_teacher_and_built_as_said():
    found = candidates(TEACHER, ["pth"])
    assert {one.width for one in found} >= {None, 0.5, 0.25}
    sizes = [one.multi_adds for one in found]
    assert sizes == sorted(sizes, reverse=True)
    for one in found:
        network = students.build(one.network)
        assert parameters(network) == one.params < parameters(TEACHER)
        assert (network.scale, network.num_in_ch) == (4, 3)


def test_the_same_weights_each_time_and_no_random_number_used():
    options = candidates(TEACHER, ["pth"])[-1].network
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, second = students.build(options).state_dict(), students.build(options).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.rand(1), expected)


def test_only_the_trained_widths_of_a_switchable_network_are_cut():
    teacher = EDSR(num_feat=32, num_block=8, upscale=2)
    teacher.trained_widths = (1.0, 0.25)
    assert {one.width for one in candidates(teacher, ["pth"]) if one.width} == {0.25}


def test_a_luma_teacher_has_luma_students():
    for one in candidates(FSRCNN(num_feat=56, upscale=2), ["onnx"]):
        assert students.build(one.network).num_in_ch == 1


@pytest.mark.parametrize("formats", [["pth"], ["int8"], ["onnx", "int8"]])
def test_the_smallest_file_counts(formats):
    kilobytes = {one.name: one.file_kb for one in candidates(TEACHER, formats)}
    plain = {one.name: one.file_kb for one in candidates(TEACHER, ["pth"])}
    large = max(plain, key=lambda name: plain[name])
    assert kilobytes[large] == plain[large] if formats == ["pth"] else kilobytes[large] < plain[large]


@pytest.mark.parametrize(
    ("budget", "milliseconds", "too_much"),
    [
        (Budget(parameters=10**6), None, ()),
        (Budget(parameters=100), None, ("parameters",)),
        (Budget(file_kb=1, parameters=100), None, ("parameters", "file")),
        (Budget(latency_ms=10), 9.0, ()),
        (Budget(latency_ms=10), 10.5, ("time",)),
        (Budget(latency_ms=10, parameters=100), 9.0, ("parameters",)),
    ],
)
def test_a_budget_is_kept_or_not(monkeypatch, budget, milliseconds, too_much):
    cost = Cost(1.0, "fp32", None, milliseconds, 1.0, fits=True)
    monkeypatch.setattr(students, "cost_of", lambda network, size, device: cost)
    found = judged(candidates(TEACHER, ["pth"])[-1], budget, "cpu")
    assert found.too_much == too_much
    assert found.latency_ms == (milliseconds if too_much != ("parameters",) else None)


def test_the_largest_that_fits_is_chosen_and_what_is_cut_goes_first():
    def student(name: str, width: float | None, *too_much: str) -> Student:
        return Student({"type": name, "num_feat": 1, "num_block": 1}, width, 1, 1, 1.0, too_much=too_much)

    large, cut, small = student("a", None), student("b", 0.5), student("c", None)
    assert chosen([large, small]) == large
    assert chosen([large, cut, small]) == cut
    assert chosen([large, replace(cut, too_much=("time",)), small]) == large
    assert chosen([replace(large, too_much=("file",))]) is None


@pytest.mark.parametrize(("channels", "rate"), [(8, 3e-3), (16, 2e-3), (64, 8e-4)])
def test_learning_rates(channels, rate):
    assert learning_rate(channels) == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize(
    ("photographs", "each", "seconds", "expected"),
    [
        (100, 0.1, 1200, (100, True, 80.0)),
        (100, 1.0, 1200, (100, False, 100.0)),
        (100, 8.0, 1200, (50, False, 400.0)),
    ],
)
def test_the_teacher_draws_as_much_as_there_is_time_for(photographs, each, seconds, expected):
    found = recipe.lesson(photographs, each, seconds)
    assert (found.photographs, found.self_ensemble) == expected[:2]
    assert found.seconds == pytest.approx(expected[2])


def test_a_teacher_that_is_too_slow_is_told_with_the_time_that_it_needs():
    with pytest.raises(InputError, match="Give at least 4"):
        recipe.lesson(100, 10.0, 60)


@pytest.mark.parametrize("number", [10, 11, 40, 469, 3000])
def test_photographs_are_held_out_once_and_evenly(tmp_path, number):
    photographs = [tmp_path / f"{at:04}.png" for at in range(number)]
    training, held_out = recipe.held_out(photographs)
    assert sorted([*training, *held_out]) == photographs
    assert len(held_out) == min(max(number // 10, 2), recipe.MOST_HELD_OUT)
    assert len(set(recipe.evenly(training, 8))) == 8
