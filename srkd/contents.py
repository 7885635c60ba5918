"""What is in a checkpoint file, read without running code from it; a file of another kind is answered by its kind."""

from __future__ import annotations

import json
import re
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from srkd.limits import CHECKPOINT_BYTES, CHECKPOINT_GROWTH, CHECKPOINT_SMALL
from srkd.types import InputError

KEPT_HERE = "srkd"
"""The key of safetensors' metadata under which our own description stands, as JSON."""

_ADVICE = (
    "A checkpoint is a .safetensors file, or a .pth file that holds only tensors and plain values: "
    "torch.save(model.state_dict(), FILE) writes one."
)
_SIGNATURES = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"RIFF": "a WebP image or a film",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"GIF8": "a GIF image",
    b"\x89HDF": "an HDF5 file (Keras, MATLAB)",
    b"\x93NUMPY": "a NumPy array",
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"7z\xbc\xaf": "a 7-Zip archive: unpack it first",
    b"Rar!": "a RAR archive: unpack it first",
    b"%PDF": "a PDF document",
}
_TEXTS = {
    r"version https://git-lfs": "only a pointer to the file (Git LFS): `git lfs pull` fetches the file itself",
    r"\s*<(?:!doctype|html|\?xml)": "a web page: the download gave another page than the file",
    r"7767517\n": "an ncnn network: give the file that it was made from",
}


def read_contents(path: Path) -> dict[Any, Any]:
    """The dictionary in a checkpoint file; a `.safetensors` file gives the one that a `.pth` file of ours holds.

    The file's first bytes say what it is, whatever its name ends in.

    Raises:
        InputError: the file is no checkpoint, is damaged or too large, or would run code; in one sentence which.
    """
    size = path.stat().st_size
    if size > CHECKPOINT_BYTES:
        raise InputError(f"checkpoint {path} has {size:,} bytes; at most {CHECKPOINT_BYTES:,} are read.")
    with path.open("rb") as file:
        head = file.read(4096)
    if _is_safetensors(path, head):
        content = _read_safetensors(path)
    else:
        if other := _other_kind(path, head):
            raise InputError(f"checkpoint {path} cannot be read: it is {other}. {_ADVICE}")
        content = _read_torch(path)
    if not isinstance(content, Mapping) or not content:
        raise InputError(f"checkpoint {path} holds {_kind_of(content)}, not a state dict. {_ADVICE}")
    return dict(content)


