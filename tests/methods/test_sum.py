"""Sum: totals, one run for all, schedules, nested options as strict as any, what it refuses."""

import pytest
import torch

from srkd.losses.pixel import L1Loss
from srkd.methods.csd import NetworkSpace
from srkd.methods.fakd import FAKD
from srkd.methods.output_kd import OutputKD
from srkd.methods.sum import Schedule, Sum
from srkd.registry import METHODS
from srkd.signature import check_options
from srkd.types import InputError


def counted(module, calls):
    forward = module.forward
    module.forward = lambda *args: calls.append(1) or forward(*args)


def test_total_is_the_weighted_sum_of_the_methods(pair, images):
    student, teacher = pair
    terms = ({"type": "OutputKD", "alpha": 0.25, "weight": 2.0}, {"type": "FAKD", "weight": 0.5, "pool": 2})
    method = Sum(student, teacher, L1Loss(), terms=terms)
    losses = method(images)
    assert list(losses) == ["OutputKD.l_pix", "OutputKD.l_ts", "FAKD.l_pix", "FAKD.l_ts", "FAKD.l_sa"]
    one = OutputKD(student, teacher, L1Loss(), alpha=0.25)
    two = FAKD(student, teacher, L1Loss(), pool=2)
    expected = 2 * one.total(one(images), 0.0) + 0.5 * two.total(two(images), 0.0)
    assert method.total(losses, 0.0).item() == pytest.approx(expected.item(), rel=1e-6)


def test_student_and_teacher_run_once_for_all_terms(pair, images):
    student, teacher = pair
    terms = ({"type": "OutputKD"}, {"type": "FAKD"}, {"type": "SRKD"}, {"type": "OutputKD", "alpha": 0.9})
    method = Sum(student, teacher, L1Loss(), terms=terms)
    ours, theirs = [], []
    counted(student, ours)
    counted(teacher, theirs)
    losses = method(images)
    assert len(ours) == len(theirs) == 1 and "OutputKD2.l_ts" in losses
    method(images)
    assert len(ours) == 2
    assert all(viewer.seen is None for viewer in method.viewers.values())  # nothing of the batch is kept


def test_widths_run_once_each_and_reach_terms_that_have_none(pair, images):
    student, teacher = pair
    terms = ({"type": "OutputKD"}, {"type": "FAKD"}, {"type": "Supervised", "widths": (0.25,)})
    method = Sum(student, teacher, L1Loss(), terms=terms, widths=(1.0, 0.5))
    ours = []
    counted(student, ours)
    names = list(method(images))
    assert {"OutputKD.l_ts@0.5", "FAKD.l_sa@1", "Supervised.l_pix"} <= set(names)
    assert len(ours) == 3 and method.widths == (1.0, 0.5, 0.25)


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        (Schedule(), (1, 1, 1, 1, 1)),
        (Schedule("ramp"), (0, 0.25, 0.5, 0.75, 1)),
        (Schedule("ramp", 0.25, 0.75), (0, 0, 0.5, 1, 1)),
        (Schedule("decay"), (1, 0.75, 0.5, 0.25, 0)),
        (Schedule("decay", 0.5, 1.0), (1, 1, 1, 0.5, 0)),
        (Schedule("window", 0.25, 0.75), (0, 1, 1, 0, 0)),
    ],
)
def test_schedules(schedule, values):
    assert tuple(schedule.factor(step / 4) for step in range(5)) == pytest.approx(values)


def test_a_term_outside_of_its_window_is_not_computed(pair, images):
    student, teacher = pair
    terms = ({"type": "Supervised"}, {"type": "FAKD", "schedule": Schedule("window", 0.2, 0.6)})
    method = Sum(student, teacher, L1Loss(), terms=terms)
    theirs = []
    counted(teacher, theirs)
    for progress, there in ((0.0, False), (0.2, True), (0.59, True), (0.6, False)):
        method.before_step(progress)
        theirs.clear()
        assert ("FAKD.l_sa" in method(images)) == bool(theirs) == there
        assert method.terms["FAKD"].progress == progress
    assert method.find_unused_parameters
    assert not Sum(student, teacher, L1Loss(), terms=({"type": "FAKD", "schedule": "ramp"},)).find_unused_parameters


