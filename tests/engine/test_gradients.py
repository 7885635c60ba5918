"""The look at each term's gradient: at the start and at every validation, changing nothing; a word on weak terms."""

import json

import pytest
import torch
from torch import nn

from srkd.engine.gradients import LONG, Pull, WeakTerms, pulls, unchanged
from srkd.engine.trainer import Trainer
from srkd.losses.pixel import L1Loss
from srkd.methods.base import Method
from srkd.networks.edsr import EDSR
from srkd.networks.frozen import Frozen
from srkd.types import Batch

PLUGIN = """
import torch
from torch import nn
from srkd.methods.base import Frozen, Method
from srkd.registry import METHODS

class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("written", torch.zeros((), dtype=torch.int64))
        self.register_buffer("replaced", torch.zeros((), dtype=torch.int64), persistent=False)
        self.register_buffer("made", None)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x):
        self.written += 1
        self.replaced = self.replaced + 1
        self.made = torch.ones(()) if self.made is None else self.made + 1
        return self.norm(x)

@METHODS.register
class Counting(Method):
    \"\"\"Counts its steps in every way that a module can.\"\"\"

    def __init__(self, student, teacher, pixel):
        super().__init__(student, teacher, pixel)
        self.head, self.frozen = Counts(), Frozen(Counts())

    def forward(self, batch):
        self.frozen(batch.gt)
        return {"l_pix": self.pixel(self.head(self.student(batch.lq)), batch.gt)}
"""


