"""Be your own teacher: its terms by hand, who teaches whom, what it leaves beside the student."""

import pytest
import torch

from srkd.losses.pixel import L1Loss
from srkd.methods.byot import BYOT
from srkd.methods.sum import Sum
from srkd.networks.edsr import EDSR
from srkd.types import Batch, InputError


@pytest.fixture
def student():
    torch.manual_seed(0)
    return EDSR(num_feat=8, num_block=6, upscale=2)


@pytest.fixture
def images():
    torch.manual_seed(1)
    return Batch(torch.rand(3, 3, 8, 8), torch.rand(3, 3, 16, 16))


def scatter(method):
    """Tails begin as copies: let them differ."""
    with torch.no_grad():
        for parameter in method.tails.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))


@pytest.mark.parametrize("width", [1.0, 0.5])
def test_by_hand(student, images, width):
    """In double precision, each network run for itself."""
    method = BYOT(student, None, L1Loss(), exits=(4, 2), alpha=0.25, feature_weight=0.5, widths=(width,)).double()
    scatter(method)
    images = images.map(torch.Tensor.double)
    seen = {}

    def picture(name, network):
        handle = network.features.register_forward_hook(lambda *given: seen.__setitem__(name, given[-1]))
        try:
            return network(images.lq, width)
        finally:
            handle.remove()

    with torch.no_grad():
        pictures = {name: picture(name, network) for name, network in method.networks.items()}
        expected = (pictures["g"] - images.gt).abs().mean()
        for name in ("exit2", "exit4"):
            expected += 0.75 * (pictures[name] - images.gt).abs().mean()
            expected += 0.25 * (pictures[name] - pictures["g"]).abs().mean()
            expected += 0.5 * ((seen[name] - seen["g"]) ** 2).mean() / 255**2
        assert method.total(method(images), 0.0).item() == pytest.approx(expected.item(), rel=1e-10)


def test_the_whole_depth_teaches_and_does_not_learn_from_its_exits(student, images):
    method = BYOT(student, None, L1Loss())
    scatter(method)
    assert [*method.networks] == ["g", "exit2", "exit4"]
    losses = method(images)
    later = [*student.body[4].parameters(), *student.conv_after_body.parameters(), *student.upsample.parameters()]
    first, tail = [*student.body[1].parameters()], [*method.tails["exit2"].parameters()]
    for name in ("l_exit_pix.exit2", "l_exit_ts.exit2", "l_exit_feat.exit2"):
        gradients = torch.autograd.grad(losses[name], [*later, *first], allow_unused=True, retain_graph=True)
        assert all(gradient is None for gradient in gradients[: len(later)])
        assert all(gradient.norm() > 0 for gradient in gradients[len(later) :])
    pulled = torch.autograd.grad(losses["l_exit_ts.exit2"], tail, retain_graph=True)
    assert all(gradient.norm() > 0 for gradient in pulled)


def test_exits_in_a_sum_have_names_of_their_own(student):
    terms = ({"type": "BYOT", "exits": [2]}, {"type": "BYOT", "exits": [2, 3]}, {"type": "MutualLearning"})
    method = Sum(student, None, L1Loss(), terms=terms)
    assert [*method.networks] == ["g", "exit2", "exit2_BYOT2", "exit3", "peer"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exits": ()}, "`exits` is empty"),
        ({"exits": (6,)}, "no exit after 6; from 1 to 5"),
        ({"alpha": 1.5}, "`alpha` "),
        ({"feature_weight": -1.0}, "`feature_weight` "),
    ],
)
def test_bad_options(student, options, message):
    with pytest.raises(InputError, match=message):
        BYOT(student, None, L1Loss(), **options)
