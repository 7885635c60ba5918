"""What every registered method must do; a new method is covered by adding its small options below."""

import copy
import functools
import tempfile
from pathlib import Path

import pytest
import torch

from srkd.losses.pixel import L1Loss
from srkd.methods.base import Frozen
from srkd.networks.edsr import EDSR
from srkd.networks.weights import save_network
from srkd.registry import METHODS
from srkd.signature import option_names
from srkd.types import Batch, InputError

# terms that train a head only
NOT_ON_STUDENT = {("PISRTeacher", "l_im")}
SMALL = {"CSD": {"widths": (0.5, 0.25), "num_negatives": 2}}


def build(name, **options):
    torch.manual_seed(0)
    component = METHODS.get(name)
    student = EDSR(num_feat=8, num_block=3, upscale=2)
    teacher = EDSR(num_feat=16, num_block=3, upscale=2) if component.uses_teacher else None
    small = dict(SMALL.get(name, {}))
    if name == "CSD":
        from srkd.methods.csd import NetworkSpace

        small["perceptual"] = NetworkSpace()
    if name == "PISR":
        with tempfile.TemporaryDirectory() as folder:
            first = build("PISRTeacher")
            save_network(Path(folder) / "stage1.pth", first.student, companions=first.companions)
            return component(student, teacher, L1Loss(), stage1=str(Path(folder) / "stage1.pth"), **options)
    return component(student, teacher, L1Loss(), **{**small, **options})


@pytest.fixture
def batch():
    torch.manual_seed(1)
    return Batch(torch.rand(4, 3, 8, 8), torch.rand(4, 3, 16, 16))


@pytest.fixture(params=METHODS.names())
def name(request):
    return request.param


def gradient(method, loss):
    parameters = list(method.student.parameters())
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)
    return torch.cat([part.flatten() for part in gradients])


def test_losses_are_named_scalars_with_weights(name, batch):
    method = build(name)
    losses = method(batch)
    assert losses
    for loss_name, value in losses.items():
        assert value.shape == () and torch.isfinite(value) and value.requires_grad
        assert method.weight(loss_name, 0.0) > 0


def test_each_weight_scales_exactly_its_own_term(name, batch):
    method = build(name)
    torch.manual_seed(2)
    losses = method(batch)
    parts = {key: gradient(method, method.weight(key, 0.0) * value) for key, value in losses.items()}
    total = gradient(method, method.total(losses, 0.0))
    for key, part in parts.items():
        if (name, key) in NOT_ON_STUDENT:
            heads = [p for n, p in method.named_parameters() if not n.startswith("student.")]
            assert all(g.norm() > 0 for g in torch.autograd.grad(losses[key], heads, retain_graph=True))
        else:
            assert part.norm() > 0, f"{key} has no gradient on the student"
    assert_close = functools.partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5 * float(total.norm()))
    assert_close(total, sum(parts.values()))
    for base in {key.split("@")[0] for key in losses}:
        before = method.weights[base]
        method.weights[base] *= 3
        tripled = gradient(method, method.total(losses, 0.0))
        method.weights[base] = before
        assert_close(tripled - total, 2 * sum(part for key, part in parts.items() if key.split("@")[0] == base))


def test_only_student_and_heads_are_trained_and_saved(name, batch):
    method = build(name).train()
    frozen = [child.module for child in method.modules() if isinstance(child, Frozen)]
    before = [copy.deepcopy(module.state_dict()) for module in frozen]
    optimizer = torch.optim.SGD(method.parameters(), lr=1e-2)
    for _ in range(5):
        optimizer.zero_grad()
        method.total(method(batch), 0.0).backward()
        optimizer.step()
    if METHODS.get(name).uses_teacher:
        assert method.teacher is not None and method.teacher.module in frozen
    for module, state in zip(frozen, before, strict=True):
        assert not any(child.training for child in module.modules())  # although the method was put in train mode
        assert all(parameter.grad is None for parameter in module.parameters())
        assert all(torch.equal(a, b) for a, b in zip(module.state_dict().values(), state.values(), strict=True))
        ids = {id(parameter) for parameter in module.parameters()}
        assert not ids & {id(parameter) for parameter in method.parameters()}
    student = {f"student.{key}" for key in method.student.state_dict()}
    assert student <= set(method.state_dict())
    heads = set(method.state_dict()) - student
    # but for a frozen copy that exists nowhere else, which a resumed training needs
    assert not [key for key in heads if "teacher" in key or ("perceptual" in key and not key.endswith("_extra_state"))]


def test_frozen_parts_follow_the_device_and_precision(name):
    method = build(name).double()
    for child in method.modules():
        if isinstance(child, Frozen):
            assert all(p.dtype == torch.float64 for p in child.module.parameters())


def test_widths_are_declared(name):
    method = build(name)
    assert method.widths == tuple(sorted(method.widths, reverse=True))


def test_every_option_is_documented(name):
    component = METHODS.get(name)
    for option in option_names(component):
        assert f"{option}:" in (component.__doc__ or ""), option


TAPPED = [name for name in METHODS.names() if "taps" in option_names(METHODS.get(name))]


@pytest.mark.parametrize("option", ["taps", "teacher_taps"])
@pytest.mark.parametrize("name", TAPPED)
def test_wrong_tap_lists_those_that_exist(name, option):
    others = {"taps": ("body.0",), "teacher_taps": ("body.0",)}
    with pytest.raises(InputError, match=r"'bodi\.0' does not exist.*Did you mean 'body\.0'.*conv_after_body"):
        build(name, **{**others, option: ("bodi.0",)})


@pytest.mark.parametrize("name", TAPPED)
def test_taps_of_unequal_size_are_named_with_their_shapes(name, batch):
    method = build(name, taps=("body.0",), teacher_taps=("upsample",))
    with pytest.raises(InputError, match=r"'body\.0' gives \[4, 8, 8, 8\].*'upsample' gives \[4, 16, 16, 16\]"):
        method(batch)


@pytest.mark.parametrize("name", TAPPED)
def test_unequal_numbers_of_taps_are_named(name):
    with pytest.raises(InputError, match=r"`taps` \(body\.0\) and `teacher_taps` \(body\.0, body\.1\)"):
        build(name, taps=("body.0",), teacher_taps=("body.0", "body.1"))


def test_a_missing_teacher_is_said(name):
    component = METHODS.get(name)
    if component.uses_teacher:
        with pytest.raises(InputError, match=f"{name} needs a teacher"):
            component(EDSR(num_feat=8, num_block=3, upscale=2), None, L1Loss())


def test_under_bf16_losses_are_fp32(name, batch):
    method = build(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = method(batch)
    assert all(value.dtype == torch.float32 for value in losses.values())
    assert torch.isfinite(gradient(method, method.total(losses, 0.0))).all()