def test_every_counter_counts_steps_only(recipe, train, tmp_path, monkeypatch):
    (tmp_path / "counting.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    recipe |= {"plugins": ["counting"], "method": {"type": "Counting"}}
    made, run = [], Trainer.run
    monkeypatch.setattr(Trainer, "run", lambda trainer: made.append(trainer) or run(trainer))
    assert train(recipe) == 0  # looks at 0, 5 and 10
    heads = torch.load(tmp_path / "experiments/tiny/training_states/10.state", weights_only=True)["heads"]
    assert heads["head.written"] == heads["head.norm.num_batches_tracked"] == heads["head.made"] == 10
    (method,) = (trainer.method for trainer in made)
    frozen = method.frozen.module
    assert method.head.replaced == frozen.written == frozen.replaced == frozen.made == 10


def test_what_is_given_back():
    method = nn.Sequential(nn.BatchNorm2d(2), Frozen(nn.BatchNorm2d(2)), nn.Dropout())
    method[1].module.train()
    state = torch.get_rng_state()
    tensors = {name: (tensor, tensor.clone()) for name, tensor in method.named_buffers()}
    with pytest.raises(ZeroDivisionError), unchanged(method):
        method(torch.rand(4, 2, 3, 3))
        method[0].running_mean = torch.ones(2)
        raise ZeroDivisionError
    assert torch.equal(torch.get_rng_state(), state)
    for name, tensor in method.named_buffers():
        assert tensor is tensors[name][0] and torch.equal(tensor, tensors[name][1])
    assert method[1].module.num_batches_tracked == 0


def test_norms_again_at_every_validation(recipe, train, tmp_path):
    assert train(recipe) == 0
    folder = tmp_path / "experiments/tiny"
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    norms = {row["iter"]: row["l_pix"] for row in rows if row["kind"] == "gradients"}
    assert list(norms) == [0, 5, 10] and len({*norms.values()}) == 3 and min(norms.values()) > 0
    assert (folder / "train.log").read_text().count("Gradient norm of each weighted term: l_pix") == 3


class Terms(Method):
    """Terms that reach the student, a head, both, nobody; one is off."""

    def __init__(self) -> None:
        super().__init__(EDSR(num_feat=4, num_block=1, upscale=2, img_range=1.0), None, L1Loss())
        self.head = nn.Conv2d(3, 3, 1)
        self.weights |= {"l_twice": 2.0, "l_head": 1.0, "l_both": 1.0, "l_none": 1.0, "l_off": 0.0}

    def forward(self, batch):
        sr = self.student(batch.lq)
        pixel = self.pixel(sr, batch.gt)
        return {
            "l_pix": pixel,
            "l_twice": pixel,
            "l_head": self.head(batch.gt).square().mean(),
            "l_both": self.head(sr).square().mean(),
            "l_none": batch.gt.mean(),
            "l_off": pixel,
        }


def test_whom_each_term_reaches():
    torch.manual_seed(0)
    method = Terms()
    method.student.conv_last.bias.requires_grad_(False)  # a part that is not trained
    batch = Batch(torch.rand(2, 3, 6, 6), torch.rand(2, 3, 12, 12))
    found = pulls(method, batch, 0.0, autocast=torch.enable_grad, scaler=torch.amp.GradScaler("cpu", enabled=False))
    assert found["l_twice"].student == pytest.approx(2 * found["l_pix"].student)
    method.pixel(method.student(batch.lq), batch.gt).backward()
    by_hand = torch.cat([p.grad.flatten() for p in method.student.parameters() if p.grad is not None]).norm()
    assert found["l_pix"].student == pytest.approx(float(by_hand), rel=1e-5)
    assert found["l_head"].student == 0 < found["l_head"].others
    assert min(found["l_both"].student, found["l_both"].others) > 0
    assert found["l_none"] == (0, 0, 1) and found["l_off"] == (0, 0, 0)


def looks(*many):
    watch = WeakTerms()
    return [line for found in many for line in watch.see({name: Pull(*pull) for name, pull in found.items()})]


PIXEL = {"l_pix": (1.0, 0.0, 1.0)}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({**PIXEL, "l_stat": (0.009, 0, 1)}, "l_stat hardly acts: at the last 3 looks"),
        ({**PIXEL, "l_stat": (0.009, 5, 1)}, "below 1 % of that of l_pix (now 0.9 %)"),
        ({**PIXEL, "l_stat": (0.011, 0, 1)}, ""),
        ({**PIXEL, "l_lost": (0, 0, 1)}, "l_lost hardly acts"),
        ({**PIXEL, "l_off": (0, 0, 0)}, ""),
        ({**PIXEL, "l_head": (0, 0.1, 1)}, ""),
        ({"l_pix@1": (9, 0, 1), "l_pix@0.5": (0.02, 0, 1), "l_c@0.5": (0.01, 0, 1)}, ""),
        ({"l_pix@1": (9, 0, 1), "l_c@0.5": (0.01, 0, 1)}, "of that of l_pix@1"),
        ({"l_a": (9, 0, 1), "l_b": (0.01, 0, 1)}, "l_b hardly acts"),
        ({"l_only": (1e-9, 0, 1)}, ""),
        ({"l_pix": (0.0, 0, 1), "l_c": (0.0, 0, 1)}, ""),
    ],
)
def test_weak_terms(found, said):
    assert looks(*[found] * (LONG - 1)) == []
    lines = looks(*[found] * (3 * LONG))
    assert len(lines) == bool(said) and said in "".join(lines)


def test_a_term_that_acted_meanwhile_is_not_weak_for_long():
    weak, strong = {**PIXEL, "l_c": (0.001, 0, 1)}, {**PIXEL, "l_c": (0.5, 0, 1)}
    assert looks(weak, weak, strong, weak, weak) == []


def test_a_run_says_which_term_is_weak(recipe, train, tmp_path, caplog):
    assert train(recipe, "name=teacher", "train.total_iter=1") == 0
    recipe |= {"method": {"type": "SRKD", "stage_weights": [1e-9, 1e-9]}, "network_g_teacher": recipe["network_g"]}
    recipe["path"]["pretrain_network_g_teacher"] = str(tmp_path / "experiments/teacher/models/net_g_latest.pth")
    assert train(recipe, "val.val_freq=2") == 0
    assert caplog.text.count("l_stat hardly acts") == 1
    assert "l_stat hardly acts" in (tmp_path / "experiments/tiny/train.log").read_text()
