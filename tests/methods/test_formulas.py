"""Every method's whole loss equals an independent float64 evaluation of the formula in its description.

Networks are run one by one, features are taken by hooks of the test's own, and the rest is NumPy. A new method is asked
for its formula here by existing. Beside it: what is zero for identical networks, what does not depend on the range of
features or the order of images.
"""

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional

from srkd.losses.pixel import L1Loss
from srkd.methods.base import teacher_use
from srkd.networks.edsr import EDSR
from srkd.registry import METHODS
from srkd.signature import option_names
from srkd.types import Batch

PIXEL = 0.7  # the pixel loss's own weight
FEATURE = 0.3
PROGRESS = 0.25
SEED = 3  # DUKD inverts, flips in one direction and transposes then: what its published code undoes wrongly


def edsr(*, seed, **options):
    torch.manual_seed(seed)
    network = EDSR(**{"num_feat": 6, "num_block": 3, "upscale": 2, **options}).double()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.mul_(network.img_range)  # so that biases count at any range
    return network


def images():
    generator = torch.Generator().manual_seed(5)
    lq, gt = (torch.rand(4, 3, side, side, generator=generator, dtype=torch.float64) for side in (8, 16))
    return Batch(lq, gt)


class Seen:
    """What a formula is made of: pictures, and features in the range of a network in [0, 1]."""

    def __init__(self, method, batch):
        self.method, self.student = method, method.student
        self.teacher = method.teacher.module if method.teacher else None
        self.lq, self.gt = batch.lq.numpy(), batch.gt.numpy()
        self.sr = self.picture(self.student)
        self.target = None if self.teacher is None else self.picture(self.teacher)
        paths = getattr(method, "paths", {}).get("teacher", [])
        self.s, self.t = (
            [self.feature(network, path) for path in side]
            for network, side in ((self.student, [s for s, _ in paths]), (self.teacher, [t for _, t in paths]))
        )
        self.heads = [head for every in getattr(method, "heads", {}).values() for head in every]

    @torch.no_grad()
    def picture(self, network, x=None, width=1.0):
        return network(torch.tensor(self.lq if x is None else x), width).numpy()

    @torch.no_grad()
    def feature(self, network, path, x=None):
        seen = []
        handle = network.get_submodule(path).register_forward_hook(lambda *given: seen.append(given[-1].numpy()))
        network(torch.tensor(self.lq if x is None else x))
        handle.remove()
        return seen[0] / network.img_range

    def regressed(self):
        return [conv(head, s) for head, s in zip(self.heads, self.s, strict=True)]


def l1(a, b):
    return np.abs(a - b).mean()


def conv(layer, x):
    """A 1×1 convolution."""
    return (
        np.einsum("oc,bchw->bohw", layer.weight.detach().numpy()[:, :, 0, 0], x)
        + layer.bias.detach().numpy()[:, None, None]
    )


