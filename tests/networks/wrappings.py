"""Ways in which others wrap a network's weights, and files that are none: made for tests."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

State = dict[str, torch.Tensor]


def _optimiser(state: State) -> dict[str, Any]:
    moments = {
        i: {"step": torch.tensor(5.0), "exp_avg": value, "exp_avg_sq": value} for i, value in enumerate(state.values())
    }
    return {"state": moments, "param_groups": [{"lr": 1e-3, "params": list(range(len(state)))}]}


def _noise(state: State) -> State:
    return {name: value + 1 for name, value in state.items()}


WRAPPERS: dict[str, Callable[[State], Any]] = {
    "bare": lambda state: state,
    "ordered": lambda state: OrderedDict(state),
    "params": lambda state: {"params": state},
    "state_dict": lambda state: {"state_dict": state, "epoch": 3, "args": {"lr": 1e-4, "name": "x"}},
    "model_optimizer": lambda state: {"model": state, "optimizer": _optimiser(state), "epoch": 3},
    "optimizer_first": lambda state: {"optim": _optimiser(state), "net": state},
    "deep": lambda state: {"checkpoint": {"run": {"weights": {"generator": state}}, "history": [1.0, 2.0]}},
    "numpy_beside": lambda state: {"params": state, "best_psnr": np.float64(31.2), "best_iter": np.int64(5)},
    "gan": lambda state: {"net_d": {"conv.weight": torch.ones(4, 3, 3, 3)}, "net_g": state},
    "ema_beside": lambda state: {"model": _noise(state), "model_ema": state, "iter": 100},
    "shadow": lambda state: {"state_dict": _noise(state), "ema": {"decay": 0.999, "shadow": state}},
    "lightning": lambda state: {
        "pytorch-lightning_version": "2.1",
        "state_dict": {**{f"net.{k}": v for k, v in state.items()}, "loss.vgg.0.weight": torch.ones(8, 3, 3, 3)},
        "hyper_parameters": {"scale": 2},
    },
    "ema_pytorch": lambda state: {
        **{f"online_model.{k}": v for k, v in _noise(state).items()},
        **{f"ema_model.{k}": v for k, v in state.items()},
        "initted": torch.tensor(True),
        "step": torch.tensor(7),
    },
    "thop": lambda state: {"params": state | {"total_ops": torch.zeros(1), "body.0.total_params": torch.zeros(1)}},
    "scalars_beside": lambda state: {**state, "epoch": 3, "lr": 1e-4, "note": "best"},
}

PREFIXES = ("", "module.", "_orig_mod.", "net_g.", "module._orig_mod.", "student.backbone.", "generator_")


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: value for name, value in state.items()}


def infixed(state: State) -> State:
    """As where parts of a network were compiled or wrapped for several GPUs by themselves."""
    return {name.replace("body.", "body._orig_mod.").replace("conv1.", "conv1.module."): v for name, v in state.items()}


DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
SUFFIXES = (".pth", ".pt", ".ckpt", ".PTH", ".bin", ".safetensors", ".SAFETENSORS", "")


def write(path: Path, content: Any) -> None:
    """By the suffix: safetensors hold a flat dictionary only."""
    if path.suffix.lower() == ".safetensors":
        save_file({name: value.contiguous() for name, value in content.items()}, path)
    else:
        torch.save(content, path)


def other_files(folder: Path) -> dict[str, str]:
    """Files that are no checkpoints, by name, with a word of the answer."""

    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1

    torch.jit.save(torch.jit.script(Net()), folder / "script.pt")
    torch.save({"params": {"w": torch.ones(1)}, "args": __import__("argparse").Namespace(a=1)}, folder / "args.pth")
    torch.save(torch.nn.Conv2d(3, 3, 3), folder / "module.pth")
    with zipfile.ZipFile(folder / "zip.pth", "w") as archive:
        archive.writestr("readme.txt", "hello")
    texts: dict[str, tuple[bytes, str]] = {
        "empty.pth": (b"", "empty"),
        "zeros.pth": (bytes(5000), "zeros"),
        "text.pth": (b"hello, this is no checkpoint", "a text"),
        "utf8.pth": ("näive Größe\n".encode() * 900, "a text"),
        "page.pth": (b"<!DOCTYPE html><html>404</html>", "web page"),
        "lfs.safetensors.pth": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "Git LFS"),
        "options.yml": (b"name: x\nnetwork_g: {type: EDSR}\n", "option file"),
        "picture.pth": (b"\x89PNG\r\n\x1a\n" + bytes(40), "PNG image"),
        "photo.pth": (b"\xff\xd8\xff\xe0" + bytes(40), "JPEG image"),
        "net.onnx": (b"\x08\x07\x12\x07pytorch\x1a\x052.6.0" + bytes(60), "ONNX"),
        "keras.h5": (b"\x89HDF\r\n\x1a\n" + bytes(60), "HDF5"),
        "packed.pth.gz": (b"\x1f\x8b\x08\0" + bytes(60), "unpack it"),
        "half.safetensors": (struct.pack("<Q", 500) + b'{"a":', "cannot be read"),
    }
    for name, (data, _) in texts.items():
        (folder / name).write_bytes(data)
    return {name: word for name, (_, word) in texts.items()} | {
        "script.pt": "TorchScript",
        "args.pth": "argparse.Namespace",
        "module.pth": "code named by a file is never run",
        "zip.pth": "ZIP archive",
    }


def crafted_files(folder: Path, state: State, described: dict[str, Any]) -> list[str]:
    """Checkpoints that say or hold what no honest one does; all of them are to be refused."""

    def params(**beside: Any) -> dict[str, Any]:
        return {"params": state, "network_g": described, **beside}

    def network(**options: Any) -> dict[str, Any]:
        return {"params": state, "network_g": {**described, **options}}

    def changed(value: torch.Tensor) -> dict[str, Any]:
        return {"params": {**state, "conv_first.weight": value}, "network_g": described}

    first = state["conv_first.weight"]
    nan, infinite = first.clone(), first.clone()
    nan[0, 0, 0, 0], infinite[-1, 0, 0, 0] = float("nan"), float("inf")
    bad: dict[str, Any] = {
        "nan": changed(nan),
        "inf": changed(infinite),
        "meta": {"params": {k: v.to("meta") for k, v in state.items()}, "network_g": described},
        "sparse": changed(first.to_sparse()),
        "quantised": changed(torch.quantize_per_tensor(first, 0.1, 0, torch.qint8)),
        "integers": changed((first * 100).to(torch.int8)),
        "complex": changed(first.to(torch.complex64)),
        "expanded": {"params": {"w": torch.zeros(1).expand(2**40)}},
        "integer_keys": {1: torch.ones(3), 2: torch.ones(3)},
        "nested_lists": {"params": [[torch.ones(1)]]},
        "list": [1, 2],
        "tensor": torch.ones(3),
        "nothing": {},
        "plain": {"a": 1, "b": "text"},
        "num_feat": network(num_feat=2**20),
        "num_block": network(num_block=10**9),
        "both_thousand": network(num_feat=1024, num_block=1024),
        "enormous": network(num_block=10**400),
        "negative": network(num_block=-1),
        "upscale": network(upscale=2**40),
        "text_option": network(num_feat="8"),
        "list_option": network(num_feat=[8]),
        "dict_option": network(rgb_mean={"a": 1}),
        "nan_option": network(img_range=float("nan")),
        "zero_range": network(img_range=0.0),
        "long_mean": network(rgb_mean=[0.5] * 5000),
        "unknown_type": network(type="NoSuchNetwork"),
        "long_type": network(type="x" * 100_000),
        "spandrel": {"params": state, "network_g": {"type": "spandrel", "path": "/etc/passwd"}},
        "basicsr_large": {
            "params": state,
            "network_g": {"type": "basicsr.EDSR", "num_in_ch": 3, "num_out_ch": 3, "num_block": 10**7},
        },
    }
    for name, widths in {
        "text": "0.5",
        "large": [2.0],
        "nan": [float("nan")],
        "zero": [0],
        "true": [True],
        "nested": [[1.0]],
        "odd": [0.3],
        "number": 1,
    }.items():
        bad[f"widths_{name}"] = params(widths=widths)
    for name, value in {"iter": "x", "method": 3, "training_set": [1], "data_licence": {}, "plugin": 5}.items():
        bad[f"beside_{name}"] = params(**{name: value})
    names: list[str] = []
    for name, content in bad.items():
        torch.save(content, folder / f"{name}.pth")
        names.append(f"{name}.pth")
    metadata = {
        "list": "[1]",
        "number": "5",
        "null": "null",
        "damaged": "{",
        "deep": "[" * 100_000,
        "key": json.dumps({"key": {"a": 1}, "network_g": described}),
        "widths": json.dumps({"key": "params", "network_g": described, "widths": "all"}),
        "huge": '{"network_g": {"type": "EDSR", "num_block": ' + "9" * 5000 + "}}",
    }
    for name, text in metadata.items():
        save_file(dict(state), folder / f"metadata_{name}.safetensors", metadata={"srkd": text})
        names.append(f"metadata_{name}.safetensors")
    with zipfile.ZipFile(folder / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", b"\x80\x02}.")
        archive.writestr("bomb/data/0", bytes(2**29))
    return [*names, "bomb.pth"]


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """A file with bytes flipped, cut off, doubled, or torn out; in the first part more often, where the names are."""
    array = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(0, len(array) if rng.random() < 0.5 else min(len(array), 2000)))
        length = int(rng.integers(1, 200))
        match int(rng.integers(0, 5)):
            case 0:
                array[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                del array[at:]
            case 2:
                array[at:at] = array[at : at + length]
            case 3:
                del array[at : at + length]
            case _:
                array[at : at + length] = rng.bytes(min(length, len(array) - at))
        if not array:
            break
    return bytes(array)


def texts(rng: np.random.Generator) -> bytes:
    """A random text: words, numbers, JSON, pickle's own letters."""
    kinds = ("abc \n\t0123", "(lp0\nS'x'\np1\na.cbuiltins\neval\nI1\nL", '{"a": [1, 2.5, null]}', "äöü€日本語 ")
    letters = kinds[int(rng.integers(0, len(kinds)))]
    picked = "".join(letters[i] for i in rng.integers(0, len(letters), int(rng.integers(1, 3000))))
    return picked.encode("utf-8" if rng.random() < 0.7 else "utf-16")


def saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()