def require_plain(path: Path, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Check that tensors of a file hold their values, one by one, and no more of them than the file can.

    Raises:
        InputError: a tensor has no values (meta), is sparse or quantised; or few values stand for very many.
    """
    total, most = 0, CHECKPOINT_GROWTH * path.stat().st_size + CHECKPOINT_SMALL
    for name, tensor in tensors:
        kind = next((word for word, found in _odd_kinds(tensor).items() if found), None)
        if kind:
            raise InputError(f"checkpoint {path} cannot be used: {name} is {kind}. {_ADVICE}")
        total += tensor.numel() * tensor.element_size()
        if total > most:
            raise InputError(
                f"checkpoint {path} is damaged: with {name} its tensors would take more than {most:,} "
                "bytes, much more than the file."
            )


def require_numbers(path: Path, params: Mapping[str, Tensor], *, like: Mapping[str, Tensor] | None = None) -> None:
    """Check that weights can be computed with.

    Args:
        path: their file, for the message.
        params: tensors by name.
        like: what they are copied into; floating-point tensors are not made of integers.

    Raises:
        InputError: a value is infinite or no number, or a tensor is of a kind that stands for something else.
    """
    for name, value in params.items():
        if like is not None and like[name].is_floating_point() and not value.is_floating_point():
            raise InputError(
                f"checkpoint {path} cannot be used: {name} is {str(value.dtype).removeprefix('torch.')}, not floating "
                "point. Save the network before it is quantised."
            )
        if value.is_floating_point():
            wrong = value.numel() - int(torch.isfinite(value if value.dtype.itemsize > 1 else value.float()).sum())
            if wrong:
                raise InputError(
                    f"checkpoint {path} is spoilt: {wrong:,} of the {value.numel():,} values in {name} are infinite or "
                    "not a number (nan). Its training went wrong or the file is damaged: take an earlier checkpoint."
                )


def _odd_kinds(tensor: Tensor) -> dict[str, bool]:
    return {
        "a tensor without values (device meta)": tensor.is_meta,
        "a quantised tensor: save the network before it is quantised": tensor.is_quantized,
        "a sparse tensor": tensor.layout is not torch.strided or tensor.is_nested,
    }


def _is_safetensors(path: Path, head: bytes) -> bool:
    """By the name; or a length of eight bytes, and then a JSON object."""
    return path.suffix.lower() == ".safetensors" or (head[8:9] == b"{" and head[5:8] == b"\0\0\0")


def _read_safetensors(path: Path) -> dict[Any, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            ours = json.loads((file.metadata() or {}).get(KEPT_HERE, "{}"))
    except Exception as error:  # a parser of somebody else's, on a file of somebody else's
        raise InputError(f"checkpoint {path} cannot be read: {_first_line(error)}.") from None
    if not isinstance(ours, dict):
        raise InputError(f"checkpoint {path} is damaged: its metadata `{KEPT_HERE}` is {_kind_of(ours)}, no mapping.")
    if not ours:
        return tensors
    key = ours.pop("key", "params")
    if key not in ("params", "params_ema"):
        raise InputError(f"checkpoint {path} is damaged: its metadata says that it holds {key!r:.60}.")
    return {**ours, key: tensors}


def _read_torch(path: Path) -> Any:
    _refuse_bombs(path)
    try:
        try:
            return _load(path)
        except Exception as error:
            if "numpy" not in str(error):
                raise
            with torch.serialization.safe_globals(_plain_numpy()):  # such as a best PSNR beside the weights
                return _load(path)
    except Exception as error:  # damaged files end in whatever the unpickler trips over
        raise InputError(f"checkpoint {path} cannot be read ({_reason(error)}). {_ADVICE}") from None


def _load(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on how others wrote their file
        return torch.load(path, map_location="cpu", weights_only=True)


def _plain_numpy() -> list[Any]:
    """What a pickled NumPy number is made of; its name moved in NumPy 2."""
    scalar: Any = np.float64(0).__reduce__()[0]
    numbers = (np.float64, np.float32, np.float16, np.int64, np.int32, np.uint8, np.bool_)
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [*((scalar, name) for name in names), np.dtype, *(type(np.dtype(number)) for number in numbers)]


def _reason(error: Exception) -> str:
    text = str(error)
    needed = re.search(r"GLOBAL ([\w.]+)|`([\w.]+)` to be|class ([\w.]+)", text)
    if needed and ("nsupported" in text or "safe_globals" in text):
        name = next(filter(None, needed.groups()))
        return f"it needs {name}, and code named by a file is never run here"
    return _first_line(error) or type(error).__name__


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:160].rstrip(".")


def _refuse_bombs(path: Path) -> None:
    """Refuse archives that unpack to much more than they are; torch writes its files unpacked."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError(f"checkpoint {path} cannot be read: {_first_line(error)}.") from None
    if unpacked > CHECKPOINT_GROWTH * path.stat().st_size + CHECKPOINT_SMALL:
        raise InputError(f"checkpoint {path} is refused: it would unpack to {unpacked:,} bytes.")


def _other_kind(path: Path, head: bytes) -> str | None:
    """What a file is that is no checkpoint, as far as its first bytes tell."""
    if not head.strip(b"\0"):
        return "empty" if not head else "full of zeros: its download was not finished"
    if known := next((kind for start, kind in _SIGNATURES.items() if head.startswith(start)), None):
        return known
    if head[:1] == b"\x08" and (path.suffix.lower() == ".onnx" or b"pytorch" in head[:64] or b"onnx" in head[:256]):
        return "an ONNX graph: give the .pth or .safetensors file that it was exported from"
    if head.startswith(b"PK"):
        return _other_archive(path)
    return _kind_of_text(path, head)


def _other_archive(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.partition("/")[2] or name for name in archive.namelist()]
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return None  # cut off or damaged: torch says how
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        return "a TorchScript program (torch.jit.save): save the state_dict() of the network that it was made from"
    if "archive_format" in names or any(name.startswith("models/") for name in names):
        return "a graph of torch.export (.pt2): give the .pth or .safetensors file that it was exported from"
    if "data.pkl" in names:
        return None
    return f"a ZIP archive of other files ({', '.join(names[:3])}): unpack it first"


def _kind_of_text(path: Path, head: bytes) -> str | None:
    try:
        text = head.decode("utf-8", errors="strict" if len(head) < 4096 else "ignore")
    except UnicodeDecodeError:
        return None
    if not all(character.isprintable() or character.isspace() for character in text):
        return None
    if known := next((kind for start, kind in _TEXTS.items() if re.match(start, text, re.IGNORECASE)), None):
        return known
    if path.suffix.lower() in (".yml", ".yaml"):
        return "an option file: give it with -opt, or name the network file that its training wrote"
    return "a text"


def _kind_of(value: Any) -> str:
    if isinstance(value, Mapping):
        return "nothing"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
