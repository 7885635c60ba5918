"""What every registered method must do; a new one is covered by existing (`Method.example` has its small options)."""

import copy
import dataclasses
import functools

import pytest
import torch

from srkd.losses.pixel import L1Loss
from srkd.methods.base import teacher_use
from srkd.methods.distiller import Viewer
from srkd.networks.edsr import EDSR
from srkd.networks.frozen import Frozen
from srkd.registry import METHODS
from srkd.signature import option_docs, option_names
from srkd.types import Batch, InputError

# terms that train a head only
NOT_ON_STUDENT = {("PISRTeacher", "l_im"), ("MutualLearning", "l_peer_pix"), ("MutualLearning", "l_peer_ts")}
ZERO_AT_FIRST = {("EMATeacher", "l_ts")}  # the average is the student itself
WAYS = {
    "plain": {},  # with a teacher where it may have one
    "widths": {"widths": (1.0, 0.5)},
    "own": {"widths": (1.0, 0.5), "self_teacher": True},  # the full width beside the teacher
    "own alone": {"widths": (1.0, 0.5), "self_teacher": True},
    "several": {},  # two teachers of unlike sizes
}


def possible(name, way):
    """Whether a method can be used in a way: by what it declares, not by a list here."""
    component = METHODS.get(name)
    options = option_names(component)
    if way == "several":
        return component.several_teachers
    if way == "own alone" and teacher_use(component) == "required":
        return False
    return all(option in options for option in WAYS[way]) and not (name == "CSD" and "widths" in WAYS[way])


CASES = [(name, way) for name in METHODS.names() for way in WAYS if possible(name, way)]


def build(name, folder, way="plain", **options):
    torch.manual_seed(0)
    component = METHODS.get(name)
    student = EDSR(num_feat=8, num_block=3, upscale=2)
    teacher = EDSR(num_feat=16, num_block=3, upscale=2)
    if way == "own alone" or teacher_use(component) == "no":
        teacher = None
    elif way == "several":
        teacher = {"strong": teacher, "slim": EDSR(num_feat=4, num_block=4, upscale=2, img_range=1.0)}
    return component(student, teacher, L1Loss(), **{**component.example(folder), **WAYS[way], **options})


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return Batch(torch.rand(4, 3, 8, 8), torch.rand(4, 3, 16, 16))


@pytest.fixture(params=CASES, ids=lambda case: "-".join(case).replace(" ", "_"))
def case(request):
    return request.param


@pytest.fixture(params=METHODS.names())
def name(request):
    return request.param


def gradient(method, loss):
    parameters = list(method.student.parameters())
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)
    return torch.cat([part.flatten() for part in gradients])


def test_losses_are_named_scalars_with_weights(case, batch, tmp_path):
    method = build(case[0], tmp_path, case[1])
    losses = method(batch)
    assert losses
    for loss_name, value in losses.items():
        assert value.shape == () and torch.isfinite(value) and value.requires_grad
        assert method.weight(loss_name, 0.5) > 0


def test_each_weight_scales_exactly_its_own_term(case, batch, tmp_path):
    name, way = case
    method = build(name, tmp_path, way)
    torch.manual_seed(2)
    losses = method(batch)
    parts = {key: gradient(method, method.weight(key, 0.0) * value) for key, value in losses.items()}
    total = gradient(method, method.total(losses, 0.0))
    for key, part in parts.items():
        term = (name, key.split("@")[0])
        if term in ZERO_AT_FIRST:
            assert losses[key].item() == 0
        elif term in NOT_ON_STUDENT:
            heads = [p for n, p in method.named_parameters() if not n.startswith("student.")]
            assert all(g.norm() > 0 for g in torch.autograd.grad(losses[key], heads, retain_graph=True))
        else:
            assert part.norm() > 0, f"{key} has no gradient on the student"
    assert_close = functools.partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5 * float(total.norm()))
    assert_close(total, sum(parts.values()))
    for base in method.weights:
        before = method.weights[base]
        method.weights[base] *= 3
        tripled = gradient(method, method.total(losses, 0.0))
        method.weights[base] = before
        own = [part for key, part in parts.items() if key.split("@")[0].split(".")[0] == base]
        assert_close(tripled - total, 2 * sum(own))