def test_heads_are_saved_once_and_the_student_never_twice(pair, tmp_path):
    student, _ = pair
    options = METHODS.get("PISR").example(tmp_path)
    from srkd.networks.edsr import EDSR

    student = EDSR(num_feat=8, num_block=3, upscale=2)
    method = Sum(student, None, L1Loss(), terms=({"type": "PISR", **options}, {"type": "PISR", "weight": 2, **options}))
    names = {name for name in method.state_dict() if not name.startswith("student.")}
    assert names and all(name.split(".")[2] in ("mean_head", "scale_head") for name in names)
    assert len({id(p) for p in method.parameters()}) == len(list(method.state_dict()))


def test_frozen_copies_of_a_term_are_in_the_state(pair, images):
    student, _ = pair
    space = {"perceptual": NetworkSpace(), "num_negatives": 2, "widths": (0.5,)}
    method = Sum(student, None, L1Loss(), terms=({"type": "CSD", **space},))
    assert [name for name in method.state_dict() if name.endswith("_extra_state")]
    assert "CSD.l_contrast@0.5" in method(images)


def problems(**options):
    return {".".join(map(str, p.path)): p.message for p in check_options(Sum, options)[1]}


@pytest.mark.parametrize(
    ("term", "path", "message"),
    [
        ({"type": "OutputKD", "alhpa": 0.5}, "terms.0.alhpa", "Did you mean 'alpha'?"),
        ({"type": "OutputKD", "alpha": "a lot"}, "terms.0.alpha", "number"),
        ({"type": "OutputKD", "alpha": True}, "terms.0.alpha", "number"),
        ({"type": "OutputKD", "wieght": 1}, "terms.0.wieght", "Did you mean 'weight'?"),
        ({"type": "OutputKD", "weight": "1"}, "terms.0.weight", "number"),
        ({"type": "OutputKD", "schedule": "rampp"}, "terms.0.schedule", "'ramp'"),
        ({"type": "OutputKD", "schedule": {"type": "window", "begin": 0.2}}, "terms.0.schedule.begin", "unknown key"),
        ({"type": "OutputKD", "schedule": {"type": "window", "start": 0.5, "end": 0.2}}, "terms.0.schedule", "start"),
        ({"type": "OutputKd"}, "terms.0.type", "Did you mean 'OutputKD'?"),
        ({"type": "Sum", "terms": []}, "terms.0.type", "one of the other methods"),
        ({"alpha": 0.5}, "terms.0.type", "one of the other methods"),
        ({"type": "OutputKD", "teacher_cache": "outputs"}, "terms.0.teacher_cache", "belongs to the sum"),
        ("OutputKD", "terms.0", "must be a mapping"),
    ],
)
def test_nested_options_are_as_strict_as_any(term, path, message):
    found = problems(terms=[term])
    assert path in found and message in found[path]


def test_nested_options_have_their_defaults_spelt_out():
    options, found = check_options(Sum, {"terms": [{"type": "OutputKD", "widths": ["1/2", 1]}]})
    assert not found
    (term,) = options["terms"]
    assert term["alpha"] == 0.5 and term["weight"] == 1.0 and term["widths"] == (0.5, 1.0)
    assert check_options(Sum, options) == (options, [])  # reading what was read changes nothing


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"terms": ()}, "`terms` is empty"),
        ({"terms": ({"type": "OutputKD", "alpha": 2.0},)}, r"`terms`, OutputKD: `alpha` \(=2.0\)"),
        ({"terms": ({"type": "FAKD", "schedule": Schedule("window", 0.5, 0.6)},)}, "at 0 of the training none"),
        ({"terms": ({"type": "Supervised"},)}, "none of the terms uses a teacher"),
        ({"terms": ({"type": "SRKD"},), "teacher_cache": "outputs"}, "none of the terms compares pictures"),
    ],
)
def test_what_it_refuses(pair, options, message):
    with pytest.raises(InputError, match=message):
        Sum(*pair, L1Loss(), **options)


def test_cached_pictures_serve_all_terms(pair, images):
    student, teacher = pair
    terms = ({"type": "OutputKD"}, {"type": "FAKD"})
    method = Sum(student, teacher, L1Loss(), terms=terms, teacher_cache="outputs")
    with torch.no_grad():
        known = teacher(images.lq)
    expected = {name: value.item() for name, value in method(images).items()}
    reached = []
    teacher.conv_last.register_forward_hook(lambda *_: reached.append(1))
    batch = type(images)(images.lq, images.gt, {"teacher": known})
    method(batch)  # the first time features run through, to learn whether they may stop early
    reached.clear()
    assert {name: value.item() for name, value in method(batch).items()} == pytest.approx(expected) and not reached