def places(f, grid):
    """[B, C, H, W] -> [B · grid², C]; the sides are multiples of the grid."""
    images, channels, height, width = f.shape
    cells = f.reshape(images, channels, grid, height // grid, grid, width // grid).mean((3, 5))
    return cells.transpose(0, 2, 3, 1).reshape(-1, channels)


def unit(a, axis=-1):
    return a / np.linalg.norm(a, axis=axis, keepdims=True)


def relative(e):
    n = len(e)
    d = np.array([[0.0 if i == j else np.sqrt(((e[i] - e[j]) ** 2).sum() + 1e-8) for j in range(n)] for i in range(n)])
    return d / (d.sum() / (n * n - n) + 1e-8)


def huber(x):
    return np.where(np.abs(x) < 1, x**2 / 2, np.abs(x) - 0.5).mean()


def attention(f):
    strength = (f**2).sum(1).reshape(len(f), -1)
    return strength / (np.linalg.norm(strength, axis=1, keepdims=True) + 1e-6)


def kernel(a, b):
    return np.mean([(x @ y) ** 2 for x in unit(a) for y in unit(b)])


def mmd(s, t):
    s, t = (f.reshape(*f.shape[:2], -1) for f in (s, t))
    return np.mean([kernel(a, a) + kernel(b, b) - 2 * kernel(a, b) for a, b in zip(s, t, strict=True)])


def gram(a, b):
    return np.einsum("bchw,bdhw->bcd", a, b) / (a.shape[2] * a.shape[3])


def neighbours(e):
    likeness = (unit(e) @ unit(e).T + 1) / 2
    np.fill_diagonal(likeness, 0)
    return likeness / (likeness.sum(1, keepdims=True) + 1e-7)


def divergence(s, t):
    ours, theirs = neighbours(places(s, 4)), neighbours(places(t, 4))
    return (theirs * np.log((theirs + 1e-7) / (ours + 1e-7))).sum() / len(ours)


def angles(e):
    ways = e[None] - e[:, None]
    lengths = np.linalg.norm(ways, axis=2, keepdims=True)
    ways = np.divide(ways, lengths, out=np.zeros_like(ways), where=lengths > 0)
    return np.einsum("jic,jkc->jik", ways, ways)


def relations(s, t):
    s, t = places(s, 2), places(t, 2)
    return huber(relative(s) - relative(t)) + 2 * huber(angles(s) - angles(t))


def graph(s, t):
    edges = [[relative(places(f, 4)) for f in side] for side in (s, t)]
    changes = [[b - a for a, b in itertools.pairwise(side)] for side in edges]
    return sum(((a - b) ** 2).mean() for side in (edges, changes) for a, b in zip(*side, strict=True))


def similar(f):
    f = f.reshape(len(f), -1)
    return unit(f @ f.T)


def likelihood(mean, variance, t):
    return (np.log(variance) / 2 + (mean - t) ** 2 / (2 * variance)).mean()


def softplus(x):
    return np.log1p(np.exp(x))


def vid(x):
    total = 0.0
    for head, s, t in zip(x.heads, x.s, x.t, strict=True):
        first, _, second = head.mean
        mean = conv(second, np.maximum(conv(first, s), 0))
        total += likelihood(mean, 0.001 * softplus(head.raw_variance.detach().numpy()) + 1e-8, t)
    return total


def nce(x):
    total = 0.0
    for head, s, t in zip(x.heads, x.s, x.t, strict=True):
        with torch.no_grad():
            ours = places(head.student(torch.tensor(s)).numpy(), 4)
            rows = np.concatenate([places(t, 4), head.bank.double().numpy()])
            theirs = head.teacher(torch.tensor(rows)[..., None, None]).flatten(1).numpy()
        logits = unit(ours) @ unit(theirs).T / 0.07
        total += np.mean(np.log(np.exp(logits - logits.max()).sum(1)) + logits.max() - np.diag(logits))
    return total


def masked(x):
    gap = np.abs(x.target - x.sr).mean(1, keepdims=True)
    mask = gap.reshape(4, 1, 8, 2, 8, 2).mean((3, 5))
    mask /= mask.mean((1, 2, 3), keepdims=True) + 1e-8
    return sum((mask * (r - t) ** 2).mean() for r, t in zip(x.regressed(), x.t, strict=True))


def affinity(f):
    f = f.reshape(*f.shape[:2], -1)
    f = f / (np.linalg.norm(f, axis=1, keepdims=True) + 1e-8)
    return np.einsum("bcn,bcm->bnm", f, f)


def crossed(x):
    total = 0.0
    paths = [path for _, path in x.method.paths["teacher"]]
    for path, r in zip(paths, x.regressed(), strict=True):
        assert path == f"body.{len(x.teacher.body) - 1}"
        replaced = torch.tensor(r) * x.teacher.img_range
        with torch.no_grad():
            head = x.teacher.conv_first(x.teacher.shift.enter(torch.tensor(x.lq), torch.float64))
            features = head + x.teacher.conv_after_body(replaced)
            picture = x.teacher.shift.leave(x.teacher.conv_last(x.teacher.upsample(features))).numpy()
        total += l1(picture, x.target)
    return total


def zoomed(x):
    torch.manual_seed(SEED)
    top, left = int(torch.randint(9, ())), int(torch.randint(9, ()))
    invert, horizontal, vertical, transpose = (torch.rand(4) < 0.3).tolist()
    piece = x.gt[..., top : top + 8, left : left + 8]
    turned = 1 - piece if invert else piece
    turned = turned[..., ::-1] if horizontal else turned
    turned = turned[..., ::-1, :] if vertical else turned
    turned = turned.swapaxes(2, 3) if transpose else turned
    back = x.picture(x.student, np.ascontiguousarray(turned))
    back = back.swapaxes(2, 3) if transpose else back
    back = back[..., ::-1, :] if vertical else back
    back = back[..., ::-1] if horizontal else back
    back = 1 - back if invert else back
    small = functional.interpolate(torch.tensor(x.lq).float(), scale_factor=0.5, mode="bicubic", antialias=True)
    small = small.clamp(0, 1).double().numpy()
    out = x.picture(x.student, small)
    return l1(back, x.picture(x.teacher, piece)) + l1(out, x.lq) + l1(out, x.picture(x.teacher, small))


def exits(x):
    total = 0.0
    for blocks, found in zip((1, 2), x.method.exits.values(), strict=True):
        assert len(found.body) == blocks
        own = x.picture(found)
        gap = x.feature(found, "features") - x.feature(x.student, "features")
        total += PIXEL * (0.75 * l1(own, x.gt) + 0.25 * l1(own, x.sr)) + FEATURE * (gap**2).mean()
    return total


def ground(x):
    return PIXEL * l1(x.sr, x.gt)


def taught(x, distance):
    """(1 - alpha) · pix(S, gt) + alpha · distance, alpha being 0.25."""
    return PIXEL * (0.75 * l1(x.sr, x.gt) + 0.25 * distance)


def tapped(distance):
    """pix(S, gt) + feature_weight · Σ distance(s, t)."""
    return lambda x: ground(x) + FEATURE * sum(distance(s, t) for s, t in zip(x.s, x.t, strict=True))


def whole(term):
    return lambda x: ground(x) + FEATURE * term(x)


def statistics(x):
    first, second = [((s.mean(1) ** 2 - t.mean(1) ** 2) ** 2).mean() for s, t in zip(x.s, x.t, strict=True)]
    return ground(x) + FEATURE * (first + second)


def privileged(x):
    teacher, method = x.method._privileged.module, x.method
    with torch.no_grad():
        encoded = teacher.encoder(torch.tensor(x.gt)).numpy()
        target = x.feature(teacher.decoder, "conv_after_body", encoded)
        own = torch.tensor(x.feature(x.student, "conv_after_body"))
        mean, raw = method.mean_head(own).numpy(), method.scale_head(own).numpy()
    scale = 0.1 * softplus(raw) + 1e-8
    return ground(x) + 1e-6 * (np.log(2 * scale) + np.abs(mean - target) / scale).mean()


def encoded(x):
    with torch.no_grad():
        small = x.method.encoder(torch.tensor(x.gt)).numpy()
    return PIXEL * l1(x.picture(x.student, small), x.gt) + 1e-4 * l1(small, x.lq)


def contrast(x):
    """Split widths 0.5 and 0.25 of 8 channels, the space being a copy of the network; negatives as they were drawn."""
    torch.manual_seed(SEED)
    chosen = x.method.inputs(4)["negatives"].numpy()
    bicubic = functional.interpolate(torch.tensor(x.lq).float(), size=(16, 16), mode="bicubic", align_corners=False)
    space = x.method._perceptual.module.network
    paths = [f"body.{end}" for end in (0, 1, 2)]
    raw = lambda y: [x.feature(space, path, y) * space.img_range for path in paths]  # noqa: E731
    candidates, positive = raw(bicubic.double().numpy()), raw(x.sr)
    total = ground(x)
    for width in (0.5, 0.25):
        split = x.picture(x.student, width=width)
        total += PIXEL * l1(split, x.gt)
        for s, p, n in zip(raw(split), positive, candidates, strict=True):
            ratios = [l1(s[b], p[b]) / (sum(l1(s[b], n[k]) for k in chosen[b]) + 1e-7) for b in range(4)]
            total += 0.4 * np.mean(ratios) / 3
    return total


def sandwich(x):
    torch.manual_seed(SEED)
    between = (5 / 6, 4 / 6)
    drawn = [between[number] for number in torch.randint(2, (2,)).tolist()]
    return ground(x) + sum(
        PIXEL * (0.75 * l1(y, x.gt) + 0.25 * l1(y, x.sr))
        for y in (x.picture(x.student, width=w) for w in (0.5, *drawn))
    )


def averaged(x):
    share = 0.25 * (PROGRESS / 0.5)
    return PIXEL * ((1 - share) * l1(x.sr, x.gt) + share * l1(x.sr, x.picture(x.method.average.module)))


def mutual(x):
    peer = x.picture(x.method.peer)
    return PIXEL * (0.75 * (l1(x.sr, x.gt) + l1(peer, x.gt)) + 0.25 * 2 * l1(x.sr, peer))


def masked_output(x):
    mask = np.exp(-np.abs(x.target - x.gt).mean(1, keepdims=True) / 0.1)
    return taught(x, (mask * np.abs(x.sr - x.target)).mean())


ALPHA, WEIGHT = {"alpha": 0.25}, {"feature_weight": FEATURE}
FORMULAS = {
    "Supervised": ({}, ground),
    "OutputKD": (ALPHA, lambda x: taught(x, l1(x.sr, x.target))),
    "MaskedKD": ({**ALPHA, "tolerance": 0.1}, masked_output),
    "AdaptiveKD": (ALPHA, lambda x: taught(x, l1(x.sr, x.target))),  # of one teacher the share is 1
    "DUKD": ({}, lambda x: 5 * ground(x) + PIXEL * (l1(x.sr, x.target) + zoomed(x))),
    "FitNet": (WEIGHT, whole(lambda x: sum(((r - t) ** 2).mean() for r, t in zip(x.regressed(), x.t, strict=True)))),
    "AT": (WEIGHT, tapped(lambda s, t: ((attention(s) - attention(t)) ** 2).sum(1).mean())),
    "NST": (WEIGHT, tapped(mmd)),
    "FSP": (WEIGHT, whole(lambda x: sum(((gram(*a) - gram(*b)) ** 2).mean() for a, b in zip(itertools.pairwise(x.regressed()), itertools.pairwise(x.t), strict=True)))),  # noqa: E501
    "PKT": (WEIGHT, tapped(divergence)),
    "RKD": (WEIGHT, tapped(relations)),
    "IRG": (WEIGHT, whole(lambda x: graph(x.s, x.t))),
    "SP": (WEIGHT, tapped(lambda s, t: ((similar(s) - similar(t)) ** 2).sum() / 16)),
    "VID": (WEIGHT, whole(vid)),
    "CRD": ({**WEIGHT, "bank": 6}, whole(nce)),
    "LSFD": (WEIGHT, whole(masked)),
    "SRKD": (WEIGHT, statistics),
    "FAKD": (
        {**ALPHA, "affinity_weight": 0.5, **WEIGHT},
        lambda x: taught(x, l1(x.sr, x.target))
        + 0.5 * FEATURE * sum(l1(affinity(s), affinity(t)) for s, t in zip(x.s, x.t, strict=True)),
    ),
    "CrossKD": (WEIGHT, whole(crossed)),
    "PISR": ({}, privileged),
    "PISRTeacher": ({}, encoded),
    "CSD": ({"contrast_weight": 0.4}, contrast),
    "USNets": ({**ALPHA, "least": 0.5}, sandwich),
    "EMATeacher": ({**ALPHA, "ramp": 0.5}, averaged),
    "MutualLearning": (ALPHA, mutual),
    "BYOT": ({**ALPHA, **WEIGHT}, lambda x: ground(x) + exits(x)),
}  # fmt: skip


def build(name, folder, student, teacher, **options):
    component = METHODS.get(name)
    torch.manual_seed(3)
    given = {**component.example(folder), **FORMULAS[name][0], **options}
    teacher = None if teacher_use(component) == "no" or name == "CSD" else teacher  # it is its own
    method = component(student, teacher, L1Loss(loss_weight=PIXEL), **given).double().eval()
    method.before_step(PROGRESS)
    return method


def evaluated(method, batch):
    torch.manual_seed(SEED)
    with torch.no_grad():
        return method(batch)


def test_every_method_has_its_formula_here():
    assert {*FORMULAS} | {"Sum"} == {*METHODS.names()}  # the sum's are those of its terms: tests/methods/test_sum.py


@pytest.mark.parametrize("name", FORMULAS)
def test_the_whole_loss_is_the_formula(name, tmp_path):
    student = edsr(seed=0, num_feat=8) if name in ("CSD", "PISR", "PISRTeacher") else edsr(seed=0)
    method = build(name, tmp_path, student, edsr(seed=1, num_feat=10, num_block=4, img_range=1.0))
    if name == "EMATeacher":
        with torch.no_grad():
            method.average.module.conv_last.bias.add_(5.0)
    batch = images()
    expected = FORMULAS[name][1](Seen(method, batch))
    torch.manual_seed(SEED)
    if name == "CSD":
        batch = Batch(batch.lq, batch.gt, inputs=method.inputs(4))
    found = method.total(method(batch), PROGRESS).item()
    assert found == pytest.approx(float(expected), rel=1e-6 if name in ("CSD", "DUKD", "FAKD") else 1e-9)


TAUGHT = [name for name in FORMULAS if teacher_use(METHODS.get(name)) != "no"]


@pytest.mark.parametrize("name", [name for name in TAUGHT if name != "CSD"])
def test_nothing_is_left_of_a_term_whose_student_is_its_teacher(name, tmp_path):
    """Regressors are made to pass on what they get; what has a constant of its own says so."""
    method = build(name, tmp_path, edsr(seed=1), edsr(seed=1))
    with torch.no_grad():
        for head in (head for every in getattr(method, "heads", {}).values() for head in every):
            for layer in (layer for layer in head.modules() if isinstance(layer, torch.nn.Conv2d)):
                torch.nn.init.dirac_(layer.weight)
                torch.nn.init.zeros_(layer.bias)
    losses = {term: value.item() for term, value in evaluated(method, images()).items()}
    assert losses.pop("l_pix") > 0
    constant = {"VID": ["l_feat"], "CRD": ["l_feat"], "PISR": ["l_vid"], "DUKD": ["l_zoom_in", "l_zoom_out"]}
    for term in constant.get(name, ()):
        assert losses.pop(term) != 0
    assert all(abs(value) < 1e-12 for value in losses.values()), losses


def wider(network):
    """The same function of images, its features 255 times as large."""
    found = EDSR(**{**network.config, "img_range": 255 * network.img_range}).double()
    found.load_state_dict(network.state_dict())
    with torch.no_grad():
        for name, parameter in found.named_parameters():
            if name.endswith("bias"):
                parameter.mul_(255)
    return found


TAPPED = [name for name in FORMULAS if "taps" in option_names(METHODS.get(name))]


@pytest.mark.parametrize("name", TAPPED)
def test_the_range_that_a_network_computes_in_changes_nothing(name, tmp_path):
    """BasicSR's EDSR has features 255 times as large; the image is the same, and so is what is learnt from them."""
    small, large = edsr(seed=0, img_range=1.0), edsr(seed=1, num_feat=10, num_block=4, img_range=1.0)
    plain = evaluated(build(name, tmp_path, small, large), images())
    for student, teacher in ((wider(small), large), (small, wider(large)), (wider(small), wider(large))):
        other = evaluated(build(name, tmp_path, student, teacher), images())
        for term, value in plain.items():
            assert other[term].item() == pytest.approx(value.item(), rel=1e-6), term


@pytest.mark.parametrize("name", [name for name in FORMULAS if name not in ("CSD", "DUKD", "USNets")])  # they draw
def test_the_order_of_the_images_changes_nothing(name, tmp_path):
    method = build(name, tmp_path, edsr(seed=0, num_feat=8), edsr(seed=1, num_feat=10))
    batch, order = images(), torch.tensor([2, 0, 3, 1])
    turned = evaluated(method, batch.map(lambda x: x[order]))
    for term, value in evaluated(method, batch).items():
        assert turned[term].item() == pytest.approx(value.item(), rel=1e-9, abs=1e-12)