def test_only_student_and_heads_are_trained_and_saved(case, batch, tmp_path):
    name, way = case
    method = build(name, tmp_path, way).train()
    frozen = [child.module for child in method.modules() if isinstance(child, Frozen)]
    before = [copy.deepcopy(module.state_dict()) for module in frozen]
    optimizer = torch.optim.SGD(method.parameters(), lr=1e-2)
    for _ in range(3):
        optimizer.zero_grad()
        method.total(method(batch), 0.0).backward()
        optimizer.step()
    assert {id(teacher.module) for teacher in method.teachers.values()} <= {id(module) for module in frozen}
    for module, state in zip(frozen, before, strict=True):
        assert not any(child.training for child in module.modules())  # although the method was put in train mode
        assert all(parameter.grad is None for parameter in module.parameters())
        assert all(torch.equal(a, b) for a, b in zip(module.state_dict().values(), state.values(), strict=True))
        ids = {id(parameter) for parameter in module.parameters()}
        assert not ids & {id(parameter) for parameter in method.parameters()}
    student = {f"student.{key}" for key in method.student.state_dict()}
    assert student <= set(method.state_dict())
    tensors = sum(value.numel() for value in method.state_dict().values() if isinstance(value, torch.Tensor))
    # what is saved is what is trained; a frozen copy that exists nowhere else is under `_extra_state`
    assert tensors == sum(p.numel() for p in method.parameters()) + sum(b.numel() for b in saved_buffers(method))


def saved_buffers(method):
    saved = method.state_dict(keep_vars=True)
    return [buffer for name, buffer in method.named_buffers() if name in saved]


def test_frozen_parts_follow_the_device_and_precision(case, tmp_path):
    method = build(case[0], tmp_path, case[1]).double()
    for child in method.modules():
        if isinstance(child, Frozen):
            assert all(p.dtype == torch.float64 for p in child.module.parameters())


def test_widths_are_declared_and_each_has_its_terms(case, batch, tmp_path):
    method = build(case[0], tmp_path, case[1])
    assert method.widths == tuple(sorted(method.widths, reverse=True))
    if len(method.widths) > 1:
        named = {name.partition("@")[2] for name in method(batch)} - {""}
        assert named == {f"{width:g}" for width in method.widths}


def test_a_deep_copy_computes_the_same_on_its_own(case, batch, tmp_path):
    method = build(case[0], tmp_path, case[1])
    copied = copy.deepcopy(method)
    torch.manual_seed(3)
    expected = method(batch)
    torch.manual_seed(3)
    assert {name: value.item() for name, value in copied(batch).items()} == {k: v.item() for k, v in expected.items()}
    with torch.no_grad():
        for parameter in copied.student.parameters():
            parameter.zero_()
    torch.manual_seed(3)
    first = next(iter(expected))
    assert copied(batch)[first].item() != expected[first].item()


def summed(name, folder):
    torch.manual_seed(0)  # an example may write files with what it draws
    terms = ({"type": name, **METHODS.get(name).example(folder)}, {"type": "OutputKD", "weight": 0.5})
    return build("Sum", folder, terms=terms)


@pytest.mark.parametrize("other", [name for name in METHODS.names() if name != "Sum"])
def test_it_is_a_term_of_a_sum(other, batch, tmp_path):
    """Beside another, its terms are what they are alone, its heads learn, and its state comes back."""
    method = summed(other, tmp_path)
    alone = copy.deepcopy(next(iter(method.terms.values())))
    alone.student = method.student
    torch.manual_seed(4)
    losses = method(batch)
    torch.manual_seed(4)
    for loss_name, value in alone(batch).items():
        assert losses[f"{other}.{loss_name}"].item() == pytest.approx(value.item(), rel=1e-5, abs=1e-7)
        assert method.weight(f"{other}.{loss_name}", 0.5) == alone.weight(loss_name, 0.5)
    second = "OutputKD2" if other == "OutputKD" else "OutputKD"
    assert {label.split(".")[0] for label in losses} == {other, second}
    optimizer = torch.optim.SGD(method.parameters(), lr=1e-2)
    method.total(losses, 0.5).backward()
    optimizer.step()
    method.after_step(0.5)
    again = summed(other, tmp_path)
    again.load_state_dict(method.state_dict())
    torch.manual_seed(5)
    expected = {key: value.item() for key, value in method(batch).items()}
    torch.manual_seed(5)
    assert {key: value.item() for key, value in again(batch).items()} == expected


CACHED = [name for name in METHODS.names() if "teacher_cache" in option_names(METHODS.get(name))]


