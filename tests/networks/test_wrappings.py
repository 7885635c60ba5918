"""Any common wrapping of weights is opened, and no file, however made, ends in a traceback, a hang or a full memory."""

from __future__ import annotations

import itertools
import logging
import re
import resource
import time

import numpy as np
import pytest
import torch
import wrappings
from safetensors.torch import save

from srkd import Upscaler, load_network
from srkd.cli import main
from srkd.networks.edsr import EDSR
from srkd.networks.weights import load_params, read_weights, save_network
from srkd.types import InputError

OPTIONS = {"num_feat": 8, "num_block": 2, "upscale": 2, "img_range": 1.0}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return EDSR(**OPTIONS)


def cases():
    """Every wrapper with every prefix; dtypes and suffixes in turn, so that each meets each."""
    dtypes, suffixes = itertools.cycle(wrappings.DTYPES), itertools.cycle(wrappings.SUFFIXES)
    for wrapper, prefix in itertools.product(wrappings.WRAPPERS, wrappings.PREFIXES):
        suffix = next(suffixes)
        if suffix.lower() == ".safetensors" and wrapper not in ("bare", "ordered"):
            suffix = ".pth"
        yield wrapper, prefix, next(dtypes), suffix
    for suffix in (".safetensors", ".SAFETENSORS"):
        for prefix, dtype in itertools.product(wrappings.PREFIXES, wrappings.DTYPES):
            yield "bare", prefix, dtype, suffix


ALL = list(cases())


def check(network, folder, wrapper, prefix, dtype, suffix):
    state = {name: value.to(dtype) for name, value in network.state_dict().items()}
    path = folder / f"weights{suffix}"
    wrappings.write(path, wrappings.WRAPPERS[wrapper](wrappings.prefixed(state, prefix)))
    other = EDSR(**OPTIONS)
    assert load_params(other, read_weights(path)) == []
    for name, value in other.state_dict().items():
        assert torch.equal(value, state[name].float()), (wrapper, prefix, dtype, suffix, name)


