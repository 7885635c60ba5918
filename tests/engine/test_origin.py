"""What network files, states and benchmark results record of a start: seed, first weights, order of the data."""

import pytest
import torch

from srkd.data.batches import TrainBatches
from srkd.engine.checkpoint import load_state
from srkd.engine.origin import Origin, hash_of_order, hash_of_weights
from srkd.evaluation.models import load_models
from srkd.inference.export.export import export
from srkd.networks.edsr import EDSR
from srkd.networks.weights import load_network, origin_of, read_weights, save_network

CSD = {"type": "CSD", "widths": [0.5, 0.25], "num_negatives": 2, "perceptual": {"type": "network"}}
KEYS = ["seed", "start", "data_order"]


@pytest.fixture
def recorded(recipe, train, tmp_path):
    """Train with overrides; what the network file of the last iteration records."""

    del recipe["val"], recipe["datasets"]["val"]

    def run(*arguments, method=None):
        given = {**recipe, "method": method} if method else recipe
        assert train(given, "train.total_iter=1", *arguments) == 0
        return origin_of(read_weights(tmp_path / "experiments/tiny/models/net_g_latest.pth"))

    return run


def test_runs_are_pairs_whatever_their_method_and_how_a_step_is_split(recorded):
    first = recorded()
    assert [*first] == KEYS and first["seed"] == 3
    assert recorded() == recorded(method=CSD) == first
    assert recorded("train.accumulate=2", "datasets.train.batch_size_per_gpu=2") == first


@pytest.mark.parametrize(
    ("change", "differing"),
    [
        ("manual_seed=4", KEYS),
        ("network_g.num_feat=4", ["start"]),
        ("datasets.train.gt_size=20", ["data_order"]),
        ("datasets.train.batch_size_per_gpu=2", ["data_order"]),
        ("datasets.train.use_rot=false", ["data_order"]),
        ("datasets.train.use_hflip=false", ["data_order"]),
        ("train.accumulate=2", ["data_order"]),
        ("train.optim_g.lr=1e-4", []),
        ("train.ema_decay=0", []),
    ],
)
def test_what_tells_two_starts_apart(recorded, change, differing):
    first, second = recorded(), recorded(change)
    assert [key for key in KEYS if first[key] != second[key]] == differing


def test_the_start_is_after_the_pretrained_weights(recorded, tmp_path):
    network = EDSR(num_feat=8, num_block=2, upscale=2, img_range=1.0)
    save_network(tmp_path / "start.pth", network)
    loaded = recorded(f"path.pretrain_network_g={tmp_path / 'start.pth'}")
    assert loaded["start"] == hash_of_weights(network.state_dict())


def test_a_resumed_run_keeps_its_start(recipe, train, tmp_path):
    folder = tmp_path / "experiments/tiny"
    assert train(recipe, "train.total_iter=5") == 0
    first = read_weights(folder / "models/net_g_5.pth")
    assert train(recipe, "--auto_resume") == 0
    for name in ("net_g_10", "net_g_latest", "net_g_best"):
        assert origin_of(read_weights(folder / f"models/{name}.pth")) == origin_of(first)
    assert load_state(folder / "training_states/10.state")["origin"] == origin_of(first)
    changed = ["train.total_iter=12", "datasets.train.batch_size_per_gpu=2"]
    assert train(recipe, "--auto_resume", *changed) == 0
    last = origin_of(read_weights(folder / "models/net_g_12.pth"))
    order, _, later = last.pop("data_order").partition(",10:")
    assert {**last, "data_order": order} == origin_of(first) and len(later) == len(order) != 0


def test_going_on_as_before_adds_nothing():
    first = Origin(1, "a", "b")
    second = first.resumed("c", 5)
    assert first.resumed("b", 5) is first and second.data_order == "b,5:c"
    assert second.resumed("c", 9) is second and second.resumed("b", 9).data_order == "b,5:c,9:b"


def test_a_state_of_version_0_1_has_no_start(recipe, train, tmp_path):
    folder = tmp_path / "experiments/tiny"
    assert train(recipe, "train.total_iter=5") == 0
    state = load_state(folder / "training_states/5.state")
    del state["origin"]
    torch.save(state, folder / "training_states/5.state")
    assert train(recipe, "--auto_resume") == 0
    assert origin_of(read_weights(folder / "models/net_g_10.pth")) == {}
    assert load_state(folder / "training_states/10.state")["origin"] is None


def test_benchmarks_and_exported_files_hand_it_on(recorded, tmp_path):
    origin = recorded()
    latest = tmp_path / "experiments/tiny/models/net_g_latest.pth"
    export(latest, tmp_path / "small.safetensors", width=0.5)
    for model in load_models([latest, tmp_path / "small.safetensors"]):
        assert {key: model.origin[key] for key in KEYS} == origin


def test_the_hash_is_of_values_and_names(tmp_path):
    network = EDSR(num_feat=4, num_block=1)
    before = hash_of_weights(network.state_dict())
    assert hash_of_weights(network.to(memory_format=torch.channels_last).state_dict()) == before
    assert hash_of_weights(dict(reversed(network.state_dict().items()))) == before
    save_network(tmp_path / "n.pth", network)
    assert hash_of_weights(load_network(tmp_path / "n.pth").state_dict()) == before
    assert hash_of_weights(network.half().state_dict()) != before
    assert hash_of_weights({"a": torch.zeros(2, 3)}) != hash_of_weights({"a": torch.zeros(3, 2)})
    assert hash_of_weights({"a": torch.zeros(1)}) != hash_of_weights({"b": torch.zeros(1)})
    hash_of_weights({"a": torch.zeros((), dtype=torch.bfloat16), "b._extra_state": {"x": 1}})


class Plugin:
    """A data set of somebody else's: no names."""

    scale, gt_size, use_hflip, use_rot, gpu_cache = 2, 8, False, False, None

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length


def test_a_data_set_without_names_is_told_by_its_length():
    one, two = (hash_of_order(TrainBatches(Plugin(n), seed=0, batch_size=4), 1) for n in (10, 11))  # pyright: ignore
    assert one != two
    processes = TrainBatches(Plugin(10), seed=0, batch_size=2, rank=1, world_size=2)  # pyright: ignore
    assert hash_of_order(processes, 1) == one