@pytest.mark.parametrize("name", CACHED)
def test_a_kept_picture_stands_for_the_teachers(name, batch, tmp_path):
    """Where pictures are compared; else what cannot be kept is said."""
    if not getattr(METHODS.get(name), "needs_output", True):
        with pytest.raises(InputError, match="compares no pictures"):
            build(name, tmp_path, teacher_cache="outputs")
        return
    method = build(name, tmp_path, teacher_cache="outputs")
    with torch.no_grad():
        picture = method.teacher.module(batch.lq)
    torch.manual_seed(6)
    live = method(batch)
    torch.manual_seed(6)
    kept = method(dataclasses.replace(batch, targets={"teacher": picture}))
    assert {key: value.item() for key, value in kept.items()} == {key: value.item() for key, value in live.items()}
    torch.manual_seed(6)
    other = method(dataclasses.replace(batch, targets={"teacher": torch.zeros_like(picture)}))
    assert any(other[key].item() != value.item() for key, value in live.items())


@pytest.mark.parametrize("name", [name for name in CACHED if name != "Sum"])
def test_kept_features_stand_for_the_teachers(name, batch, tmp_path, monkeypatch):
    """Where what is compared of the teacher can be kept, it does not run; else that is said."""
    if not METHODS.get(name).keeps_features:
        with pytest.raises(
            InputError, match=f"`teacher_cache: features`: {name} compares no features that could be kept"
        ):
            build(name, tmp_path, teacher_cache="features")
        return
    method = build(name, tmp_path, teacher_cache="features")
    with torch.no_grad():
        targets = {"teacher": method.teacher.module(batch.lq), "teacher/features": method.told("teacher", batch.lq)}
    torch.manual_seed(6)
    live = copy.deepcopy(method)(batch)  # a bank is filled by what it sees
    seen, run = [], Viewer._run
    monkeypatch.setattr(Viewer, "_run", lambda viewer, *given: seen.append(viewer.frozen) or run(viewer, *given))
    torch.manual_seed(6)
    kept = copy.deepcopy(method)(dataclasses.replace(batch, targets=targets))
    assert {key: value.item() for key, value in kept.items()} == pytest.approx(
        {key: value.item() for key, value in live.items()}, rel=1e-4, abs=1e-7
    )
    torch.manual_seed(6)
    nothing = {key: torch.zeros_like(value) for key, value in targets.items()}
    other = copy.deepcopy(method)(dataclasses.replace(batch, targets=nothing))
    assert other[method.term].item() != live[method.term].item()
    assert seen and not any(seen)  # the student alone


def test_every_option_is_documented(name):
    component = METHODS.get(name)
    assert set(option_names(component)) <= set(option_docs(component))


TAPPED = [name for name in METHODS.names() if "taps" in option_names(METHODS.get(name))]


@pytest.mark.parametrize("option", ["taps", "teacher_taps"])
@pytest.mark.parametrize("name", TAPPED)
def test_wrong_tap_lists_those_that_exist(name, option, tmp_path):
    others = {"taps": ("body.0",), "teacher_taps": ("body.0",)}
    with pytest.raises(InputError, match=r"'bodi\.0' does not exist.*Did you mean 'body\.0'.*conv_after_body"):
        build(name, tmp_path, **{**others, option: ("bodi.0",)})


@pytest.mark.parametrize("name", TAPPED)
def test_taps_of_unequal_size_are_named_with_their_shapes(name, batch, tmp_path):
    if METHODS.get(name).same_sizes:
        method = build(name, tmp_path, taps=("body.0", "body.1"), teacher_taps=("upsample", "body.1"))
        with pytest.raises(InputError, match=r"'body\.0' gives \[4, 8, 8, 8\].*'upsample' gives \[4, 16, 16, 16\]"):
            method(batch)


@pytest.mark.parametrize("name", TAPPED)
def test_unequal_numbers_of_taps_are_named(name, tmp_path):
    with pytest.raises(InputError, match=r"`taps` \(body\.0\) and `teacher_taps` \(body\.0, body\.1\)"):
        build(name, tmp_path, taps=("body.0",), teacher_taps=("body.0", "body.1"))


def test_a_missing_teacher_is_said(name, tmp_path):
    component = METHODS.get(name)
    options = option_names(component)
    alone = teacher_use(component) == "no" or ("self_teacher" in options and options["self_teacher"].default)
    if not alone:
        with pytest.raises(InputError, match="needs a teacher"):
            component(EDSR(num_feat=8, num_block=3, upscale=2), None, L1Loss(), **component.example(tmp_path))


def test_under_bf16_losses_are_fp32(case, batch, tmp_path):
    method = build(case[0], tmp_path, case[1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = method(batch)
    assert all(value.dtype == torch.float32 for value in losses.values())
    assert torch.isfinite(gradient(method, method.total(losses, 0.0))).all()