@pytest.mark.parametrize("case", ALL[:: len(ALL) // 18], ids=str)
def test_a_wrapping_is_opened(network, tmp_path, case):
    check(network, tmp_path, *case)


@pytest.mark.slow
def test_every_wrapping_is_opened(network, tmp_path):
    assert len(ALL) >= 60
    for case in ALL:
        check(network, tmp_path, *case)
    print(len(ALL), "wrappings")


def test_wrappers_inside_names_and_a_given_key(network, tmp_path):
    state = network.state_dict()
    torch.save({"a": wrappings.infixed(state), "b": {k: v + 1 for k, v in state.items()}}, tmp_path / "x.ckpt")
    other = EDSR(**OPTIONS)
    load_params(other, read_weights(tmp_path / "x.ckpt"))
    assert torch.equal(other.conv_last.bias, network.conv_last.bias)
    load_params(other, read_weights(tmp_path / "x.ckpt", "b"))
    assert torch.equal(other.conv_last.bias, network.conv_last.bias + 1)
    with pytest.raises(InputError, match="has no 'c'; it has a, b"):
        read_weights(tmp_path / "x.ckpt", "c")


def test_a_profilers_residue_is_named(network, tmp_path, caplog):
    torch.save(wrappings.WRAPPERS["thop"](network.state_dict()), tmp_path / "x.pth")
    read_weights(tmp_path / "x.pth")
    assert "2 counters of a profiler" in caplog.text


def test_our_own_file_in_a_wrapping_keeps_its_description(network, tmp_path):
    save_network(tmp_path / "x.pth", network, widths=(1.0, 0.5))
    torch.save({"hub": torch.load(tmp_path / "x.pth", weights_only=True)}, tmp_path / "y.pth")
    again = load_network(tmp_path / "y.pth")
    assert again.config == network.config and again.trained_widths == (1.0, 0.5)


def test_extra_layers_are_no_prefix(network, tmp_path):
    deeper = EDSR(**{**OPTIONS, "num_block": 3}).state_dict()
    torch.save({"model": wrappings.prefixed(deeper, "net.")}, tmp_path / "x.pth")
    with pytest.raises(InputError, match=r"4 of 20 tensors differ \(body\.2\.conv1\.weight"):
        load_params(EDSR(**OPTIONS), read_weights(tmp_path / "x.pth"))


def refused(path, capsys=None):
    """The answer is one paragraph that names the file, within the time and memory that are promised."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        load_network(path)
        answer = None
    except InputError as error:
        answer = str(error)
    assert time.perf_counter() - start < 10, path
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2 * 2**20, path  # KiB
    assert answer is None or (str(path) in answer and "\n" not in answer and len(answer) < 2000), answer
    return answer


def test_files_of_other_kinds_are_called_what_they_are(tmp_path):
    for name, word in wrappings.other_files(tmp_path).items():
        answer = refused(tmp_path / name)
        assert answer and word in answer, (name, answer)


def test_crafted_checkpoints_are_refused(network, tmp_path):
    described = {"type": "EDSR", **network.config, "rgb_mean": list(network.rgb_mean)}
    torch.save({"params": network.state_dict(), "network_g": described}, tmp_path / "good.pth")
    assert refused(tmp_path / "good.pth") is None
    for name in wrappings.crafted_files(tmp_path, network.state_dict(), described):
        assert refused(tmp_path / name), name


def mutants(network, tmp_path, count, seed):
    rng = np.random.default_rng(seed)
    save_network(tmp_path / "a.pth", network, params_ema=network.state_dict(), widths=(1.0, 0.5))
    save_network(tmp_path / "b.safetensors", network)
    state = network.state_dict()
    legacy = tmp_path / "legacy.pth"
    torch.save({"model": state, "epoch": 3}, legacy, _use_new_zipfile_serialization=False)
    sources = [(tmp_path / name).read_bytes() for name in ("a.pth", "b.safetensors", "legacy.pth")]
    sources += [wrappings.saved({"state_dict": state, "best": np.float64(3)}), save(state)]
    path, answers = tmp_path / "mutant.pth", 0
    for number in range(count):
        path.write_bytes(wrappings.mutated(sources[number % len(sources)], rng))
        answers += refused(path) is not None
    return answers


def random_texts(tmp_path, count, seed):
    rng = np.random.default_rng(seed)
    path = tmp_path / "text.pth"
    for _ in range(count):
        path.write_bytes(wrappings.texts(rng))
        assert refused(path)


def test_a_tenth_of_the_mutants(network, tmp_path):
    mutants(network, tmp_path, 50, 1)
    random_texts(tmp_path, 40, 1)


@pytest.mark.slow
def test_500_mutants_and_400_texts(network, tmp_path):
    print(mutants(network, tmp_path, 500, 2), "of 500 mutants refused")
    random_texts(tmp_path, 400, 2)


def test_the_command_line_answers_too(tmp_path, capsys):
    (tmp_path / "passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    for command in (
        ["cost"],
        ["upscale", str(tmp_path / "passwd"), "-m"],
        ["benchmark", "--sets", str(tmp_path), "--"],
    ):
        assert main([*command, str(tmp_path / "passwd")]) == 2
        assert re.search(r"^srkd: checkpoint .*passwd cannot be read: it is a text\.", capsys.readouterr().err)


def test_options_without_a_shape_are_compared_with_the_files(network, tmp_path):
    save_network(tmp_path / "x.pth", network)
    for name, value in {"res_scale": 0.1, "img_range": 255.0, "rgb_mean": (0.0, 0.0, 0.0)}.items():
        for strict in (True, False):
            with pytest.raises(InputError, match=rf"does not fit EDSR: {name} is .* in the file, and .* is given"):
                load_params(EDSR(**{**OPTIONS, name: value}), read_weights(tmp_path / "x.pth"), strict=strict)
    wider = EDSR(**{**OPTIONS, "upscale": 4})
    assert load_params(wider, read_weights(tmp_path / "x.pth"), strict=False) == [
        "upsample.2.weight",
        "upsample.2.bias",
    ]
    with pytest.raises(InputError, match="img_range"):
        load_params(EDSR(**{**OPTIONS, "upscale": 4, "img_range": 2.0}), read_weights(tmp_path / "x.pth"), strict=False)


def test_an_option_that_an_older_file_lacks_had_its_default(network, tmp_path):
    described = {"type": "EDSR", **{k: v for k, v in network.config.items() if k not in ("upsampler", "res_scale")}}
    torch.save({"params": network.state_dict(), "network_g": described}, tmp_path / "x.pth")
    load_params(EDSR(**OPTIONS), read_weights(tmp_path / "x.pth"))
    with pytest.raises(InputError, match=r"res_scale is 1\.0 in the file, and 0\.5 is given"):
        load_params(EDSR(**OPTIONS, res_scale=0.5), read_weights(tmp_path / "x.pth"))


def test_options_that_change_no_result_may_differ(basicsr, tmp_path):
    from srkd.networks.weights import build_network

    small = {"num_in_ch": 3, "num_out_ch": 3, "num_feat": 8, "num_block": 1, "upscale": 2}
    network = build_network("basicsr.EDSR", small)
    save_network(tmp_path / "x.pth", network)
    with pytest.raises(InputError, match="img_range"):
        load_params(build_network("basicsr.EDSR", {**small, "img_range": 1.0}), read_weights(tmp_path / "x.pth"))
    with pytest.raises(InputError, match="img_range"):  # BasicSR's EDSR in a file, ours given
        load_params(EDSR(num_feat=8, num_block=1, upscale=2, img_range=1.0), read_weights(tmp_path / "x.pth"))
    swin = {
        "img_size": 8,
        "embed_dim": 8,
        "depths": [2],
        "num_heads": [2],
        "window_size": 4,
        "mlp_ratio": 2,
        "upscale": 2,
    }
    swin |= {"upsampler": "pixelshuffledirect", "resi_connection": "1conv"}
    save_network(tmp_path / "s.pth", build_network("basicsr.SwinIR", swin))
    load_params(build_network("basicsr.SwinIR", {**swin, "drop_path_rate": 0.3}), read_weights(tmp_path / "s.pth"))


def test_weights_that_are_no_numbers_are_refused_wherever_they_come_in(network, tmp_path, caplog):
    state = network.state_dict()
    state["body.1.conv1.weight"] = state["body.1.conv1.weight"].clone()
    state["body.1.conv1.weight"][0, 0, 0, :2] = float("nan")
    save_network(tmp_path / "nan.pth", network, params_ema=state)
    with pytest.raises(InputError, match=r"nan\.pth is spoilt: 2 of the 576 values in body\.1\.conv1\.weight"):
        Upscaler(tmp_path / "nan.pth")
    assert Upscaler(load_network(tmp_path / "nan.pth", key="params"), precision="fp32").scale == 2
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("names", "warned"),
    [(("teacher", "student"), True), (("net_g", "net_g_ema"), False), (("model", "copy_of_model"), False)],
)
def test_two_networks_that_fit_are_told_of(tmp_path, caplog, names, warned):
    torch.manual_seed(0)
    network, other = (EDSR(num_feat=4, num_block=1, upscale=2) for _ in range(2))
    second = network if names[1].startswith("copy") else other
    torch.save({names[0]: network.state_dict(), names[1]: second.state_dict()}, tmp_path / "two.pth")
    load_params(EDSR(num_feat=4, num_block=1, upscale=2), read_weights(tmp_path / "two.pth"))
    assert ("holds 2 networks that fit here (teacher, student)" in caplog.text) == warned
